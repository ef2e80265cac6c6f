//! A run that is told to end, runs out of time, or is killed: nothing of it goes on.

use std::time::{Duration, Instant};

use katas_host::local::postgres::Postgres;
use rustix::process::Signal;

use crate::support::{
    BUNDLED, Project, Running, SERVER, assert_done, assert_failed, events, eventually, failure,
    has_timers, migrate, release,
};

/// A migration that takes minutes, for as long as there is a table of that name.
fn slow(server: &Postgres) -> Project {
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

/// It is in the middle of it.
fn asleep(project: &Project, arguments: &[&str]) -> Running {
    let running = project.start(arguments);
    eventually("it sleeps", || {
        project.value(
            "SELECT exists(SELECT FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event = 'PgSleep')::text",
        ) == "true"
    });
    running
}

/// The next run does what the one that was ended has not done, and waits for nobody.
fn assert_goes_on(project: &Project, arguments: &[&str]) {
    project.sql("DROP TABLE public.slow");
    let output = project.migrate(&[&["up"], arguments].concat());
    assert_done(&output);
    assert_eq!(events(&output, "applied").len(), 1);
}

fn told_to_end(server: &Postgres) {
    for (signal, code, name) in [(Signal::TERM, 143, "SIGTERM"), (Signal::INT, 130, "SIGINT")] {
        let project = slow(server);
        let running = asleep(&project, &["up"]);
        let start = Instant::now();
        running.signal(signal);
        let output = running.end();
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        eventually("its sessions have ended", || project.sessions() == "0");
        let failed = failure(&output, code);
        let message = failed["message"].as_str().expect("it is text");
        assert_eq!(
            message,
            format!(
                "received {name}: the current transaction was rolled back; run the same command again to resume"
            )
        );
        assert_goes_on(&project, &["--lock-wait", "0"]);
    }
}

#[test]
fn told_to_end_in_the_middle_of_a_statement() {
    told_to_end(&SERVER);
}

#[test]
fn told_to_end_in_the_middle_of_a_statement_on_the_other_version() {
    told_to_end(&BUNDLED);
}

#[test]
fn told_to_end_while_an_index_waits() {
    let project = Project::new(&[
        ("0001_item.up.sql", "CREATE TABLE app.item (id int); INSERT INTO app.item VALUES (1);"),
        ("0002_index.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON app.item (id);"),
    ]);
    assert_done(&project.migrate(&["up", "--to", "1"]));
    let held = project.hold("UPDATE app.item SET id = id");
    let mut running = project.start(&["up"]);
    running.event("blocked");
    running.signal(Signal::TERM);
    assert_failed(&running.end(), 143, "received SIGTERM");
    eventually("its sessions have ended", || project.sessions() == "0");
    assert!(project.snapshot().contains("index f"), "{}", project.snapshot());
    release(held);
    let output = project.migrate(&["up", "--lock-wait", "0"]);
    assert_done(&output);
    assert_eq!(events(&output, "recovered")[0]["index"], "app.i");
    assert!(project.snapshot().contains("index t t CREATE INDEX i ON app.item"));
}

#[test]
fn told_to_end_while_it_waits_for_others() {
    let project = slow(&SERVER);
    let first = asleep(&project, &["up"]);
    let mut second = project.start(&["up"]);
    second.event("waiting_for_lock");
    second.signal(Signal::TERM);
    assert_failed(&second.end(), 143, "received SIGTERM");
    first.signal(Signal::TERM);
    assert_failed(&first.end(), 143, "received SIGTERM");
    let url = "postgres://u:p-secret@127.0.0.1:1/x";
    let mut nowhere = Running::start(migrate(url, &["up"]).env("MIGRATE_LOG", "json"));
    nowhere.event("waiting_for_database");
    nowhere.signal(Signal::INT);
    assert_failed(&nowhere.end(), 130, "received SIGINT");
}

#[test]
fn out_of_time() {
    let project = slow(&SERVER);
    let output = project.migrate(&["up", "--deadline", "1"]);
    assert_failed(&output, 75, "deadline exceeded: the current transaction was rolled back");
    eventually("its sessions have ended", || project.sessions() == "0");
    assert_goes_on(&project, &["--lock-wait", "0"]);
}

#[test]
fn killed_in_the_middle_of_a_statement() {
    if !has_timers() {
        return;
    }
    let project = slow(&SERVER);
    let running = asleep(&project, &["up"]);
    assert_ne!(project.sessions(), "0");
    running.kill();
    // Its server process looks every 2 s whether somebody is still there.
    let start = Instant::now();
    assert_goes_on(&project, &["--lock-wait", "15"]);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}
