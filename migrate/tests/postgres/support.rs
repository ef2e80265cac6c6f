//! What the tests share: servers, databases, projects of their own, and a `migrate` under way.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use katas_host::local::postgres::{Postgres, Source};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// One server for all tests but those that stop it. It ends with this process.
pub static SERVER: LazyLock<Postgres> = LazyLock::new(server);

/// The server that comes with this repository, for what has to work on two versions.
pub static BUNDLED: LazyLock<Postgres> = LazyLock::new(|| start(Source::Bundled));

/// A server of a test's own.
pub fn server() -> Postgres {
    match std::env::var("MIGRATE_TEST_POSTGRES").as_deref() {
        Ok("bundled") => start(Source::Bundled),
        _ => start(Source::Any),
    }
}

/// With the role `tester`, who is not a superuser and owns the databases of projects. Neither it nor
/// the administrator needs a password: thousands of connections would do little else than compute
/// hashes.
fn start(source: Source) -> Postgres {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let server = RUNTIME.block_on(Postgres::start_empty(folder, source, true));
    let server = server.expect("a server starts");
    let rules = server.log().with_file_name("data").join("pg_hba.conf");
    let others = std::fs::read_to_string(&rules).expect("there are rules");
    let trusted = "host all tester,postgres 127.0.0.1/32 trust";
    std::fs::write(&rules, format!("{trusted}\n{others}")).expect("written");
    sql(&server.administrator("postgres"), "CREATE ROLE tester LOGIN; SELECT pg_reload_conf()");
    let url = server.url("tester", "none", "postgres");
    eventually("the rules are read", || RUNTIME.block_on(PgConnection::connect(&url)).is_ok());
    server
}

/// Whether the server ends what takes too long: the one that comes with this repository takes all of
/// PostgreSQL's timeouts, and keeps none of them.
pub fn has_timers() -> bool {
    let has_timers = !SERVER.description().contains("comes with");
    if !has_timers {
        eprintln!("not proven with {}", SERVER.description());
    }
    has_timers
}

fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A database of a test's own, with the roles of this repository in place.
pub struct Database {
    pub administrator: String,
    pub migrator: String,
    pub app: String,
}

impl Database {
    pub fn new() -> Database {
        Database::on(&SERVER)
    }

    pub fn on(server: &Postgres) -> Database {
        let name = new_name();
        sql(&server.administrator("postgres"), &format!("CREATE DATABASE {name}"));
        let administrator = server.administrator(&name);
        let secrets = tempfile::tempdir().expect("a folder");
        let (migrator, app) = (secrets.path().join("migrator"), secrets.path().join("app"));
        std::fs::write(&migrator, "m-secret\nnot part of it\n").expect("written");
        std::fs::write(&app, "a-secret").expect("written");
        let bootstrap = Command::new(env!("CARGO_BIN_EXE_migrate"))
            .args(["bootstrap", "--database-url", &administrator])
            .arg(format!("--password=katas_migrator={}", migrator.display()))
            .arg(format!("--password=katas_app={}", app.display()))
            .output();
        assert_ended(&bootstrap.expect("it runs"), 0, "the roles are up to date");
        Database {
            administrator,
            migrator: server.url("katas_migrator", "m-secret", &name),
            app: server.url("katas_app", "a-secret", &name),
        }
    }

    /// `migrate` with these arguments, as the migrator.
    pub fn migrate(&self, arguments: &[&str]) -> Output {
        migrate(&self.migrator, arguments).output().expect("it runs")
    }

    /// As [`Database::migrate`], under way: once it has told `line`.
    pub fn migrate_until(&self, arguments: &[&str], line: &str) -> Running {
        let mut running = Running::start(&mut migrate(&self.migrator, arguments));
        running.until(line);
        running
    }

    pub fn sql(&self, text: &str) {
        sql(&self.administrator, text);
    }

    pub fn value(&self, text: &str) -> String {
        value(&self.administrator, text)
    }

    /// Runs SQL in a transaction that stays open for as long as what is returned lives.
    pub fn hold(&self, text: &str) -> PgConnection {
        hold(&self.administrator, text)
    }
}

/// A folder of migrations that is not built in, and a database for it. Its schema is `app`.
pub struct Project {
    pub folder: TempDir,
    pub name: String,
    pub url: String,
    pub administrator: String,
}

impl Project {
    /// With these files: their names in `migrations/`, and their text.
    pub fn new(files: &[(&str, &str)]) -> Project {
        Project::on(&SERVER, files)
    }

    pub fn on(server: &Postgres, files: &[(&str, &str)]) -> Project {
        let name = new_name();
        let create = format!("CREATE DATABASE {name} OWNER tester");
        sql(&server.administrator("postgres"), &create);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("migrations")).expect("made");
        let settings = "[migrate]\ntable-name = \"app._sqlx_migrations\"\n";
        std::fs::write(folder.path().join("sqlx.toml"), settings).expect("written");
        let (url, administrator) =
            (server.url("tester", "none", &name), server.administrator(&name));
        let project = Project { folder, name, url, administrator };
        for (file, text) in files {
            project.write(file, text);
        }
        project
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join("migrations").join(file), text).expect("written");
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join("migrations").join(file)).expect("removed");
    }

    /// `migrate` with these arguments, as who owns the database. It logs JSON: its standard error is
    /// no terminal.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.url, arguments)
    }

    pub fn command_at(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = migrate(url, arguments);
        command.env_remove("MIGRATE_LOG").env("MIGRATE_SOURCE", self.folder.path());
        command
    }

    pub fn migrate(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments))
    }

    pub fn sql(&self, text: &str) {
        sql(&self.administrator, text);
    }

    pub fn value(&self, text: &str) -> String {
        value(&self.administrator, text)
    }

    pub fn hold(&self, text: &str) -> PgConnection {
        hold(&self.administrator, text)
    }

    /// How many sessions `migrate` has in the database.
    pub fn sessions(&self) -> String {
        self.value(
            "SELECT count(*)::text FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'migrate/%'",
        )
    }

    /// Everything that migrations leave in the database, the rows of `app.item` last.
    pub fn snapshot(&self) -> String {
        let rows = "SELECT concat_ws(' ', 'row', item) FROM app.item";
        self.value(&lines(&format!("{} UNION ALL {rows}", catalog("app"))))
    }
}

/// What migrations leave in a schema, as an expression of SQL: the ledger, columns, constraints,
/// indexes, labels and rights, as lines.
pub fn catalog(schema: &str) -> String {
    format!(
        "SELECT concat_ws(' ', 'ledger', version, description, success, checksum) AS line
           FROM {schema}._sqlx_migrations
         UNION ALL SELECT concat_ws(' ', 'step', version, step, finished)
           FROM {schema}._migrate_steps
         UNION ALL SELECT concat_ws(' ', 'relation', oid::regclass, relowner::regrole, relacl)
           FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relname !~ '^_'
         UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname,
                                    format_type(atttypid, atttypmod), attnotnull)
           FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
           WHERE relnamespace = '{schema}'::regnamespace AND relname !~ '^_'
             AND attnum > 0 AND NOT attisdropped
         UNION ALL SELECT concat_ws(' ', 'index', indisvalid, indisready,
                                    pg_get_indexdef(indexrelid))
           FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
           WHERE relnamespace = '{schema}'::regnamespace AND relname !~ '^_'
         UNION ALL SELECT concat_ws(' ', 'constraint', convalidated, conname,
                                    pg_get_constraintdef(oid))
           FROM pg_constraint WHERE connamespace = '{schema}'::regnamespace AND conname !~ '^_'
         UNION ALL SELECT concat_ws(' ', 'label', enumtypid::regtype, enumlabel) FROM pg_enum"
    )
}

/// The lines in one value, in order.
pub fn lines(select: &str) -> String {
    format!("SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM ({select}) AS lines")
}

/// A `migrate` that is under way.
pub struct Running {
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    told: String,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Running { child, stderr, told: String::new() }
    }

    /// Waits for a line that has this in it, and returns the line.
    #[track_caller]
    pub fn until(&mut self, expected: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.stderr.read_line(&mut line).expect("it is text");
            assert!(length > 0, "it ended before it told {expected:?}:\n{}", self.told);
            self.told.push_str(&line);
            if line.contains(expected) {
                return line;
            }
        }
    }

    /// Waits for this event.
    #[track_caller]
    pub fn event(&mut self, name: &str) -> Value {
        let line = self.until(&format!("\"event\":\"{name}\""));
        serde_json::from_str(&line).expect("it is JSON")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// Ends it as a node that fails does.
    pub fn kill(mut self) -> ExitStatus {
        self.child.kill().expect("it is there");
        self.child.wait().expect("it ends")
    }

    /// Waits for its end; what it has told is in the output's standard error.
    pub fn end(self) -> Output {
        let Running { child, mut stderr, mut told } = self;
        // It may tell more than fits into the pipe before it ends.
        let rest = thread::spawn(move || {
            while stderr.read_line(&mut told).expect("it is text") > 0 {}
            told
        });
        let output = child.wait_with_output().expect("it ends");
        Output { stderr: rest.join().expect("no panic").into_bytes(), ..output }
    }
}

pub fn migrate(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).env("DATABASE_URL", url).env("MIGRATE_LOG", "human");
    // A test that goes wrong ends nevertheless.
    command.env("MIGRATE_DEADLINE", "60");
    command
}

pub fn sql(url: &str, text: &str) {
    let done = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
        connection.close().await
    });
    done.expect(text);
}

pub fn value(url: &str, text: &str) -> String {
    let value = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        let query = sqlx::query_as::<_, (String,)>(AssertSqlSafe(text));
        let (value,) = query.fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(value)
    });
    value.expect(text)
}

/// Runs SQL in a transaction that stays open for as long as what is returned lives.
pub fn hold(url: &str, text: &str) -> PgConnection {
    let held = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        let text = format!("BEGIN; {text}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
        Ok::<_, sqlx::Error>(connection)
    });
    held.expect(text)
}

/// Ends a transaction of [`hold`].
pub fn release(connection: PgConnection) {
    RUNTIME.block_on(connection.close()).expect("it is there");
}

/// Waits until this is so: for what nobody tells.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// It ended with this code, and said this.
#[track_caller]
pub fn assert_ended(output: &Output, code: i32, text: &str) {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8(said).expect("it is text");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(text), "expected {text:?} in {said:?}");
    assert!(!said.contains("-secret"), "{said}");
}

/// It ended well.
#[track_caller]
pub fn assert_done(output: &Output) {
    assert_ended(output, 0, "");
}

/// It failed with this code; the line of its log that says why.
#[track_caller]
pub fn failure(output: &Output, code: i32) -> Value {
    assert_ended(output, code, "\"event\":\"failed\"");
    let failed = events(output, "failed").pop().expect("it is there");
    assert_eq!(failed["exit_code"], code);
    failed
}

/// It failed with this code and this in its message.
#[track_caller]
pub fn assert_failed(output: &Output, code: i32, text: &str) {
    let failed = failure(output, code);
    let message = failed["message"].as_str().expect("it is text");
    assert!(message.contains(text), "expected {text:?} in {message:?}");
}

/// The lines of a log that are about this event.
pub fn events(output: &Output, name: &str) -> Vec<Value> {
    let log = String::from_utf8_lossy(&output.stderr);
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    lines.filter(|line: &Value| line["event"] == name).collect()
}
