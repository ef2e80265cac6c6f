//! A database that is not there yet, is full, or goes silent: it is waited for, with a reason.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use crate::proxy::{Fault, Proxy, read};
use crate::support::{
    Project, RUNTIME, Running, SERVER, assert_done, assert_failed, events, eventually, migrate,
    release, server, sql,
};

const ITEM: (&str, &str) = ("0001_item.up.sql", "CREATE TABLE app.item (id int);");

/// It has waited, and told so once.
#[track_caller]
fn assert_waited(output: &Output, reason: &str) {
    assert_done(output);
    let waits = events(output, "waiting_for_database");
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert!(waits[0]["reason"].as_str().expect("it is text").contains(reason), "{waits:?}");
}

#[test]
fn a_name_that_does_not_resolve_may_do_so_later() {
    let url = "postgres://u:p-secret@no-such-host.invalid:5432/x";
    let mut command = migrate(url, &["up", "--wait", "0"]);
    let output = command.env_remove("MIGRATE_LOG").output().expect("it runs");
    assert_failed(&output, 75, "no-such-host.invalid:5432/x: ");
    let mut command = migrate(url, &["up", "--wait", "0.5"]);
    let output = command.env_remove("MIGRATE_LOG").output().expect("it runs");
    assert_failed(&output, 75, "no-such-host.invalid:5432/x: ");
    assert_eq!(events(&output, "waiting_for_database").len(), 1);
}

/// Says that it is starting up to the first three who ask; there is nobody for those after them.
fn starting_up() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten().take(3) {
            let _ = read(&client, false);
            let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
            let length = u32::try_from(fields.len() + 4).expect("it is short");
            let _ = (&client).write_all(&[b"E", &length.to_be_bytes()[..], fields].concat());
        }
    });
    port
}

#[test]
fn a_server_that_is_starting_up_is_waited_for() {
    let project = Project::new(&[ITEM]);
    let port = SERVER.port();
    let url = |port: u16| project.url.replace(&SERVER.port().to_string(), &port.to_string());
    let output = project.command_at(&url(starting_up()), &["up", "--wait", "0"]).output();
    assert_failed(&output.expect("it runs"), 75, "the database system is starting up (57P03)");
    // The same reason is told once; what comes after it is another.
    let output = project.command_at(&url(starting_up()), &["up", "--wait", "2"]).output();
    let output = output.expect("it runs");
    assert_failed(&output, 75, "Connection refused");
    let reasons = events(&output, "waiting_for_database");
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0]["reason"].as_str().expect("it is text").contains("57P03"));
    assert_done(&project.command_at(&url(port), &["up"]).output().expect("it runs"));
}

#[test]
fn a_role_without_a_connection_left_is_waited_for() {
    let project = Project::new(&[ITEM]);
    project.sql(&format!(
        "CREATE ROLE narrow LOGIN PASSWORD 'n-secret' CONNECTION LIMIT 1;
         GRANT CREATE ON DATABASE {} TO narrow",
        project.name
    ));
    let url = SERVER.url("narrow", "n-secret", &project.name);
    let held = RUNTIME.block_on(PgConnection::connect(&url)).expect("it is the first");
    let output = project.command_at(&url, &["up", "--wait", "0"]).output().expect("it runs");
    assert_failed(&output, 75, "too many connections for role \"narrow\" (53300)");
    let mut running = Running::start(&mut project.command_at(&url, &["up"]));
    running.event("waiting_for_database");
    release(held);
    // It does with one: who is in the way is looked up where that is possible.
    assert_waited(&running.end(), "53300");
}

#[test]
fn a_server_without_a_connection_left_is_waited_for() {
    let mut server = server();
    sql(&server.administrator("postgres"), "ALTER SYSTEM SET max_connections = 6");
    RUNTIME.block_on(server.restart()).expect("it starts again");
    let project = Project::on(&server, &[ITEM]);
    // Three are for superusers.
    let mut held = Vec::new();
    eventually("all are taken, also those of sessions that are ending", || {
        held.extend(RUNTIME.block_on(PgConnection::connect(&project.url)));
        held.len() == 3
    });
    let output = project.migrate(&["up", "--wait", "0"]);
    assert_failed(&output, 75, "(53300)");
    let mut running = project.start(&["up"]);
    running.event("waiting_for_database");
    held.into_iter().for_each(release);
    assert_waited(&running.end(), "53300");
}

#[test]
fn a_connection_that_has_gone_silent_is_given_up() {
    let project = Project::new(&[ITEM]);
    let files = RUNTIME.block_on(migrate::Project::read(project.folder.path())).expect("read");
    let proxy = Proxy::new(SERVER.port());
    let url = proxy.url(&project.url, SERVER.port());
    let silence = Duration::from_millis(300);
    let database = migrate::Database::new(&url).expect("a URL").unreachable_after(silence);
    // In the middle of the first transaction.
    let (_plan, _told) = proxy.plan(Fault::Silence, 15);
    let start = Instant::now();
    let error = RUNTIME.block_on(async {
        tokio::select! {
            up = migrate::up(&files, &database, migrate::UpOptions::default(), &|_| ()) => {
                panic!("{up:?}")
            }
            error = database.unreachable() => error,
        }
    });
    assert_eq!(error.exit_code(), 75);
    assert!(error.to_string().contains("has not answered for"), "{error}");
    assert!(start.elapsed() >= silence);
    let _ = proxy.plan(Fault::Silence, usize::MAX);
    assert_done(&project.migrate(&["up"]));
}

#[test]
fn a_node_that_fails_is_noticed_by_the_server() {
    let project = Project::new(&[(
        "0001_item.up.sql",
        "CREATE TABLE app.item AS SELECT concat_ws(' ',
           current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
           current_setting('tcp_keepalives_count'),
           current_setting('client_connection_check_interval')) AS settings",
    )]);
    assert_done(&project.migrate(&["up"]));
    // Half a minute, and before whoever forgets connections that are idle does so.
    assert!(project.snapshot().ends_with("row (\"15 5 3 2s\")"), "{}", project.snapshot());
}
