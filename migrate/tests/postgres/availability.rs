//! Servers that are starting up, out of connections, or silent: `migrate` waits and logs the reason.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use crate::proxy::{Fault, Proxy, read};
use crate::support::{
    Project, RUNTIME, Running, SERVER, assert_failed, assert_success, events, eventually, migrate,
    release, server, sql,
};

const ITEM: (&str, &str) = ("0001_item.up.sql", "CREATE TABLE app.item (id int);");

/// Asserts that the run succeeded after one `waiting_for_database` event.
#[track_caller]
fn assert_waited(output: &Output, reason: &str) {
    assert_success(output);
    let waits = events(output, "waiting_for_database");
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert!(waits[0]["reason"].as_str().expect("a string").contains(reason), "{waits:?}");
}

#[test]
fn unresolved_host_name_is_retried() {
    let url = "postgres://u:p-secret@no-such-host.invalid:5432/x";
    let mut command = migrate(url, &["up", "--wait", "0"]);
    let output = command.env_remove("MIGRATE_LOG").output().expect("run migrate");
    assert_failed(&output, 75, "no-such-host.invalid:5432/x: ");
    let mut command = migrate(url, &["up", "--wait", "0.5"]);
    let output = command.env_remove("MIGRATE_LOG").output().expect("run migrate");
    assert_failed(&output, 75, "no-such-host.invalid:5432/x: ");
    assert_eq!(events(&output, "waiting_for_database").len(), 1);
}

/// Starts a server that answers three connections with "starting up" and then refuses connections.
fn start_server_that_is_starting_up() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
    let port = listener.local_addr().expect("local address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten().take(3) {
            let _ = read(&client, false);
            let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
            let length = u32::try_from(fields.len() + 4).expect("a short message");
            let _ = (&client).write_all(&[b"E", &length.to_be_bytes()[..], fields].concat());
        }
    });
    port
}

#[test]
fn server_that_is_starting_up_is_waited_for() {
    let project = Project::new(&[ITEM]);
    let port = SERVER.port();
    let url = |port: u16| project.url.replace(&SERVER.port().to_string(), &port.to_string());
    let output = project
        .command_at(&url(start_server_that_is_starting_up()), &["up", "--wait", "0"])
        .output();
    assert_failed(&output.expect("run migrate"), 75, "the database system is starting up (57P03)");
    // Each reason is logged once.
    let output = project
        .command_at(&url(start_server_that_is_starting_up()), &["up", "--wait", "2"])
        .output();
    let output = output.expect("run migrate");
    assert_failed(&output, 75, "Connection refused");
    let reasons = events(&output, "waiting_for_database");
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0]["reason"].as_str().expect("a string").contains("57P03"));
    assert_success(&project.command_at(&url(port), &["up"]).output().expect("run migrate"));
}

#[test]
fn exhausted_role_connection_limit_is_waited_for() {
    let project = Project::new(&[ITEM]);
    project.sql(&format!(
        "CREATE ROLE narrow LOGIN PASSWORD 'n-secret' CONNECTION LIMIT 1;
         GRANT CREATE ON DATABASE {} TO narrow",
        project.name
    ));
    let url = SERVER.url("narrow", "n-secret", &project.name);
    let held = RUNTIME.block_on(PgConnection::connect(&url)).expect("connect");
    let output = project.command_at(&url, &["up", "--wait", "0"]).output().expect("run migrate");
    assert_failed(&output, 75, "too many connections for role \"narrow\" (53300)");
    let mut running = Running::start(&mut project.command_at(&url, &["up"]));
    running.wait_for_event("waiting_for_database");
    release(held);
    // One connection is enough: the second, which looks up blocking sessions, is optional.
    assert_waited(&running.finish(), "53300");
}

#[test]
fn exhausted_server_connection_limit_is_waited_for() {
    let mut server = server();
    sql(&server.administrator("postgres"), "ALTER SYSTEM SET max_connections = 6");
    RUNTIME.block_on(server.restart()).expect("restart the server");
    let project = Project::on(&server, &[ITEM]);
    // Three of the six are reserved for superusers.
    let mut held = Vec::new();
    eventually("all connections are taken, even those of closing sessions", || {
        held.extend(RUNTIME.block_on(PgConnection::connect(&project.url)));
        held.len() == 3
    });
    let output = project.migrate(&["up", "--wait", "0"]);
    assert_failed(&output, 75, "(53300)");
    let mut running = project.start(&["up"]);
    running.wait_for_event("waiting_for_database");
    held.into_iter().for_each(release);
    assert_waited(&running.finish(), "53300");
}

#[test]
fn silent_connection_is_reported_as_unavailable() {
    let project = Project::new(&[ITEM]);
    let files = migrate::Project::read(project.folder.path()).expect("read project");
    let proxy = Proxy::new(SERVER.port());
    let url = proxy.url(&project.url, SERVER.port());
    let silence = Duration::from_millis(300);
    let database = migrate::Database::new(&url).expect("parse URL").unreachable_after(silence);
    // In the middle of the first transaction.
    let (_plan, _occurred) = proxy.plan(Fault::Silence, 15);
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
    assert_success(&project.migrate(&["up"]));
}

#[test]
fn sessions_use_keepalives_that_detect_failed_node() {
    let project = Project::new(&[(
        "0001_item.up.sql",
        "CREATE TABLE app.item AS SELECT concat_ws(' ',
           current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
           current_setting('tcp_keepalives_count'),
           current_setting('client_connection_check_interval')) AS settings",
    )]);
    assert_success(&project.migrate(&["up"]));
    // Detects a failed node within 30 s, and keeps load balancers from dropping idle connections.
    assert!(project.snapshot().ends_with("row (\"15 5 3 2s\")"), "{}", project.snapshot());
}

#[test]
fn password_that_is_set_late_is_waited_for() {
    let project = Project::new(&[ITEM]);
    let url = SERVER.url("late", "l-secret", &project.name);
    let up = |wait: &str| project.command_at(&url, &["up", "--wait", wait]);
    let output = up("0.3").output().expect("run migrate");
    assert_failed(&output, 9, "28P01");
    let mut running = Running::start(&mut up("60"));
    running.wait_for_event("waiting_for_database");
    // As CloudNativePG does: the role first, and its password later.
    project.sql(&format!(
        "CREATE ROLE late LOGIN; GRANT CREATE ON DATABASE {} TO late;
         ALTER ROLE late PASSWORD 'l-secret'",
        project.name
    ));
    assert_waited(&running.finish(), "28P01");
}

#[test]
fn password_is_not_sent_without_tls_to_remote_server_unless_requested() {
    let project = Project::new(&[ITEM]);
    // An address of this machine that is not a loopback address.
    let url = project.url.replace("127.0.0.1", "0.0.0.0").replace("?sslmode=disable", "");
    assert!(url.contains("@0.0.0.0:"), "{url}");
    let output = project.command_at(&url, &["up"]).output().expect("run migrate");
    assert_failed(&output, 9, "add sslmode=disable");
    let url = format!("{url}?sslmode=disable");
    assert_success(&project.command_at(&url, &["up"]).output().expect("run migrate"));
}
