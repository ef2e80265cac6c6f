//! A run is interrupted at each of its messages, one after the other: the next run goes on, and in the
//! end everything is as if nothing had happened.

use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use katas_host::local::postgres::Postgres;

use crate::proxy::{Fault, Proxy};
use crate::support::{BUNDLED, Project, SERVER, assert_done, failure};

/// A transaction, a file of single steps of every kind, and a transaction. None of the statements can
/// be run twice without it being seen.
const FILES: [(&str, &str); 6] = [
    (
        "0001_item.up.sql",
        "CREATE TYPE app.state AS ENUM ('new');
         CREATE TABLE app.item (id int CONSTRAINT item_pkey PRIMARY KEY, count int NOT NULL);
         INSERT INTO app.item SELECT id, 0 FROM generate_series(1, 5) AS id;",
    ),
    ("0001_item.down.sql", "DROP TABLE app.item; DROP TYPE app.state;"),
    (
        "0002_state.up.sql",
        "-- no-transaction
         SET statement_timeout = '1min';
         ALTER TYPE app.state ADD VALUE 'old';
         ALTER TABLE app.item ADD COLUMN state app.state;
         UPDATE app.item SET count = count + 1, state = 'old';
         CREATE INDEX CONCURRENTLY item_count ON app.item (count);
         UPDATE app.item SET count = count + 1;",
    ),
    (
        "0002_state.down.sql",
        "-- no-transaction
         DROP INDEX CONCURRENTLY app.item_count;
         UPDATE app.item SET count = count - 2;
         ALTER TABLE app.item DROP COLUMN state;
         DROP TYPE app.state;
         CREATE TYPE app.state AS ENUM ('new');",
    ),
    ("0003_name.up.sql", "ALTER TABLE app.item ADD COLUMN name text NOT NULL DEFAULT 'x';"),
    ("0003_name.down.sql", "ALTER TABLE app.item DROP COLUMN name;"),
];

#[test]
fn a_kill_at_every_message_of_up() {
    at_every_message(&SERVER, &UP, Interruption::Kill);
}

#[test]
fn a_kill_at_every_message_of_down() {
    at_every_message(&SERVER, &DOWN, Interruption::Kill);
}

#[test]
fn a_network_that_fails_before_every_message_of_up() {
    at_every_message(&SERVER, &UP, Interruption::Network(Fault::CutBefore));
}

#[test]
fn a_network_that_fails_after_every_message_of_up() {
    at_every_message(&SERVER, &UP, Interruption::Network(Fault::CutAfter));
}

#[test]
fn a_network_that_fails_after_every_message_of_down() {
    at_every_message(&SERVER, &DOWN, Interruption::Network(Fault::CutAfter));
}

#[test]
fn a_network_that_fails_after_every_message_of_up_on_the_other_version() {
    at_every_message(&BUNDLED, &UP, Interruption::Network(Fault::CutAfter));
}

/// A command, and what comes before it.
struct Job {
    before: &'static str,
    arguments: &'static [&'static str],
}

const UP: Job =
    Job { before: "DROP SCHEMA IF EXISTS app CASCADE", arguments: &["up", "--wait", "0"] };
/// As far as to the first migration: what the others leave is seen in its table.
const DOWN: Job =
    Job { before: "", arguments: &["down", "--to", "1", "--production", "--wait", "0"] };

#[derive(Clone, Copy)]
enum Interruption {
    Kill,
    Network(Fault),
}

fn at_every_message(server: &Postgres, job: &Job, interruption: Interruption) {
    let start = Instant::now();
    let project = Project::on(server, &FILES);
    let prepare = || match job.before {
        "" => assert_done(&project.migrate(&["up"])),
        sql => project.sql(sql),
    };
    prepare();
    assert_done(&project.migrate(job.arguments));
    let expected = project.snapshot();
    let proxy = Proxy::new(server.port());
    let url = proxy.url(&project.url, server.port());
    for at in 1.. {
        prepare();
        let mut command = project.command_at(&url, job.arguments);
        if !interrupt(&mut command, &proxy, at, interruption) {
            eprintln!("{} messages in {} s", at - 1, start.elapsed().as_secs());
            // A run has several transactions, and each has several messages.
            assert!(at > 30, "{at}");
            return;
        }
        assert_done(&project.migrate(job.arguments));
        assert_eq!(project.snapshot(), expected, "after an interruption at message {at}");
    }
}

/// Whether the run had as many messages.
fn interrupt(command: &mut Command, proxy: &Proxy, at: usize, how: Interruption) -> bool {
    let fault = match how {
        Interruption::Kill => Fault::Silence,
        Interruption::Network(fault) => fault,
    };
    let (plan, hears) = proxy.plan(fault, at);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    if let Interruption::Kill = how {
        let killed = kill_when_told(&mut child, &hears);
        child.wait().expect("it ends");
        return killed;
    }
    let output = child.wait_with_output().expect("it ends");
    match plan.has_happened() {
        // Nothing but saying good-bye was left to do.
        true if output.status.success() => {}
        true => assert_tells_what_happened(&output, at),
        false => assert_done(&output),
    }
    plan.has_happened()
}

fn kill_when_told(child: &mut Child, told: &std::sync::mpsc::Receiver<()>) -> bool {
    loop {
        match told.recv_timeout(Duration::from_millis(5)) {
            Ok(()) => {
                child.kill().expect("it is there");
                return true;
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the plan is there"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = child.try_wait().expect("it is there") {
            assert!(status.success(), "{status}");
            return told.try_recv().is_ok();
        }
    }
}

fn assert_tells_what_happened(output: &Output, at: usize) {
    let failed = failure(output, 75);
    let message = failed["message"].as_str().expect("it is text");
    assert!(message.contains("connection"), "at message {at}: {message}");
}
