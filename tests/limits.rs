//! The limits of the local host on slow and on numerous clients. Spin has none of them.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use http::Method;
use katas_host::Limits;
use serde_json::json;

use crate::support::http2::Http2;
use crate::support::{App, JSON, is_spin};

const MEBIBYTE: usize = 1 << 20;
const IDLE: Duration = Duration::from_millis(300);

/// Sends a request and closes the connection after the response.
fn get(app: &App, path: &str) -> String {
    app.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
}

/// Checks that a response is a 503 problem that asks for a retry.
#[track_caller]
fn assert_too_many(response: &str, what: &str) {
    let detail = format!("\"detail\":\"too many {what}; try again later\"");
    for part in [
        "HTTP/1.1 503 ",
        "retry-after: 1\r\n",
        "content-type: application/problem+json\r\n",
        &detail,
    ] {
        assert!(response.contains(part), "{response}");
    }
}

/// Repeats a request until its response has this status code.
fn wait_for_status(app: &App, path: &str, status: u16) {
    let start = Instant::now();
    while !get(app, path).starts_with(&format!("HTTP/1.1 {status} ")) {
        assert!(start.elapsed() < Duration::from_secs(10), "{path} does not return {status}");
    }
}

/// Returns a JSON body of `length` bytes for the kata `nth-char`.
fn words(length: usize) -> String {
    let frame = r#"{"words":[""]}"#;
    frame.replace("\"]", &format!("{}\"]", "a".repeat(length - frame.len())))
}

/// Sends a request with a body of `length` bytes except for its last byte.
fn begin_post(app: &App, length: usize) -> TcpStream {
    let body = words(length);
    let head = format!(
        "POST /api/v1/nth-char HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut connection = app.connect();
    // A rejected request may be closed before its body has been sent.
    let _ = connection.write_all([head.as_str(), &body[..length - 1]].concat().as_bytes());
    connection
}

/// Returns whether the server has responded or closed the connection.
fn has_response(connection: &TcpStream) -> bool {
    connection.set_nonblocking(true).expect("it is a socket");
    let peeked = connection.peek(&mut [0]);
    connection.set_nonblocking(false).expect("it is a socket");
    !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Waits until the server has responded on `count` of these connections.
fn wait_for_responses(connections: &[TcpStream], count: usize) {
    let start = Instant::now();
    while connections.iter().filter(|connection| has_response(connection)).count() < count {
        assert!(start.elapsed() < Duration::from_secs(10), "incomplete requests are not rejected");
        thread::yield_now();
    }
}

#[test]
fn connection_without_a_complete_request_is_closed() {
    if is_spin() {
        return;
    }
    let app = App::limited(Limits { idle: IDLE, ..Limits::default() });
    let half_heads: Vec<_> = (0..300)
        .map(|_| {
            let mut connection = app.connect();
            connection
                .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nX-a: ")
                .expect("the server reads");
            connection
        })
        .collect();
    assert!(get(&app, "/health").starts_with("HTTP/1.1 200 "));
    for mut connection in half_heads {
        connection.read_to_end(&mut Vec::new()).expect("the server closes the connection");
    }
    for nothing in ["", "PRI * HT"] {
        assert_eq!(app.raw(nothing.as_bytes()), "");
    }
    let kept_alive = app.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(kept_alive.starts_with("HTTP/1.1 200 "), "{kept_alive}");
    let mut http2 = Http2::start(app.connect(), &[]);
    http2.request("HEAD", "/health", &[]);
    assert_eq!(http2.read_response().status(), 200);
    while http2.read().is_some() {}
}

#[test]
fn head_beyond_the_limit_returns_431() {
    if is_spin() {
        return;
    }
    let app = App::limited(Limits { head_bytes: 16 << 10, ..Limits::default() });
    let request = |length| {
        let padding = "a".repeat(length);
        app.raw(
            format!(
                "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-a: {padding}\r\n\r\n"
            )
            .as_bytes(),
        )
    };
    assert!(request(12 << 10).starts_with("HTTP/1.1 200 "));
    assert!(request(24 << 10).starts_with("HTTP/1.1 431 "));
}

#[test]
fn incomplete_requests_leave_instances_to_others() {
    if is_spin() {
        return;
    }
    let app = App::limited(Limits { incomplete_bodies: 4, ..Limits::default() });
    let mut connections: Vec<_> = (0..24).map(|_| begin_post(&app, MEBIBYTE)).collect();
    wait_for_responses(&connections, 20);
    for connection in connections.extract_if(.., |connection| has_response(connection)) {
        let mut status = [0; 12];
        // The response may be lost when the connection is reset, because the body is not read.
        if (&connection).read_exact(&mut status).is_ok() {
            assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 503");
        }
    }
    let chunked = "POST /api/v1/nth-char HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_too_many(&app.raw(chunked.as_bytes()), "incomplete requests");
    let mut small = String::new();
    begin_post(&app, 100).read_to_string(&mut small).expect("the server responds");
    assert_too_many(&small, "incomplete requests");

    // Other requests are served, including one with a small body.
    assert_eq!(app.post("/api/v1/nth-char", &json!({"words": ["abc"]})).status, 200);
    for path in ["/health", "/db-check", "/.well-known/spin/health"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }

    // Once one body is complete, another one is accepted.
    connections[0].write_all(b"}").expect("the server reads");
    let mut response = String::new();
    connections[0].read_to_string(&mut response).expect("the server responds");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    let large = app.request(Method::POST, "/api/v1/nth-char", &[JSON], words(MEBIBYTE));
    assert_eq!(large.status, 200);
}

#[test]
fn http_2_streams_with_incomplete_bodies_leave_instances_to_others() {
    if is_spin() {
        return;
    }
    let limits = Limits { incomplete_bodies: 4, http2_streams: 50, ..Limits::default() };
    let app = App::limited(limits);
    let mut connections: Vec<_> = (0..5).map(|_| Http2::start(app.connect(), &[])).collect();
    for connection in &mut connections {
        for _ in 0..50 {
            let fields = [("content-type", "application/json"), ("content-length", "100")];
            connection.request_with_body("POST", "/api/v1/nth-char", &fields);
        }
    }
    for path in ["/health", "/db-check", "/.well-known/spin/health"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
    // All requests are rejected except the four with an instance.
    for connection in &mut connections {
        let mut answered = BTreeSet::new();
        while answered.len() < 50 - 4 {
            let frame = connection.read_response();
            if answered.insert(frame.stream) {
                assert_eq!(frame.status(), 503);
            }
        }
    }
}

#[test]
fn requests_beyond_the_instance_limit_return_503() {
    if is_spin() {
        return;
    }
    let app = App::limited(Limits { instances: 4, ..Limits::default() });
    let incomplete: Vec<_> = (0..8).map(|_| begin_post(&app, 100)).collect();
    wait_for_responses(&incomplete, 4);
    assert_too_many(&get(&app, "/health"), "requests in progress");
    assert!(get(&app, "/.well-known/spin/health").starts_with("HTTP/1.1 200 "));
    drop(incomplete);
    wait_for_status(&app, "/health", 200);
}

#[test]
fn connections_beyond_the_limit_return_503_except_for_liveness() {
    if is_spin() {
        return;
    }
    let app = App::limited(Limits { connections: 4, ..Limits::default() });
    let held: Vec<_> = (0..4).map(|_| app.connect()).collect();
    assert_too_many(&get(&app, "/health"), "connections");
    assert!(get(&app, "/.well-known/spin/health").starts_with("HTTP/1.1 200 "));
    // A connection beyond the limit is closed after a second.
    assert_eq!(app.raw(b"GET /health HTTP/1.1\r\n"), "");
    drop(held);
    wait_for_status(&app, "/health", 200);
}

#[test]
fn exhausted_pool_returns_503_and_readiness_does_not_wait() {
    if is_spin() {
        return;
    }
    let app = App::limited(Limits { pool_wait: IDLE, ..Limits::default() });
    let lock = app.hold("LOCK TABLE katas.entry");
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| get(&app, "/api/v1/look/Apple"));
        }
        app.wait_for_value(
            "SELECT count(*)::text FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
            "64",
        );
        let start = Instant::now();
        assert_eq!(app.get("/db-check").status, 200);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        let rejected = app.get("/api/v2/users");
        rejected.assert_problem(503, "database unavailable; try again later");
        let log = app.wait_for_log("{\"component\":\"users\"", 1).join("\n");
        assert!(log.contains("all 64 pooled connections were in use for 300ms"), "{log}");
        drop(lock);
    });
    assert_eq!(app.get("/api/v2/users").status, 200);
}

#[test]
fn body_without_progress_times_out() {
    if is_spin() {
        return;
    }
    let app = App::limited_probe(Limits { body_idle: IDLE, ..Limits::default() });
    let request = "POST /do/open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Content-Length: 100\r\n\r\nnonsense";
    // The guest treats the error as the end of the body.
    let response = app.raw(request.as_bytes());
    assert!(response.contains("invalid connection string"), "{response}");
}
