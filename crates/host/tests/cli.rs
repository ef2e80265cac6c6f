//! `katas`, as people run it: from nothing to an answer, and what is left when it ends.
// What is left is found out by what Linux alone has: file descriptors of processes, signals of dead
// parents.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use katas_host::local::postgres::{DATABASE, Postgres, Source};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate is two folders below the root")
}

/// A folder that everybody may enter, for a server that runs as somebody else.
fn state() -> TempDir {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    tempfile::Builder::new().permissions(permissions).tempdir_in(folder).expect("a folder")
}

fn katas(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_katas"));
    command.args(arguments).current_dir(root().join("docs"));
    for name in ["DATABASE_URL", "MIGRATE_DATABASE_URL"] {
        command.env_remove(name);
    }
    command
}

/// A `katas up` that serves.
struct Up {
    child: Child,
    base: String,
    told: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Up {
    /// With its state in this folder, and these arguments.
    fn start(state: &Path, arguments: &[&str]) -> Up {
        let mut command = katas(&["up", "--listen", "127.0.0.1:0", "--state"]);
        command.arg(state).args(arguments);
        Up::until(command, "Serving ")
    }

    /// A command that has told this.
    fn until(mut command: Command, expected: &str) -> Up {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut told = String::new();
        while !told.contains(expected) {
            let length = stderr.read_line(&mut told).expect("it is text");
            assert!(length > 0, "it ended after: {told}");
        }
        let base = told.split_once("http://").map_or("", |(_, rest)| rest);
        let base = format!("http://{}", base.split(',').next().unwrap_or_default());
        let told = Arc::new(Mutex::new(told));
        let into = told.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines() {
                *into.lock().expect("no panic") += &(line.expect("it is text") + "\n");
            }
        });
        Up { child, base, told, reader }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = request.body(body.to_owned()).expect("the request is valid");
        let mut response = agent.run(request).expect("it answers");
        let body = response.body_mut().read_to_string().expect("the body is text");
        (response.status().as_u16(), body)
    }

    /// Sends the signal and waits until it has ended: how, and all that it told.
    fn end(mut self, signal: Signal) -> (ExitStatus, String, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().expect("it is piped");
        std::io::Read::read_to_string(&mut pipe, &mut stdout).expect("it is text");
        let status = self.child.wait().expect("it ends");
        self.reader.join().expect("no panic");
        let told = self.told.lock().expect("no panic").clone();
        (status, stdout, told)
    }
}

/// The server's process.
fn server(state: &Path) -> Pid {
    let file = state.join("postgres/data/postmaster.pid");
    let text = fs::read_to_string(file).expect("the server runs");
    let pid = text.lines().next().and_then(|pid| pid.parse().ok()).expect("a number");
    Pid::from_raw(pid).expect("not 0")
}

/// A process that can be waited for, though it is not a child.
struct Process(rustix::fd::OwnedFd);

impl Process {
    fn new(pid: Pid) -> Process {
        Process(pidfd_open(pid, PidfdFlags::empty()).expect("it runs"))
    }

    /// Whether it has ended, or does within so many seconds.
    fn ends_within(&self, seconds: i64) -> bool {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let mut waited = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut waited, Some(&timeout)).expect("it can be waited for") == 1
    }
}

/// Ended with an error that says this, in one line.
#[track_caller]
fn assert_refused(output: &Output, text: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let errors: Vec<_> = told.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("{told}") };
    assert!(told.ends_with(&format!("{error}\n")), "{told}");
    assert!(error.contains(text), "{error}");
}

const APPLE: &str = "/api/v2/entries/Apple";
const FRUIT: &str = r#"{"definition":"A fruit"}"#;

#[test]
fn up_serves_and_the_next_one_finds_the_data() {
    let state = state();
    let first = Up::start(state.path(), &[]);
    assert_eq!(first.call("PUT", APPLE, FRUIT).0, 201);
    assert_eq!(first.call("GET", "/db-check", "").0, 200);
    let server_of_first = Process::new(server(state.path()));
    let base = first.base.clone();
    let (status, routes, told) = first.end(Signal::INT);
    assert!(status.success(), "{told}");
    assert!(server_of_first.ends_within(0), "PostgreSQL is left");
    for step in ["Building the components", "Database PostgreSQL ", "Schema version ", "Stopping "]
    {
        assert!(told.contains(step), "{step}: {told}");
    }
    assert!(routes.contains(&format!("curl -s {base}/health\n")), "{routes}");

    let second = Up::start(state.path(), &[]);
    assert!(second.call("GET", APPLE, "").1.contains("A fruit"));
    let third = katas(&["up", "--listen", "127.0.0.1:0", "--state"]).arg(state.path()).output();
    assert_refused(&third.expect("it runs"), "is in use by process ");
    let (status, _, told) = second.end(Signal::TERM);
    assert!(status.success(), "{told}");

    let fresh = Up::start(state.path(), &["--fresh"]);
    assert_eq!(fresh.call("GET", APPLE, "").0, 404);
    let server_of_fresh = Process::new(server(state.path()));
    fresh.end(Signal::HUP);
    assert!(server_of_fresh.ends_within(0), "PostgreSQL is left");
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_one_takes_its_server_along_and_loses_nothing() {
    let state = state();
    let killed = Up::start(state.path(), &[]);
    assert_eq!(killed.call("PUT", APPLE, FRUIT).0, 201);
    let server = Process::new(server(state.path()));
    killed.end(Signal::KILL);
    assert!(server.ends_within(20), "PostgreSQL is left");
    let next = Up::start(state.path(), &[]);
    assert!(next.call("GET", APPLE, "").1.contains("A fruit"));
    next.end(Signal::TERM);
}

#[test]
fn the_postgresql_that_comes_along_needs_no_other() {
    let state = state();
    let up = Up::start(state.path(), &["--bundled-postgres"]);
    assert_eq!(up.call("PUT", APPLE, FRUIT).0, 201);
    let (status, _, told) = up.end(Signal::TERM);
    assert!(status.success() && told.contains("which comes with katas"), "{told}");
}

#[test]
fn a_given_database_is_prepared_and_used() {
    let state = state();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Postgres::start_empty(folder, Source::Any, true));
    let server = server.expect("a server starts");
    let url = server.administrator(DATABASE);
    for applied in [true, false] {
        let up = Up::start(state.path(), &["--database-url", &url]);
        assert_eq!(up.call("PUT", APPLE, FRUIT).0, if applied { 201 } else { 200 });
        let (status, _, told) = up.end(Signal::TERM);
        assert!(status.success(), "{told}");
        assert_eq!(told.contains("applied 0001_schema"), applied, "{told}");
        assert!(!told.contains(&url), "{told}");
    }
    assert!(!state.path().join("postgres").exists(), "a server of our own was made as well");
    // As the environment says, and by somebody who may not migrate: there is nothing to migrate.
    runtime.block_on(async {
        let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("it answers");
        tokio::spawn(connection);
        client.batch_execute("ALTER ROLE katas_app PASSWORD 'p'").await.expect("it may");
    });
    let mut command = katas(&["up", "--listen", "127.0.0.1:0"]);
    command.env("DATABASE_URL", server.url("katas_app", "p", DATABASE));
    let up = Up::until(command, "Serving ");
    assert!(up.call("GET", APPLE, "").1.contains("A fruit"));
    up.end(Signal::TERM);
}

#[test]
fn what_stands_in_the_way_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it has one").to_string();
    let nowhere = tempfile::tempdir().expect("a folder");
    let up = |arguments: &[&str]| katas(&[&["up"], arguments].concat());
    let without_path = |arguments: &[&str]| {
        let mut command = up(arguments);
        command.env("PATH", nowhere.path());
        command
    };
    for (mut command, text) in [
        (up(&["--listen", &taken]), "is in use: stop what listens there, or choose another"),
        (up(&["--listen", "192.0.2.1:80"]), "cannot listen on 192.0.2.1:80: "),
        (
            up(&["--listen=127.0.0.1:0", "--database-url=postgres://u:secret@127.0.0.1:1/x"]),
            "127.0.0.1:1/x: Connection refused",
        ),
        (up(&["--listen=127.0.0.1:0", "--database-url=mysql://h/x"]), "--database-url: "),
        (without_path(&["--listen=127.0.0.1:0"]), "install Rust from https://rustup.rs"),
        (without_path(&["--engine=spin"]), "install it from https://spinframework.dev"),
        (up(&["--from=/nowhere/spin.toml"]), "/nowhere/spin.toml"),
    ] {
        let output = command.output().expect("it runs");
        assert_refused(&output, text);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
    }
    let mut elsewhere = up(&[]);
    elsewhere.current_dir(nowhere.path());
    assert_refused(&elsewhere.output().expect("it runs"), "there is no spin.toml here");
}

#[test]
fn build_without_wasm_target_names_the_command_that_installs_it() {
    let programs = tempfile::tempdir().expect("a folder");
    for (name, script) in [
        ("rustc", "echo /nowhere/lib"),
        ("rustup", "echo 'info: downloading' >&2; echo 'error: no network' >&2; exit 1"),
    ] {
        let file = programs.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&file, executable).expect("they can be set");
    }
    let output = katas(&["build"]).env("PATH", programs.path()).output().expect("it runs");
    assert_refused(&output, "no network; run `rustup target add wasm32-wasip2` in ");
}

#[test]
fn a_build_that_fails_is_told() {
    let (folder, output) = build("false", |command| command.output().expect("it runs"));
    drop(folder);
    assert_refused(&output, "the component only was not built: `false` failed");
}

#[test]
fn a_build_under_way_ends_with_katas() {
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let (folder, up) = build("echo $$ > pid; echo begun >&2; exec sleep 1000", |command| {
            Up::until(std::mem::replace(command, Command::new("true")), "begun")
        });
        let pid = fs::read_to_string(folder.path().join("pid")).expect("it has begun");
        let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("not 0");
        let building = Process::new(pid);
        up.end(signal);
        assert!(building.ends_within(20), "{signal:?} leaves the build");
    }
}

/// `katas up` of an application whose only component is built by this.
fn build<T>(shell: &str, run: impl FnOnce(&mut Command) -> T) -> (TempDir, T) {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = folder.path().join("spin.toml");
    let text = format!(
        "spin_manifest_version = 2\n\
         [application]\nname = \"only\"\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"only\"\n\
         [component.only]\nsource = \"only.wasm\"\n\
         [component.only.build]\ncommand = {shell:?}\n"
    );
    fs::write(&manifest, text).expect("written");
    let mut command = katas(&["up", "--listen", "127.0.0.1:0"]);
    command.current_dir(folder.path());
    let result = run(&mut command);
    (folder, result)
}

#[test]
fn help_says_what_the_options_do() {
    let output = katas(&["up", "--help"]).output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("it is text");
    for option in ["--listen", "--database-url", "DATABASE_URL", "--fresh", "--engine", "--state"] {
        assert!(help.contains(option), "{option}: {help}");
    }
}

#[test]
fn build_builds_the_components() {
    let output = katas(&["build"]).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let built: Vec<PathBuf> = ["dictionary", "health"]
        .map(|id| root().join(format!("target/wasm32-wasip2/release/{id}.wasm")))
        .into();
    assert!(built.iter().all(|wasm| wasm.is_file()), "{built:?}");
}
