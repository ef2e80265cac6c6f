//! Where the host is kinder than Spin, or warns of what would hurt there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use http::Method;

use crate::support::{App, cluster, is_spin};

/// The one warning that a request causes.
fn warning(path: &str, body: &str) -> String {
    let app = App::probe();
    assert_eq!(app.request(Method::POST, path, &[], body).status, 200);
    if is_spin() {
        return "Spin does not warn".to_owned();
    }
    let [warning] = app.wait_for_log("warning: probe: ", 1).try_into().expect("one warning");
    warning
}

#[test]
fn what_hurts_under_spin_is_warned_of() {
    for (path, body, hint) in [
        ("/do/two", "", "a second database connection"),
        ("/do/leave-open", "", "a transaction was left open"),
        ("/do/head-first", "", "the head was sent before the body"),
        ("/do/query", "SELECT now()", "select it as text"),
    ] {
        let warning = warning(path, body);
        assert!(is_spin() || warning.contains(hint), "{path}: {warning}");
    }
}

#[test]
fn query_without_rows_is_warned_of() {
    // Spin 4.0 would never return from it.
    if !is_spin() {
        assert!(warning("/do/query", "SELECT WHERE false").contains("a query without rows"));
    }
}

#[test]
fn an_address_beside_the_host_is_refused() {
    // Under Spin, it leads around `allowed_outbound_hosts`.
    let app = App::probe();
    let port = cluster().postgres.port();
    let url = format!("host=127.0.0.1 hostaddr=127.0.0.2 port={port} user=u password=p");
    let told = app.request(Method::POST, "/do/open", &[], url).body;
    let refused = r#"Err(Error::ConnectionFailed("hostaddr is not supported"))"#;
    assert_eq!(told == refused, !is_spin(), "{told}");
}

#[test]
fn guests_that_compute_do_not_keep_others_waiting() {
    if is_spin() {
        return; // there they do
    }
    let app = App::probe();
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let compute = || app.get("/do/compute?2000");
        let computing: Vec<_> = (0..2 * workers).map(|_| scope.spawn(compute)).collect();
        app.wait_for_log("computing", 2 * workers);
        assert_eq!(app.get("/do/headers").status, 200);
        assert_eq!(app.get("/.well-known/spin/health").status, 200);
        assert!(computing.iter().all(|request| !request.is_finished()), "they kept it waiting");
    });
}

#[test]
fn a_request_under_way_is_finished_when_the_host_stops() {
    if is_spin() {
        return; // there it is not
    }
    let app = App::probe();
    let mut request = TcpStream::connect(app.authority()).expect("the server accepts");
    request
        .write_all(b"GET /do/compute?200 HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("the server reads");
    app.wait_for_log("computing", 1);
    let authority = app.authority().to_owned();
    drop(app);
    let mut answer = String::new();
    request.read_to_string(&mut answer).expect("the server closes");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("0\r\n\r\n"), "{answer}");
    assert!(TcpStream::connect(authority).is_err(), "it still listens");
}

#[test]
fn a_header_that_is_not_utf_8_is_400() {
    let app = App::probe();
    let answer =
        app.raw(b"GET /do/headers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Odd: \xff\r\n\r\n");
    // Spin takes it for a mistake of its own, and says nothing more.
    let (status, end) =
        if is_spin() { ("500 ", "\r\n\r\n") } else { ("400 ", "\"a header is not UTF-8\"}") };
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert!(answer.ends_with(end), "{answer}");
}
