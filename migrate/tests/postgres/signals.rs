//! Runs that receive a signal, exceed the deadline or are killed leave no session behind.

use std::time::{Duration, Instant};

use katas_host::local::postgres::Postgres;
use rustix::process::Signal;

use crate::support::{
    BUNDLED, Project, Running, SERVER, assert_failed, assert_success, events, eventually,
    failed_event, migrate, release,
};

/// Creates a project whose migration sleeps for 600 s while the table `public.slow` exists.
fn slow_project(server: &Postgres) -> Project {
    let project = Project::on(
        server,
        &[(
            "0001_item.up.sql",
            "CREATE TABLE app.item ();
             DO $$ BEGIN
               IF to_regclass('public.slow') IS NOT NULL THEN PERFORM pg_sleep(600); END IF;
             END $$;",
        )],
    );
    project.sql("CREATE TABLE public.slow ()");
    project
}

/// Selects whether a session sleeps.
const SLEEPS: &str = "SELECT exists(SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep')::text";

/// Starts `migrate` and waits until its SQL sleeps.
fn start_and_wait_for_sleep(project: &Project, arguments: &[&str]) -> Running {
    let running = project.start(arguments);
    eventually("the SQL sleeps", || project.value(SLEEPS) == "true");
    running
}

/// Asserts that the next run applies the migration, with the lock already free.
fn assert_next_run_succeeds(project: &Project, arguments: &[&str]) {
    project.sql("DROP TABLE public.slow");
    let output = project.migrate(&[&["up"], arguments].concat());
    assert_success(&output);
    assert_eq!(events(&output, "applied").len(), 1);
}

/// Sends SIGTERM and SIGINT to a run in the middle of a statement.
fn signal_during_statement(server: &Postgres) {
    for (signal, code, name) in [(Signal::TERM, 143, "SIGTERM"), (Signal::INT, 130, "SIGINT")] {
        let project = slow_project(server);
        let running = start_and_wait_for_sleep(&project, &["up"]);
        let start = Instant::now();
        running.signal(signal);
        let output = running.finish();
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        eventually("its sessions have ended", || project.sessions() == "0");
        let failed = failed_event(&output, code);
        let message = failed["message"].as_str().expect("a string");
        assert_eq!(
            message,
            format!(
                "received {name}: the current transaction was rolled back; run the same command again to resume"
            )
        );
        assert_next_run_succeeds(&project, &["--lock-wait", "0"]);
    }
}

#[test]
fn signal_during_statement_rolls_back() {
    signal_during_statement(&SERVER);
}

#[test]
fn signal_during_statement_rolls_back_on_bundled_server() {
    signal_during_statement(&BUNDLED);
}

#[test]
fn signal_while_seeding_rolls_back() {
    let project = Project::new(&[("0001_item.up.sql", "CREATE TABLE app.item (id int);")]);
    let seeds = project.folder.path().join("seeds");
    std::fs::create_dir(&seeds).expect("create dir");
    let seed = "-- Items.\nINSERT INTO app.item SELECT n FROM pg_temp.fake; SELECT pg_sleep(600);";
    std::fs::write(seeds.join("01_items.sql"), seed).expect("write file");
    let mark = format!("COMMENT ON DATABASE {} IS 'migrate.environment = test'", project.name);
    project.sql(&mark);
    assert_success(&project.migrate(&["up"]));
    let running = start_and_wait_for_sleep(&project, &["seed"]);
    let start = Instant::now();
    running.signal(Signal::TERM);
    let output = running.finish();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // The process waits for the end of its session.
    assert_eq!(project.value(SLEEPS), "false");
    failed_event(&output, 143);
    assert_eq!(project.value("SELECT count(*)::text FROM app.item"), "0");
}

#[test]
fn sigterm_during_index_build_is_recovered_by_next_run() {
    let project = Project::new(&[
        ("0001_item.up.sql", "CREATE TABLE app.item (id int); INSERT INTO app.item VALUES (1);"),
        ("0002_index.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON app.item (id);"),
    ]);
    assert_success(&project.migrate(&["up", "--to", "1"]));
    let held = project.hold("UPDATE app.item SET id = id");
    let mut running = project.start(&["up"]);
    running.wait_for_event("blocked");
    running.signal(Signal::TERM);
    assert_failed(&running.finish(), 143, "received SIGTERM");
    eventually("its sessions have ended", || project.sessions() == "0");
    assert!(project.snapshot().contains("index f"), "{}", project.snapshot());
    release(held);
    let output = project.migrate(&["up", "--lock-wait", "0"]);
    assert_success(&output);
    assert_eq!(events(&output, "recovered")[0]["index"], "app.i");
    assert!(project.snapshot().contains("index t t CREATE INDEX i ON app.item"));
}

#[test]
fn signal_while_waiting_for_lock_or_database_exits() {
    let project = slow_project(&SERVER);
    let first = start_and_wait_for_sleep(&project, &["up"]);
    let mut second = project.start(&["up"]);
    second.wait_for_event("waiting_for_lock");
    second.signal(Signal::TERM);
    assert_failed(&second.finish(), 143, "received SIGTERM");
    first.signal(Signal::TERM);
    assert_failed(&first.finish(), 143, "received SIGTERM");
    let url = "postgres://u:p-secret@127.0.0.1:1/x";
    let mut unreachable = Running::start(migrate(url, &["up"]).env("MIGRATE_LOG", "json"));
    unreachable.wait_for_event("waiting_for_database");
    unreachable.signal(Signal::INT);
    assert_failed(&unreachable.finish(), 130, "received SIGINT");
}

#[test]
fn deadline_rolls_back_and_exits_with_75() {
    let project = slow_project(&SERVER);
    let output = project.migrate(&["up", "--deadline", "1"]);
    assert_failed(&output, 75, "deadline exceeded: the current transaction was rolled back");
    eventually("its sessions have ended", || project.sessions() == "0");
    assert_next_run_succeeds(&project, &["--lock-wait", "0"]);
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn kill_during_statement_is_detected_by_server() {
    let project = slow_project(&SERVER);
    let running = start_and_wait_for_sleep(&project, &["up"]);
    assert_ne!(project.sessions(), "0");
    running.kill();
    // The server process checks every 2 s whether its client is still connected.
    let start = Instant::now();
    assert_next_run_succeeds(&project, &["--lock-wait", "15"]);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}
