//! Deliberate differences between the local host and Spin, and the host's warnings. The limits on
//! clients are in `tests/limits.rs`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use http::Method;

use crate::support::{App, cluster, is_spin};

/// Sends a request and returns the only warning that it causes.
fn warning(path: &str, body: &str) -> String {
    let app = App::probe();
    assert_eq!(app.request(Method::POST, path, &[], body).status, 200);
    if is_spin() {
        return "Spin does not warn".to_owned();
    }
    let [warning] = app.wait_for_log("warning: probe: ", 1).try_into().expect("a single warning");
    warning
}

#[test]
fn guest_behavior_that_is_unsafe_on_spin_logs_a_warning() {
    for (path, body, expected) in [
        ("/do/two", "", "a second database connection"),
        ("/do/leave-open", "", "a transaction was left open"),
        ("/do/head-first", "", "the head was sent before the body"),
        ("/do/query", "SELECT now()", "select it as text"),
    ] {
        let warning = warning(path, body);
        assert!(is_spin() || warning.contains(expected), "{path}: {warning}");
    }
}

#[test]
fn connections_opened_in_turn_log_no_warning() {
    let app = App::probe();
    assert_eq!(app.get("/do/two-in-turn").body, "opened");
    let warnings: Vec<_> =
        app.log().into_iter().filter(|line| line.starts_with("warning: ")).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn query_without_rows_logs_a_warning() {
    // Spin 4.0 never returns from it.
    if !is_spin() {
        assert!(warning("/do/query", "SELECT WHERE false").contains("a query without rows"));
    }
}

#[test]
fn connection_string_with_hostaddr_is_rejected() {
    // On Spin, hostaddr bypasses `allowed_outbound_hosts`.
    let app = App::probe();
    let port = cluster().postgres.port();
    let url = format!("host=127.0.0.1 hostaddr=127.0.0.2 port={port} user=u password=p");
    let result = app.request(Method::POST, "/do/open", &[], url).body;
    let rejected = r#"Err(Error::ConnectionFailed("hostaddr is not supported"))"#;
    assert_eq!(result == rejected, !is_spin(), "{result}");
}

#[test]
fn session_state_does_not_reach_the_next_request() {
    let app = App::probe();
    let query = |sql: &str| app.request(Method::POST, "/do/query", &[], sql).body;
    for (statement, state) in [
        ("SET application_name = 'left'", "pg_settings WHERE setting = 'left'"),
        ("CREATE TEMP TABLE remains ()", "pg_class WHERE relname = 'remains'"),
        ("LISTEN remains", "pg_listening_channels()"),
        ("DECLARE remains CURSOR WITH HOLD FOR SELECT 1", "pg_cursors WHERE name = 'remains'"),
        (
            "SELECT pg_advisory_lock(1)",
            "pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        ),
        // Under Spin, the next request can execute the statement.
        ("PREPARE remains AS SELECT 1", "pg_prepared_statements WHERE name = 'remains'"),
        ("DEALLOCATE ALL", "pg_prepared_statements WHERE name = 'remains'"),
        ("DISCARD ALL", "pg_prepared_statements WHERE name = 'remains'"),
    ] {
        let result = app.request(Method::POST, "/do/execute", &[], statement).body;
        assert!(result.starts_with("Ok("), "{statement}: {result}");
        let remains = !query(&format!("SELECT count(*) FROM {state}")).contains("Int64(0)");
        let is_prepared = statement.starts_with("PREPARE");
        assert_eq!(remains, is_prepared && is_spin(), "{statement}");
    }
}

#[test]
fn computing_guests_do_not_block_other_requests() {
    if is_spin() {
        return; // Spin does not preempt guests.
    }
    let app = App::probe();
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let compute = || app.get("/do/compute?2000");
        let computing: Vec<_> = (0..2 * workers).map(|_| scope.spawn(compute)).collect();
        app.wait_for_log("computing", 2 * workers);
        assert_eq!(app.get("/do/headers").status, 200);
        assert_eq!(app.get("/.well-known/spin/health").status, 200);
        assert!(computing.iter().all(|request| !request.is_finished()), "the requests waited");
    });
}

#[test]
fn request_in_progress_finishes_during_shutdown() {
    if is_spin() {
        return; // Spin aborts it.
    }
    let app = App::probe();
    let mut request = TcpStream::connect(app.authority()).expect("the server accepts");
    request
        .write_all(b"GET /do/compute?200 HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("the server reads");
    app.wait_for_log("computing", 1);
    let authority = app.authority().to_owned();
    drop(app);
    let mut response = String::new();
    request.read_to_string(&mut response).expect("the server closes the connection");
    let complete = response.starts_with("HTTP/1.1 200 ") && response.ends_with("0\r\n\r\n");
    assert!(complete, "{response}");
    assert!(TcpStream::connect(authority).is_err(), "the server still listens");
}

#[test]
fn header_that_is_not_utf8_returns_400() {
    let app = App::probe();
    let response =
        app.raw(b"GET /do/headers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Odd: \xff\r\n\r\n");
    // Spin returns an empty 500.
    let (status, end) =
        if is_spin() { ("500 ", "\r\n\r\n") } else { ("400 ", "\"a header is not UTF-8\"}") };
    assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
    assert!(response.ends_with(end), "{response}");
}
