//! The `katas` command: its responses, its errors, and the end of its child processes.
// The tests require Linux: they use process file descriptors and parent-death signals.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use katas_host::local::postgres::{DATABASE, Postgres, PostgresInstall};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate is two folders below the root")
}

/// Creates a state directory that every account can search, because the server may run as another
/// account.
fn state() -> TempDir {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    tempfile::Builder::new().permissions(permissions).tempdir_in(folder).expect("a directory")
}

fn katas(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_katas"));
    command.args(arguments).current_dir(root().join("docs"));
    for name in ["DATABASE_URL", "MIGRATE_DATABASE_URL"] {
        command.env_remove(name);
    }
    command
}

/// A running `katas up`.
struct Up {
    child: Child,
    base: String,
    /// The standard error so far, and a signal for every line.
    stderr: Arc<(Mutex<String>, Condvar)>,
    reader: JoinHandle<()>,
}

impl Up {
    /// Starts `katas up` and waits until it serves.
    fn start(state: &Path, arguments: &[&str]) -> Up {
        let mut command = katas(&["up", "--listen", "127.0.0.1:0", "--state"]);
        command.arg(state).args(arguments);
        Up::wait_for(command, "Serving ")
    }

    /// Starts a command and waits until its standard error contains `expected`.
    fn wait_for(mut command: Command, expected: &str) -> Up {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("katas starts");
        let mut pipe = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut stderr = String::new();
        while !stderr.contains(expected) {
            let length = pipe.read_line(&mut stderr).expect("stderr is UTF-8");
            assert!(length > 0, "katas exited: {stderr}");
        }
        let base = stderr.split_once("http://").map_or("", |(_, rest)| rest);
        let base = format!("http://{}", base.split(',').next().unwrap_or_default());
        let stderr = Arc::new((Mutex::new(stderr), Condvar::new()));
        let sink = stderr.clone();
        let reader = std::thread::spawn(move || {
            for line in pipe.lines() {
                *sink.0.lock().expect("no panic") += &(line.expect("stderr is UTF-8") + "\n");
                sink.1.notify_all();
            }
        });
        Up { child, base, stderr, reader }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = request.body(body.to_owned()).expect("the request is valid");
        let mut response = agent.run(request).expect("a response");
        let body = response.body_mut().read_to_string().expect("the body is UTF-8");
        (response.status().as_u16(), body)
    }

    /// Waits until the standard error contains `expected`.
    fn wait_until_printed(&self, expected: &str) {
        let (stderr, printed) = &*self.stderr;
        let stderr = stderr.lock().expect("no panic");
        let deadline = Duration::from_secs(60);
        let (stderr, wait) = printed
            .wait_timeout_while(stderr, deadline, |stderr| !stderr.contains(expected))
            .expect("no panic");
        assert!(!wait.timed_out(), "{expected:?} is not in {stderr}");
    }

    /// Sends a signal and waits for the process to end. Returns its status, stdout and stderr.
    fn end(mut self, signal: Signal) -> (ExitStatus, String, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process is running");
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().expect("stdout is piped");
        std::io::Read::read_to_string(&mut pipe, &mut stdout).expect("stdout is UTF-8");
        let status = self.child.wait().expect("the process ends");
        self.reader.join().expect("no panic");
        let stderr = self.stderr.0.lock().expect("no panic").clone();
        (status, stdout, stderr)
    }
}

/// Returns the process id of the PostgreSQL server.
fn server(state: &Path) -> Pid {
    let file = state.join("postgres/data/postmaster.pid");
    let text = fs::read_to_string(file).expect("the server is running");
    let pid = text.lines().next().and_then(|pid| pid.parse().ok()).expect("a process id");
    Pid::from_raw(pid).expect("not 0")
}

/// A process that need not be a child.
struct Process(rustix::fd::OwnedFd);

impl Process {
    fn new(pid: Pid) -> Process {
        Process(pidfd_open(pid, PidfdFlags::empty()).expect("the process is running"))
    }

    /// Returns whether the process ends within `seconds`.
    fn ends_within(&self, seconds: i64) -> bool {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).expect("poll succeeds") == 1
    }
}

/// Asserts that the process failed with an error that contains `text`, in the last line of stderr.
#[track_caller]
fn assert_error(output: &Output, text: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let errors: Vec<_> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("{stderr}") };
    assert!(stderr.ends_with(&format!("{error}\n")), "{stderr}");
    assert!(error.contains(text), "{error}");
}

const APPLE: &str = "/api/v2/entries/Apple";
const FRUIT: &str = r#"{"definition":"A fruit"}"#;

#[test]
fn up_preserves_data_between_runs_unless_fresh() {
    let state = state();
    let first = Up::start(state.path(), &[]);
    assert_eq!(first.call("PUT", APPLE, FRUIT).0, 201);
    assert_eq!(first.call("GET", "/db-check", "").0, 200);
    let server_of_first = Process::new(server(state.path()));
    let base = first.base.clone();
    let (status, introduction, stderr) = first.end(Signal::INT);
    assert!(status.success(), "{stderr}");
    let before_serving = stderr.split("Serving ").next().unwrap_or_default();
    assert!(!before_serving.contains("/db-check"), "{stderr}");
    assert!(server_of_first.ends_within(0), "PostgreSQL is still running");
    for step in ["Building the components", "Database PostgreSQL ", "Schema version ", "Stopping "]
    {
        assert!(stderr.contains(step), "{step}: {stderr}");
    }
    assert_eq!(introduction.matches("curl -s").count(), 3, "{introduction}");
    assert!(introduction.contains(&format!(" {base}/api/v1/look/Apple\n")), "{introduction}");
    assert!(stderr.contains(&format!("Serving {base}, until Ctrl-C\n")), "{stderr}");

    let second = Up::start(state.path(), &[]);
    assert!(second.call("GET", APPLE, "").1.contains("A fruit"));
    let third = katas(&["up", "--listen", "127.0.0.1:0", "--state"]).arg(state.path()).output();
    let third = third.expect("katas starts");
    assert_error(&third, "is in use by process ");
    assert!(!String::from_utf8_lossy(&third.stderr).contains("Building"), "{third:?}");
    let (status, _, stderr) = second.end(Signal::TERM);
    assert!(status.success(), "{stderr}");

    let fresh = Up::start(state.path(), &["--fresh"]);
    assert_eq!(fresh.call("GET", APPLE, "").0, 404);
    let server_of_fresh = Process::new(server(state.path()));
    fresh.end(Signal::HUP);
    assert!(server_of_fresh.ends_within(0), "PostgreSQL is still running");
}

#[test]
fn examples_are_printed_for_every_route() {
    let output = katas(&["examples", "--base", "http://host:1/"]).output().expect("katas starts");
    let examples = String::from_utf8(output.stdout).expect("the output is UTF-8");
    assert!(output.status.success());
    assert!(examples.contains("\n/users/...  (users)\n"), "{examples}");
    assert!(examples.contains("  curl -s http://host:1/health\n"), "{examples}");
}

#[test]
fn killed_up_stops_its_server_and_loses_no_data() {
    let state = state();
    let killed = Up::start(state.path(), &[]);
    assert_eq!(killed.call("PUT", APPLE, FRUIT).0, 201);
    let server = Process::new(server(state.path()));
    killed.end(Signal::KILL);
    assert!(server.ends_within(20), "PostgreSQL is still running");
    let next = Up::start(state.path(), &[]);
    assert!(next.call("GET", APPLE, "").1.contains("A fruit"));
    next.end(Signal::TERM);
}

#[test]
fn up_with_bundled_postgres_serves() {
    let state = state();
    let up = Up::start(state.path(), &["--bundled-postgres"]);
    assert_eq!(up.call("PUT", APPLE, FRUIT).0, 201);
    let (status, _, stderr) = up.end(Signal::TERM);
    assert!(status.success() && stderr.contains("bundled with katas"), "{stderr}");
    assert_eq!(stderr.matches("timeouts never fire").count(), 1, "{stderr}");
}

#[test]
fn bundled_postgres_needs_neither_cargo_nor_its_registry() {
    let application = health_application();
    let (state, empty) = (state(), tempfile::tempdir().expect("a directory"));
    // The privacy of secrets must not depend on the umask or on the mode of existing files.
    let folder = state.path().join("postgres");
    fs::create_dir(&folder).expect("the directory is writable");
    fs::write(folder.join("lock"), "").expect("the directory is writable");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"umask 0; exec "$0" "$@""#, env!("CARGO_BIN_EXE_katas")])
        .args(["up", "--bundled-postgres", "--listen=0", "--state"])
        .arg(state.path())
        .current_dir(application.path())
        .env_clear()
        .env("PATH", empty.path())
        .env("HOME", empty.path())
        .env("CARGO_HOME", empty.path());
    let up = Up::wait_for(command, "Serving ");
    assert_eq!(up.call("GET", "/db-check", "").0, 200);
    for file in ["lock", "log", "password"] {
        assert_eq!(mode(&folder.join(file)) & 0o077, 0, "{file}");
    }
    for directory in ["programs", "postgres"] {
        assert_eq!(mode(&state.path().join(directory)) & 0o022, 0, "{directory}");
    }
    up.end(Signal::TERM);
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("the file exists");
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}

#[test]
fn application_without_database_is_served_without_one() {
    let application = application(STATIC);
    let state = application.path().join("state");
    let mut command = katas(&["up", "--listen=localhost:0", "--state"]);
    command.arg(&state).current_dir(application.path());
    // The application uses no database, so this one is never connected to.
    command.env("DATABASE_URL", "postgres://u:p@127.0.0.1:1/x");
    let up = Up::wait_for(command, "Serving ");
    assert_eq!(up.call("GET", "/hello", ""), (200, "hi".to_owned()));
    for (host, expected) in [("localhost", 200), ("127.0.0.1", 200), ("rebound.example", 421)] {
        let request = http::Request::get(format!("{}/hello", up.base)).header("host", host);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let response = agent.run(request.body(()).expect("valid")).expect("a response");
        assert_eq!(response.status().as_u16(), expected, "{host}");
    }
    let (status, _, stderr) = up.end(Signal::TERM);
    assert!(status.success() && stderr.contains("Database none"), "{stderr}");
    assert!(!state.exists(), "a local database was created");
}

#[test]
fn migrations_next_to_the_manifest_are_applied() {
    let application =
        application(&format!("[variables]\ndatabase_url = {{ default = \"\" }}\n{STATIC}"));
    let db = application.path().join("db");
    let copied = Command::new("cp").arg("-R").arg(root().join("db")).arg(&db).status();
    assert!(copied.expect("cp runs").success());
    for (direction, sql) in [("up", "CREATE TABLE katas.x ()"), ("down", "DROP TABLE katas.x")] {
        let file = db.join(format!("migrations/9999_x.{direction}.sql"));
        fs::write(file, sql).expect("the file is writable");
    }
    let state = state();
    let mut command = katas(&["up", "--listen=0", "--queue=none", "--state"]);
    command.arg(state.path()).current_dir(application.path());
    let up = Up::wait_for(command, "Serving ");
    assert_eq!(up.call("GET", "/hello", ""), (200, "hi".to_owned()));
    let (status, _, stderr) = up.end(Signal::TERM);
    assert!(status.success() && stderr.contains("Schema version 9999"), "{stderr}");
}

#[test]
fn migrations_of_another_application_are_ignored_and_its_sample_data_is_refused() {
    let variable = "[variables]\ndatabase_url = { default = \"\" }\n";
    let (application, state) = (application(&format!("{variable}{STATIC}")), state());
    let migrations = application.path().join("db/migrations");
    fs::create_dir_all(&migrations).expect("a directory");
    fs::write(migrations.join("V1__x.sql"), "SELECT 1;").expect("the file is writable");
    let mut command = katas(&["up", "--listen=0", "--queue=none", "--state"]);
    command.arg(state.path()).current_dir(application.path());
    Up::wait_for(command, "Serving ").end(Signal::TERM);
    let mut command = katas(&["up", "--listen=0", "--seed"]);
    let output = command.current_dir(application.path()).output().expect("katas runs");
    assert_error(&output, "is outside of it; omit --seed");
}

#[test]
fn up_finishes_asynchronous_runs() {
    const SENTENCES: &str = "/api/v1/datasets/00000000-0000-4000-8000-000000000002/runs";
    let state = state();
    let up = Up::start(state.path(), &["--seed"]);
    let request = http::Request::post(format!("{}{SENTENCES}", up.base))
        .header("content-type", "application/json")
        .header("prefer", "respond-async")
        .body(r#"{"kata":"nth-char","column":"sentence"}"#)
        .expect("the request is valid");
    let response = ureq::run(request).expect("a response");
    assert_eq!(response.status().as_u16(), 202);
    let run = response.headers()["location"].to_str().expect("text").to_owned();
    let start = Instant::now();
    while !up.call("GET", &run, "").1.contains(r#""state":"done""#) {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", up.call("GET", &run, "").1);
    }
    let (status, _, stderr) = up.end(Signal::TERM);
    assert!(status.success() && !stderr.contains("queue:"), "{stderr}");
    assert!(stderr.contains("\n03_users             100 rows\n"), "{stderr}");
}

#[test]
fn up_with_watch_serves_changes_and_survives_errors() {
    let application = application(STATIC);
    let mut command = katas(&["up", "--watch", "--listen=0"]);
    command.current_dir(application.path());
    let up = Up::wait_for(command, "Serving ");
    let manifest = application.path().join("spin.toml");
    let text = fs::read_to_string(&manifest).expect("the file is readable");
    fs::write(&manifest, format!("{text}\nnonsense = 1\n")).expect("the file is writable");
    up.wait_until_printed("unknown field `nonsense`");
    up.wait_until_printed("still serving the last version");
    assert_eq!(up.call("GET", "/hello", ""), (200, "hi".to_owned()));
    fs::write(&manifest, text.replace("\"hi\"", "\"changed\"")).expect("the file is writable");
    up.wait_until_printed("Serving the new version");
    assert_eq!(up.call("GET", "/hello", ""), (200, "changed".to_owned()));
    up.end(Signal::TERM);
}

#[test]
fn unusable_database_is_reported_with_its_remedy_before_anything_is_written() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Postgres::start_empty(folder, PostgresInstall::Any, true));
    let server = server.expect("the server starts");
    let administrator = |database: &str| server.administrator(database);
    let sql = |database: &str, text: &str| {
        let url = administrator(database);
        let rows = runtime.block_on(async {
            let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
            let (client, connection) = connected.expect("the server accepts the connection");
            tokio::spawn(connection);
            client.simple_query(text).await
        });
        let rows = rows.expect(text);
        rows.into_iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    };
    for statement in [
        "CREATE ROLE plain LOGIN PASSWORD 'p'",
        "CREATE ROLE creator LOGIN CREATEROLE PASSWORD 'p'",
        "CREATE DATABASE other",
        "CREATE DATABASE owned OWNER plain",
    ] {
        sql(DATABASE, statement);
    }
    sql("other", "CREATE TABLE public.orders ()");
    let up = |url: &str| katas(&["up", "--listen=0", "--database-url", url]);
    let mut from_environment = katas(&["up", "--listen=0"]);
    from_environment.env("DATABASE_URL", administrator("other"));
    let secret = tempfile::NamedTempFile::new_in(folder).expect("a file");
    fs::write(secret.path(), administrator("other") + "\n").expect("the file is writable");
    let mut from_file = katas(&["up", "--listen=0", "--database-url-file"]);
    from_file.arg(secret.path());
    // The manifest loads, but its component does not.
    let broken = application(
        "[variables]\ndatabase_url = { required = true }\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"a\"\n\
         [component.a]\nsource = \"a.wasm\"\n",
    );
    fs::write(broken.path().join("a.wasm"), "no component").expect("the file is writable");
    let mut broken_component = up(&administrator(DATABASE));
    broken_component.current_dir(broken.path());
    let mut broken_locally = katas(&["up", "--listen=0"]);
    broken_locally.current_dir(broken.path());
    for (mut command, expected) in [
        (up(&administrator("other")), "such as public.orders; omit --database-url to use a local"),
        (from_environment, "such as public.orders; unset DATABASE_URL to use a local database, or"),
        (from_file, "pass --shared-database to create schema katas next to them"),
        (up(&server.url("plain", "wrong", DATABASE)), "correct the user and the password in "),
        (up(&server.url("plain", "p", "absent")), "create the database, or correct its name in "),
        (
            up(&server.url("plain", "p", DATABASE)),
            "user plain may not create roles; pass --migrate-database-url with a user that has ",
        ),
        (up(&server.url("plain", "p", "owned")), "user plain may not create roles; "),
        (
            up(&server.url("creator", "p", DATABASE)),
            "user creator does not own database katas; pass --migrate-database-url with its owner",
        ),
        (broken_component, "a.wasm is not a WebAssembly component: failed to parse"),
        (broken_locally, "a.wasm is not a WebAssembly component: failed to parse"),
    ] {
        let output = command.output().expect("katas starts");
        assert_error(&output, expected);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("Building the components"), "{stderr}");
    }
    assert!(!broken.path().join(".katas").exists(), "a local database was created");
    for database in [DATABASE, "other", "owned"] {
        let written = "SELECT count(*) FROM (SELECT rolname FROM pg_roles UNION ALL \
                       SELECT nspname FROM pg_namespace) AS names WHERE rolname ~ '^katas'";
        assert_eq!(sql(database, written).as_deref(), Some("0"), "{database}");
    }

    // With the option, the schema is created next to the other objects.
    let up = Up::wait_for(
        katas(&[
            "up",
            "--listen=0",
            "--shared-database",
            "--database-url",
            &administrator("other"),
        ]),
        "Serving ",
    );
    assert_eq!(up.call("GET", "/db-check", "").0, 200);
    up.end(Signal::TERM);
    // The migrations are applied, but the components' user has no privileges on the schema.
    let mut unprivileged = katas(&["up", "--listen=0"]);
    unprivileged.args(["--database-url", &server.url("plain", "p", "other")]);
    unprivileged.args(["--migrate-database-url", &administrator("other")]);
    let output = unprivileged.output().expect("katas starts");
    assert_error(&output, "the application is not ready: GET /db-check returned 503: ");
    assert!(String::from_utf8_lossy(&output.stderr).contains("permission denied for schema katas"));
    assert_error(&output, "use a user in --database-url that has the privileges of katas_app");
    let (none, wrong) = (server.url("plain", "p", "other"), server.url("katas_app", "x", "other"));
    let mut without_password = katas(&["up", "--listen=0"]);
    without_password.args(["--database-url", &wrong]);
    without_password.args(["--migrate-database-url", &administrator("other")]);
    let output = without_password.output().expect("katas starts");
    assert_error(&output, "password authentication failed for user \"katas_app\"; correct --datab");
    let output = katas(&["up", "--listen=0", "--database-url", &none]).output();
    assert_error(&output.expect("katas starts"), "pass --migrate-database-url with the role kat");
}

/// A database of an earlier version, whose roles do not include the one that a later migration needs.
#[test]
fn up_creates_a_role_that_pending_migrations_need_or_names_it() {
    let (state, folder) = (state(), Path::new(env!("CARGO_TARGET_TMPDIR")));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Postgres::start_empty(folder, PostgresInstall::Any, true));
    let server = server.expect("the server starts");
    let url = server.administrator(DATABASE);
    runtime.block_on(async {
        let project = migrations::Project::built_in();
        let database = migrations::Database::new(&url).expect("a valid URL").allow_superuser(true);
        let password = migrations::Password { role: "katas_migrator", password: "p" };
        migrations::bootstrap(&project, &database, &[password], false, &|_| ())
            .await
            .expect("roles");
        let options = migrations::UpOptions { to: Some(6), ..migrations::UpOptions::default() };
        let owner = database.role("katas_owner");
        migrations::up(&project, &owner, options, &|_| ()).await.expect("migrations");
        let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("the server accepts the connection");
        tokio::spawn(connection);
        let drop = "DROP OWNED BY katas_courier; DROP ROLE katas_courier";
        client.batch_execute(drop).await.expect("a superuser may drop roles");
    });
    let migrator = server.url("katas_migrator", "p", DATABASE);
    let output = katas(&["up", "--listen=0", "--database-url", &migrator]).output();
    let output = output.expect("katas starts");
    assert_error(&output, "the migrations need the role katas_courier, which does not exist, and ");
    assert_error(&output, "user katas_migrator may not create it; run `migrate bootstrap` as an ");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("Building the components"), "{stderr}");
    let up = Up::start(state.path(), &["--database-url", &url]);
    assert_eq!(up.call("PUT", APPLE, FRUIT).0, 201);
    let (status, _, stderr) = up.end(Signal::TERM);
    assert!(status.success() && stderr.contains("applied 0007_async_runs"), "{stderr}");
}

#[test]
fn build_command_has_no_secrets_in_its_environment() {
    let (folder, output) = build("env >env; false", |command| {
        command
            .env("DATABASE_URL", "postgres://u:secret@h/x")
            .env("MIGRATE_DATABASE_URL", "postgres://u:secret@h/x")
            .env("SPIN_VARIABLE_API_TOKEN", "secret")
            .output()
            .expect("katas starts")
    });
    assert_error(&output, "`env >env; false` failed");
    let environment = fs::read_to_string(folder.path().join("env")).expect("the command has run");
    assert!(environment.contains("PATH=") && !environment.contains("secret"), "{environment}");
}

#[test]
fn up_with_database_url_migrates_that_database_and_uses_it() {
    let state = state();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Postgres::start_empty(folder, PostgresInstall::Any, true));
    let server = server.expect("the server starts");
    let url = server.administrator(DATABASE);
    for first in [true, false] {
        let up = Up::start(state.path(), &["--database-url", &url]);
        assert_eq!(up.call("PUT", APPLE, FRUIT).0, if first { 201 } else { 200 });
        let (status, _, stderr) = up.end(Signal::TERM);
        assert!(status.success(), "{stderr}");
        assert_eq!(stderr.contains("applied 0001_schema"), first, "{stderr}");
        assert!(!stderr.contains(&url), "{stderr}");
    }
    assert!(!state.path().join("postgres").exists(), "a local server was started as well");
    // DATABASE_URL works too. A role without the privileges to migrate suffices when nothing is
    // pending.
    runtime.block_on(async {
        let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("the server accepts the connection");
        tokio::spawn(connection);
        let alter = client.batch_execute("ALTER ROLE katas_app PASSWORD 'p'").await;
        alter.expect("a superuser may set passwords");
    });
    let mut command = katas(&["up", "--listen", "127.0.0.1:0"]);
    command.env("DATABASE_URL", server.url("katas_app", "p", DATABASE));
    let up = Up::wait_for(command, "Serving ");
    assert!(up.call("GET", APPLE, "").1.contains("A fruit"));
    up.end(Signal::TERM);
}

#[test]
fn up_that_cannot_start_prints_one_error_line() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let in_use = listener.local_addr().expect("an address").to_string();
    let empty = tempfile::tempdir().expect("a directory");
    let up = |arguments: &[&str]| katas(&[&["up"], arguments].concat());
    let with_url = |arguments: &[&str]| {
        let mut command = up(arguments);
        command.env("DATABASE_URL", "mysql://u:secret@h/x");
        command
    };
    // `text` is appended to the manifest of an application with a static response.
    let mut applications = Vec::new();
    let mut in_application = |text: &str, arguments: &[&str]| {
        let application = application(&format!("{STATIC}{text}\n"));
        let mut command = up(arguments);
        command.current_dir(application.path());
        applications.push(application);
        command
    };
    let without_path = |arguments: &[&str]| {
        let mut command = up(arguments);
        command.env("PATH", empty.path());
        command
    };
    for (mut command, text) in [
        (up(&["--listen", &in_use]), "address in use; choose another one with --listen"),
        (up(&["--listen=192.0.2.1:80", "--insecure-listen"]), "cannot listen on 192.0.2.1:80: "),
        (
            up(&["--listen", "0.0.0.0:0"]),
            "without an API token, every machine on the network could change data; set \
             SPIN_VARIABLE_API_TOKEN or pass --insecure-listen",
        ),
        (
            in_application("", &["--listen=[::]:0"]),
            "the manifest of other declares no variable api_token",
        ),
        (
            up(&["--listen=0", "--database-url=postgres://u:secret@h/x?sslmode=verify-full"]),
            "invalid value for option `sslmode`; use postgres://",
        ),
        (up(&["--database-url-file=/nowhere"]), "cannot read --database-url-file /nowhere: "),
        (with_url(&["--fresh"]), "--fresh applies to the local database, but DATABASE_URL selects"),
        (with_url(&["--seed"]), "--seed applies to the local database, but DATABASE_URL selects"),
        (with_url(&["--listen=0"]), "invalid DATABASE_URL; use postgres://user:password@host:"),
        (up(&["--listen=0", "--state=/dev/null/x"]), "choose another directory with --state"),
        (in_application("spin_version = \"1\"", &[]), "spin.toml: line 7: unknown field `spin_v"),
        (
            in_application("[variables]\nx = { required = true }", &["--listen=0"]),
            "variable x has no value; set SPIN_VARIABLE_X",
        ),
        (
            in_application(
                "[component.a]\nsource = \"a\"\nvariables = { b = \"{{ b }}\" }",
                &["--listen=0"],
            ),
            "component a: undeclared variable \"b\"",
        ),
        (in_application("[component.a]\nsource = \"a\"", &["--listen=0"]), "run `katas build`"),
        (
            in_application(
                "[component.a]\nsource = \"a\"\n[component.a.build]\ncommand = \"true\"\n\
                 workdir = \"nowhere\"",
                &["--listen=0"],
            ),
            "nowhere; correct `workdir` in [component.a.build]",
        ),
        (
            up(&["--listen=127.0.0.1:0", "--database-url=postgres://u:secret@127.0.0.1:1/x"]),
            "127.0.0.1:1/x: Connection refused",
        ),
        (up(&["--listen=127.0.0.1:0", "--database-url=mysql://h/x"]), "invalid --database-url; "),
        (without_path(&["--listen=127.0.0.1:0"]), "install Rust from https://rustup.rs"),
        (without_path(&["--engine=spin"]), "install it from https://spinframework.dev"),
        (up(&["--from=/nowhere/spin.toml"]), "/nowhere/spin.toml"),
    ] {
        let output = command.output().expect("katas starts");
        assert_error(&output, text);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
    }
    let mut without_manifest = up(&[]);
    without_manifest.current_dir(empty.path());
    assert_error(
        &without_manifest.output().expect("katas starts"),
        "no spin.toml in this directory",
    );
}

#[test]
fn build_without_wasm_target_names_the_command_that_installs_it() {
    let programs = tempfile::tempdir().expect("a directory");
    for (name, script) in [
        ("rustc", "echo /nowhere/lib"),
        ("rustup", "echo 'info: downloading' >&2; echo 'error: no network' >&2; exit 1"),
    ] {
        let file = programs.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("the file is writable");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&file, executable).expect("the test owns the file");
    }
    let output = katas(&["build"]).env("PATH", programs.path()).output().expect("katas starts");
    assert_error(&output, "no network; run `rustup target add wasm32-wasip2` in ");
}

#[test]
fn failed_build_command_is_reported() {
    let (folder, output) = build("false", |command| command.output().expect("katas starts"));
    drop(folder);
    assert_error(&output, "cannot build component only: `false` failed");
}

#[test]
fn running_build_is_stopped_when_katas_ends() {
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let (folder, up) = build("echo $$ > pid; echo begun >&2; exec sleep 1000", |command| {
            Up::wait_for(std::mem::replace(command, Command::new("true")), "begun")
        });
        let pid = fs::read_to_string(folder.path().join("pid")).expect("the build has begun");
        let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("not 0");
        let build = Process::new(pid);
        up.end(signal);
        assert!(build.ends_within(20), "the build survives {signal:?}");
    }
}

/// Creates an application with the component `health` and without build commands.
fn health_application() -> TempDir {
    let built = katas(&["build"]).output().expect("katas starts");
    assert!(built.status.success(), "{built:?}");
    let health = root().join("target/wasm32-wasip2/release/health.wasm");
    application(&format!(
        "[variables]\ndatabase_url = {{ required = true }}\ndatabase_host = {{ required = true }}\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"health\"\n\
         [component.health]\nsource = {health:?}\n\
         allowed_outbound_hosts = [\"postgres://{{{{ database_host }}}}\"]\n\
         variables = {{ database_url = \"{{{{ database_url }}}}\" }}\n"
    ))
}

#[test]
fn unusable_local_database_is_reported_with_its_remedy() {
    let (state, application) = (state(), health_application());
    let up = |arguments: &[&str]| {
        let mut command = katas(&["up", "--listen=0", "--bundled-postgres", "--state"]);
        command.arg(state.path()).args(arguments).current_dir(application.path());
        command
    };
    Up::wait_for(up(&[]), "Serving ").end(Signal::TERM);
    let data = state.path().join("postgres/data");
    let configuration = data.join("postgresql.conf");
    let valid = fs::read_to_string(&configuration).expect("the file is readable");
    fs::write(&configuration, format!("{valid}\nnonsense = 1\n")).expect("the file is writable");
    let output = up(&[]).output().expect("katas starts");
    assert_error(&output, "PostgreSQL did not start: configuration file ");
    assert_error(&output, "contains errors; see ");
    fs::write(&configuration, valid).expect("the file is writable");
    fs::write(state.path().join("postgres/password"), "wrong").expect("the file is writable");
    let output = up(&[]).output().expect("katas starts");
    assert_error(&output, "postgres/password is not the superuser's; restore it, or delete the ");
    fs::write(data.join("PG_VERSION"), "14\n").expect("the file is writable");
    let output = up(&[]).output().expect("katas starts");
    assert_error(
        &output,
        "requires PostgreSQL 14, which is not the bundled one; omit --bundled-po",
    );
    let mut installed = katas(&["up", "--listen=0", "--state"]);
    installed.arg(state.path()).current_dir(application.path());
    let output = installed.output().expect("katas starts");
    assert_error(&output, "requires PostgreSQL 14, which is not installed; install it or delete ");
    Up::wait_for(up(&["--fresh"]), "Serving ").end(Signal::TERM);
}

const STATIC: &str = "[[trigger.http]]\nroute = \"/hello\"\nstatic_response = { body = \"hi\" }\n";

/// Creates an application whose manifest contains these TOML tables.
fn application(tables: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    let text = format!("spin_manifest_version = 2\n[application]\nname = \"other\"\n{tables}");
    fs::write(folder.path().join("spin.toml"), text).expect("the file is writable");
    folder
}

/// Runs `katas up` for an application whose only component has the build command `shell`.
fn build<T>(shell: &str, run: impl FnOnce(&mut Command) -> T) -> (TempDir, T) {
    let folder = tempfile::tempdir().expect("a directory");
    let manifest = folder.path().join("spin.toml");
    let text = format!(
        "spin_manifest_version = 2\n\
         [application]\nname = \"only\"\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"only\"\n\
         [component.only]\nsource = \"only.wasm\"\n\
         [component.only.build]\ncommand = {shell:?}\n"
    );
    fs::write(&manifest, text).expect("the file is writable");
    let mut command = katas(&["up", "--listen", "127.0.0.1:0"]);
    command.current_dir(folder.path());
    let result = run(&mut command);
    (folder, result)
}

#[test]
fn commands_that_build_a_binary_require_the_repository() {
    let folder = tempfile::tempdir().expect("a directory");
    for command in ["new", "smoke"] {
        let output = katas(&[command, "--help"]).current_dir(folder.path()).output();
        assert_error(&output.expect("katas runs"), "run this command in a clone of the repository");
    }
}

#[test]
fn up_help_lists_the_options() {
    let output = katas(&["up", "--help"]).output().expect("katas starts");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    for option in ["--listen", "--database-url", "DATABASE_URL", "--fresh", "--engine", "--state"] {
        assert!(help.contains(option), "{option}: {help}");
    }
}

#[test]
fn build_creates_the_wasm_files() {
    let output = katas(&["build"]).output().expect("katas starts");
    assert!(output.status.success(), "{output:?}");
    let built: Vec<PathBuf> = ["dictionary", "health"]
        .map(|id| root().join(format!("target/wasm32-wasip2/release/{id}.wasm")))
        .into();
    assert!(built.iter().all(|wasm| wasm.is_file()), "{built:?}");
}
