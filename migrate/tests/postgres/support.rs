//! Shared helpers: servers, databases, projects, and running `migrate` processes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use katas_host::local::postgres::{Postgres, PostgresInstall};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("start runtime"));

/// The server that tests share unless they restart or reconfigure it. Stops with this process.
pub static SERVER: LazyLock<Postgres> = LazyLock::new(server);

/// The bundled server, for tests that run on two versions of PostgreSQL.
pub static BUNDLED: LazyLock<Postgres> = LazyLock::new(|| start(PostgresInstall::Bundled));

/// Starts a server for a single test.
pub fn server() -> Postgres {
    match std::env::var("MIGRATE_TEST_POSTGRES").as_deref() {
        Ok("bundled") => start(PostgresInstall::Bundled),
        _ => start(PostgresInstall::Any),
    }
}

/// Starts a server with the role `tester`, which is not a superuser and owns the databases of
/// projects. Neither `tester` nor the administrator has a password: password hashing would dominate
/// the cost of thousands of connections.
fn start(source: PostgresInstall) -> Postgres {
    let folder = test_tools::data_directory(env!("CARGO_TARGET_TMPDIR"));
    let server = RUNTIME.block_on(Postgres::start_empty(&folder, source, true));
    let server = server.expect("start a server");
    let hba_path = server.log().with_file_name("data").join("pg_hba.conf");
    let hba = std::fs::read_to_string(&hba_path).expect("read pg_hba.conf");
    let trust = "host all tester,postgres 127.0.0.1/32 trust";
    std::fs::write(&hba_path, format!("{trust}\n{hba}")).expect("write pg_hba.conf");
    sql(&server.administrator("postgres"), "CREATE ROLE tester LOGIN; SELECT pg_reload_conf()");
    let url = server.url("tester", "none", "postgres");
    eventually("pg_hba.conf is reloaded", || RUNTIME.block_on(PgConnection::connect(&url)).is_ok());
    server
}

fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A database for a single test, with the roles of this repository.
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
        let secrets = tempfile::tempdir().expect("create temp dir");
        let (migrator, app) = (secrets.path().join("migrator"), secrets.path().join("app"));
        std::fs::write(&migrator, "m-secret\nnot part of it\n").expect("write file");
        std::fs::write(&app, "a-secret").expect("write file");
        let bootstrap = Command::new(env!("CARGO_BIN_EXE_migrate"))
            .args(["bootstrap", "--database-url", &administrator])
            .arg(format!("--password=katas_migrator={}", migrator.display()))
            .arg(format!("--password=katas_app={}", app.display()))
            .output();
        assert_exit(&bootstrap.expect("run migrate"), 0, "the roles are up to date");
        Database {
            administrator,
            migrator: server.url("katas_migrator", "m-secret", &name),
            app: server.url("katas_app", "a-secret", &name),
        }
    }

    /// Runs `migrate` as the migration role.
    pub fn migrate(&self, arguments: &[&str]) -> Output {
        migrate(&self.migrator, arguments).output().expect("run migrate")
    }

    /// Starts `migrate` and waits for a line on its standard error that contains `line`.
    pub fn start_until(&self, arguments: &[&str], line: &str) -> Running {
        let mut running = Running::start(&mut migrate(&self.migrator, arguments));
        running.wait_for_line(line);
        running
    }

    pub fn sql(&self, text: &str) {
        sql(&self.administrator, text);
    }

    pub fn value(&self, text: &str) -> String {
        value(&self.administrator, text)
    }

    /// Runs SQL in a transaction that stays open until the returned connection is dropped.
    pub fn hold(&self, text: &str) -> PgConnection {
        hold(&self.administrator, text)
    }
}

/// A folder of migrations for `--source`, and a database for it. Its schema is `app`.
pub struct Project {
    pub folder: TempDir,
    pub name: String,
    pub url: String,
    pub administrator: String,
}

impl Project {
    /// Creates a project with these files in `migrations/`, given as name and content.
    pub fn new(files: &[(&str, &str)]) -> Project {
        Project::on(&SERVER, files)
    }

    pub fn on(server: &Postgres, files: &[(&str, &str)]) -> Project {
        let name = new_name();
        let create = format!("CREATE DATABASE {name} OWNER tester");
        sql(&server.administrator("postgres"), &create);
        let folder = tempfile::tempdir().expect("create temp dir");
        std::fs::create_dir(folder.path().join("migrations")).expect("create dir");
        let settings = "[migrate]\ntable-name = \"app._sqlx_migrations\"\n";
        std::fs::write(folder.path().join("sqlx.toml"), settings).expect("write file");
        let (url, administrator) =
            (server.url("tester", "none", &name), server.administrator(&name));
        let project = Project { folder, name, url, administrator };
        for (file, text) in files {
            project.write(file, text);
        }
        project
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join("migrations").join(file), text).expect("write file");
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join("migrations").join(file))
            .expect("remove file");
    }

    /// Returns a `migrate` command that connects as the owner of the database. It logs JSON,
    /// because its standard error is not a terminal.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.url, arguments)
    }

    pub fn command_at(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = migrate(url, arguments);
        command.env_remove("MIGRATE_LOG").env("MIGRATE_SOURCE", self.folder.path());
        command
    }

    pub fn migrate(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("run migrate")
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

    /// Returns the number of `migrate` sessions in the database.
    pub fn sessions(&self) -> String {
        self.value(
            "SELECT count(*)::text FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'migrate/%'",
        )
    }

    /// Returns everything that migrations leave in the database, the rows of `app.item` last.
    pub fn snapshot(&self) -> String {
        let rows = "SELECT concat_ws(' ', 'row', item) FROM app.item";
        self.value(&lines(&format!("{} UNION ALL {rows}", catalog("app"))))
    }
}

/// Returns a query for everything that migrations leave in a schema, one line per ledger entry,
/// relation with its privileges, column, constraint, index or enum label.
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

/// Wraps a query for lines so that it returns them sorted, in one value.
pub fn lines(select: &str) -> String {
    format!("SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM ({select}) AS lines")
}

/// A running `migrate` process.
pub struct Running {
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    log: String,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run migrate");
        let stderr = BufReader::new(child.stderr.take().expect("piped stderr"));
        Running { child, stderr, log: String::new() }
    }

    /// Waits for a line that contains `expected`, and returns the line.
    #[track_caller]
    pub fn wait_for_line(&mut self, expected: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.stderr.read_line(&mut line).expect("UTF-8 text");
            assert!(length > 0, "exited before logging {expected:?}:\n{}", self.log);
            self.log.push_str(&line);
            if line.contains(expected) {
                return line;
            }
        }
    }

    /// Waits for an event, and returns its log line.
    #[track_caller]
    pub fn wait_for_event(&mut self, name: &str) -> Value {
        let line = self.wait_for_line(&format!("\"event\":\"{name}\""));
        serde_json::from_str(&line).expect("parse JSON")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal migrate");
    }

    /// Kills the process without a chance to clean up, as the failure of a node does.
    pub fn kill(mut self) -> ExitStatus {
        self.child.kill().expect("kill migrate");
        self.child.wait().expect("wait for migrate")
    }

    /// Waits for the process to exit. The output's standard error is complete, including the lines
    /// that [`Running::wait_for_line`] has read.
    pub fn finish(self) -> Output {
        let Running { child, mut stderr, mut log } = self;
        // The rest of the log may exceed the capacity of the pipe.
        let rest = thread::spawn(move || {
            while stderr.read_line(&mut log).expect("UTF-8 output") > 0 {}
            log
        });
        let output = child.wait_with_output().expect("wait for migrate");
        Output { stderr: rest.join().expect("join thread").into_bytes(), ..output }
    }
}

pub fn migrate(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).env("DATABASE_URL", url).env("MIGRATE_LOG", "human");
    // Bounds the duration of a failing test.
    command.env("MIGRATE_DEADLINE", "60");
    command
}

pub fn sql(url: &str, text: &str) {
    let result = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
        connection.close().await
    });
    result.expect(text);
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

/// Runs SQL in a transaction that stays open until the returned connection is dropped.
pub fn hold(url: &str, text: &str) -> PgConnection {
    let connection = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        let text = format!("BEGIN; {text}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
        Ok::<_, sqlx::Error>(connection)
    });
    connection.expect(text)
}

/// Closes a connection of [`hold`], and thereby rolls back its transaction.
pub fn release(connection: PgConnection) {
    RUNTIME.block_on(connection.close()).expect("close connection");
}

/// Polls until the condition holds; panics after 20 seconds.
#[track_caller]
pub fn eventually(description: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s: {description}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asserts the exit code, and that standard output or standard error contains `text`.
#[track_caller]
pub fn assert_exit(output: &Output, code: i32, text: &str) {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let all = String::from_utf8(all).expect("UTF-8 output");
    assert_eq!(output.status.code(), Some(code), "{all}");
    assert!(all.contains(text), "expected {text:?} in {all:?}");
    assert!(!all.contains("-secret"), "{all}");
}

/// Asserts that the exit code is 0.
#[track_caller]
pub fn assert_success(output: &Output) {
    assert_exit(output, 0, "");
}

/// Asserts the exit code of a failed run, and returns its `failed` event.
#[track_caller]
pub fn failed_event(output: &Output, code: i32) -> Value {
    assert_exit(output, code, "\"event\":\"failed\"");
    let failed = events(output, "failed").pop().expect("a `failed` event");
    assert_eq!(failed["exit_code"], code);
    failed
}

/// Asserts the exit code of a failed run, and that its `failed` event's message contains `text`.
#[track_caller]
pub fn assert_failed(output: &Output, code: i32, text: &str) {
    let failed = failed_event(output, code);
    let message = failed["message"].as_str().expect("a string");
    assert!(message.contains(text), "expected {text:?} in {message:?}");
}

/// Returns the log lines of an event.
pub fn events(output: &Output, name: &str) -> Vec<Value> {
    let log = String::from_utf8_lossy(&output.stderr);
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("parse JSON"));
    lines.filter(|line: &Value| line["event"] == name).collect()
}
