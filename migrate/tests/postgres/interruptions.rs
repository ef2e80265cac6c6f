//! Interrupts a run at each of its protocol messages in turn. The next run has to resume and leave
//! the database as an uninterrupted run does.

use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use katas_host::local::postgres::Postgres;

use crate::proxy::{Fault, Proxy};
use crate::support::{BUNDLED, Project, SERVER, assert_success, failed_event};

/// A transactional migration, a non-transactional one with every kind of step, and a transactional
/// one. Running any statement twice fails or changes the result.
const FILES: [(&str, &str); 6] = [
    (
        "0001_item.up.sql",
        "CREATE TYPE app.state AS ENUM ('new');
         CREATE TABLE app.item (id int CONSTRAINT item_pkey PRIMARY KEY, count int NOT NULL);
         INSERT INTO app.item SELECT id, 0 FROM generate_series(1, 5) AS id;
         CREATE TABLE app.parts (id int) PARTITION BY RANGE (id);
         CREATE TABLE app.part PARTITION OF app.parts FOR VALUES FROM (0) TO (9);",
    ),
    ("0001_item.down.sql", "DROP TABLE app.item, app.parts, app.part; DROP TYPE app.state;"),
    (
        "0002_state.up.sql",
        "-- no-transaction
         SET statement_timeout = '1min';
         ALTER TYPE app.state ADD VALUE 'old';
         ALTER TABLE app.item ADD COLUMN state app.state;
         UPDATE app.item SET count = count + 1, state = 'old';
         CREATE INDEX CONCURRENTLY item_count ON app.item (count);
         ALTER TABLE app.parts DETACH PARTITION app.part CONCURRENTLY;
         UPDATE app.item SET count = count + 1;",
    ),
    (
        "0002_state.down.sql",
        "-- no-transaction
         DROP INDEX CONCURRENTLY app.item_count;
         ALTER TABLE app.parts ATTACH PARTITION app.part FOR VALUES FROM (0) TO (9);
         UPDATE app.item SET count = count - 2;
         ALTER TABLE app.item DROP COLUMN state;
         DROP TYPE app.state;
         CREATE TYPE app.state AS ENUM ('new');",
    ),
    ("0003_name.up.sql", "ALTER TABLE app.item ADD COLUMN name text NOT NULL DEFAULT 'x';"),
    ("0003_name.down.sql", "ALTER TABLE app.item DROP COLUMN name;"),
];

#[test]
fn up_resumes_after_kill_at_every_message() {
    at_every_message(&SERVER, &UP, Interruption::Kill);
}

#[test]
fn down_resumes_after_kill_at_every_message() {
    at_every_message(&SERVER, &DOWN, Interruption::Kill);
}

#[test]
fn up_resumes_after_disconnect_before_every_message() {
    at_every_message(&SERVER, &UP, Interruption::Network(Fault::CutBefore));
}

#[test]
fn up_resumes_after_disconnect_after_every_message() {
    at_every_message(&SERVER, &UP, Interruption::Network(Fault::CutAfter));
}

#[test]
fn down_resumes_after_disconnect_after_every_message() {
    at_every_message(&SERVER, &DOWN, Interruption::Network(Fault::CutAfter));
}

#[test]
fn up_resumes_after_disconnect_after_every_message_on_bundled_server() {
    at_every_message(&BUNDLED, &UP, Interruption::Network(Fault::CutAfter));
}

/// A command, and how to prepare the database for it.
struct Scenario {
    /// SQL to run before each attempt; empty to run `migrate up` instead.
    setup: &'static str,
    arguments: &'static [&'static str],
}

const UP: Scenario =
    Scenario { setup: "DROP SCHEMA IF EXISTS app CASCADE", arguments: &["up", "--wait", "0"] };
/// Reverts to the first migration, whose table shows the effects of the others.
const DOWN: Scenario =
    Scenario { setup: "", arguments: &["down", "--to", "1", "--production", "--wait", "0"] };

#[derive(Clone, Copy)]
pub enum Interruption {
    Kill,
    Network(Fault),
}

fn at_every_message(server: &Postgres, scenario: &Scenario, interruption: Interruption) {
    let start = Instant::now();
    let project = Project::on(server, &FILES);
    let prepare = || match scenario.setup {
        "" => assert_success(&project.migrate(&["up"])),
        sql => project.sql(sql),
    };
    prepare();
    assert_success(&project.migrate(scenario.arguments));
    let expected = project.snapshot();
    let proxy = Proxy::new(server.port());
    let url = proxy.url(&project.url, server.port());
    for at in 1.. {
        prepare();
        let mut command = project.command_at(&url, scenario.arguments);
        if !interrupt(&mut command, &proxy, at, interruption) {
            eprintln!("{} messages in {} s", at - 1, start.elapsed().as_secs());
            // A run has several transactions of several messages each.
            assert!(at > 30, "{at}");
            return;
        }
        assert_success(&project.migrate(scenario.arguments));
        assert_eq!(project.snapshot(), expected, "after an interruption at message {at}");
    }
}

/// Interrupts a run at message `at`; returns whether the run had that many messages.
pub fn interrupt(command: &mut Command, proxy: &Proxy, at: usize, how: Interruption) -> bool {
    let fault = match how {
        Interruption::Kill => Fault::Silence,
        Interruption::Network(fault) => fault,
    };
    let (plan, occurred) = proxy.plan(fault, at);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run migrate");
    if let Interruption::Kill = how {
        let killed = kill_when_notified(&mut child, &occurred);
        child.wait().expect("wait for migrate");
        return killed;
    }
    let output = child.wait_with_output().expect("wait for migrate");
    match plan.has_happened() {
        // Only the end of the session was left to do.
        true if output.status.success() => {}
        true => assert_reports_lost_connection(&output, at),
        false => assert_success(&output),
    }
    plan.has_happened()
}

fn kill_when_notified(child: &mut Child, occurred: &std::sync::mpsc::Receiver<()>) -> bool {
    loop {
        match occurred.recv_timeout(Duration::from_millis(5)) {
            Ok(()) => {
                child.kill().expect("kill migrate");
                return true;
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the plan was dropped"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = child.try_wait().expect("wait for migrate") {
            assert!(status.success(), "{status}");
            return occurred.try_recv().is_ok();
        }
    }
}

fn assert_reports_lost_connection(output: &Output, at: usize) {
    let failed = failed_event(output, 75);
    let message = failed["message"].as_str().expect("a string");
    assert!(message.contains("connection"), "at message {at}: {message}");
}
