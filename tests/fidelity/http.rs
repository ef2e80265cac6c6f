//! Requests, responses, variables and guest output.

use http::Method;
use serde_json::json;

use crate::support::http2::Http2;
use crate::support::{App, is_spin};

/// Returns the headers that the guest receives, with placeholders for the values that vary.
fn received_headers(app: &App, path: &str, headers: &[(&str, &str)]) -> String {
    let headers = [&[("user-agent", "test")], headers].concat();
    let response = app.request(Method::GET, path, &headers, "");
    assert_eq!(response.status, 200, "{response:?}");
    let lines = response.body.lines().map(|line| {
        if line.starts_with("spin-client-addr: 127.0.0.1:") {
            "spin-client-addr: <client>".to_owned()
        } else {
            line.replace(app.authority(), "<host>")
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn guest_receives_headers_of_client_and_spin() {
    let app = App::probe();
    let expected = "\
http <host>
accept: */*
spin-client-addr: <client>
user-agent: test
spin-path-info: /headers
spin-full-url: http://<host>/do/headers?a=%20
spin-matched-route: /do/...
spin-base-path: /
spin-raw-component-route: /do/...
spin-component-route: /do";
    assert_eq!(received_headers(&app, "/do/headers?a=%20", &[]), expected);
}

#[test]
fn guest_receives_path_parameters_percent_encoded() {
    let app = App::probe();
    let expected = "\
http <host>
accept: */*
spin-path-match-some-name: A%20b
user-agent: test
spin-path-info: /rest/
spin-full-url: http://<host>/named/A%20b/rest/
spin-matched-route: /named/:some_name/...
spin-base-path: /
spin-raw-component-route: /named/:some_name/...
spin-component-route: /named/:some_name
spin-client-addr: <client>";
    assert_eq!(received_headers(&app, "/named/A%20b/rest/", &[]), expected);
}

#[test]
fn forged_spin_header_precedes_the_genuine_one() {
    let app = App::probe();
    let forged = [("spin-path-info", "/evil"), ("x-a", "1"), ("X-A", "2")];
    let expected = "\
http <host>
accept: */*
spin-client-addr: <client>
user-agent: test
spin-path-info: /evil
spin-path-info: /headers
x-a: 1
x-a: 2
spin-full-url: http://<host>/do/headers
spin-matched-route: /do/...
spin-base-path: /
spin-raw-component-route: /do/...
spin-component-route: /do";
    assert_eq!(received_headers(&app, "/do/headers", &forged), expected);
}

#[test]
fn missing_or_conflicting_host_closes_the_connection() {
    let app = App::probe();
    assert_eq!(app.raw(b"GET /do/headers HTTP/1.0\r\n\r\n"), "");
    assert_eq!(app.raw(b"GET http://a/do/headers HTTP/1.1\r\nHost: b\r\n\r\n"), "");
    let same = b"GET http://a/do/headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(app.raw(same).contains("spin-full-url: http://a/do/headers"));
}

#[test]
fn repeated_host_and_content_length_are_accepted_or_rejected_by_hyper() {
    let app = App::probe();
    for (headers, body, status) in [
        // Accepted, although RFC 9112 requires 400 (section 3.2).
        ("Host: x\r\nHost: y\r\nContent-Length: 2", "ok", 200),
        ("Host: x\r\nContent-Length: 2\r\nContent-Length: 2", "ok", 200),
        ("Host: x\r\nContent-Length: 2\r\nContent-Length: 3", "ok", 400),
        ("Host: x\r\nContent-Length: 2, 2", "ok", 400),
        ("Host: x\r\nContent-Length: +2", "ok", 400),
        ("Host: x\r\nTransfer-Encoding: Chunked", "2\r\nok\r\n0\r\n\r\n", 200),
        ("Host: x\r\nContent-Length: 9\r\nTransfer-Encoding: chunked", "2\r\nok\r\n0\r\n\r\n", 200),
    ] {
        let request =
            format!("POST /do/headers HTTP/1.1\r\nConnection: close\r\n{headers}\r\n\r\n{body}");
        let response = app.raw(request.as_bytes());
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {response}");
    }
    let first =
        app.raw(b"GET /do/headers HTTP/1.1\r\nConnection: close\r\nHost: x\r\nHost: y\r\n\r\n");
    assert!(first.contains("spin-full-url: http://x/do/headers"), "{first}");
}

#[test]
fn well_known_paths_and_static_responses_run_no_guest() {
    let app = App::probe();
    let health = app.get("/.well-known/spin/health");
    assert_eq!((health.status, health.body.as_str()), (200, "OK"));
    let info = app.get("/.well-known/spin/info");
    info.assert_json(200, &json!({"name": "probe", "version": "1.2.3"}));
    for path in ["/.well-known/spin/other", "/.well-known/spin/", "/nothing", "/Static"] {
        let missing = app.get(path);
        assert_eq!((missing.status, missing.body.as_str()), (404, ""), "{path}");
    }
    for path in ["/static", "/static/", "/static?a=b"] {
        let fixed = app.get(path);
        assert_eq!((fixed.status, fixed.body.as_str()), (203, "fixed"), "{path}");
        assert_eq!(fixed.header("x-fixed"), "yes");
    }
}

#[test]
fn head_response_without_guest_has_content_over_http_2_on_spin_only() {
    let app = App::probe();
    for (path, status) in [("/.well-known/spin/health", 200), ("/static", 203)] {
        let head = app.raw(
            format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        let length = app.get(path).body.len();
        assert!(head.to_lowercase().contains(&format!("content-length: {length}\r\n")), "{head}");
        let mut http2 = Http2::start(app.connect(), &[]);
        http2.request("HEAD", path, &[]);
        let head = http2.read_response();
        assert_eq!((head.status(), head.ends_stream()), (status, !is_spin()), "{path}");
    }
}

#[test]
fn head_response_of_guest_with_body_has_content_over_http_2_on_spin_only() {
    let app = App::probe();
    let http1 = app.raw(b"HEAD /do/headers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(http1.starts_with("HTTP/1.1 200 ") && http1.ends_with("\r\n\r\n"), "{http1}");
    let mut http2 = Http2::start(app.connect(), &[]);
    http2.request("HEAD", "/do/headers", &[]);
    let head = http2.read_response();
    assert_eq!((head.status(), head.ends_stream()), (200, !is_spin()));
}

#[test]
fn failed_guest_returns_empty_500() {
    let app = App::probe();
    for path in ["/do/trap", "/do/no-response"] {
        let failed = app.get(path);
        assert_eq!((failed.status, failed.body.as_str()), (500, ""), "{path}");
    }
    // The next request runs in a new instance.
    assert_eq!(app.get("/do/headers").status, 200);
}

#[test]
fn guest_that_traps_after_the_head_returns_truncated_200() {
    let app = App::probe();
    let response = app.raw(b"GET /do/late-trap HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    // The chunked body is terminated properly, so clients cannot detect the truncation.
    assert!(response.ends_with("half of the answ\r\n0\r\n\r\n"), "{response}");
}

#[test]
fn guest_reads_only_its_own_variables_and_environment() {
    let app = App::probe();
    assert_eq!(app.get("/do/environment").body, r#"[("FROM_MANIFEST", "yes")]"#);
    let greeting = app.get("/do/variable?greeting").body;
    assert!(greeting.starts_with("Ok(\"hello 127.0.0.1:"), "{greeting}");
    // The application declares this variable, but the component does not.
    let undeclared = app.get("/do/variable?database_host").body;
    assert_eq!(
        undeclared,
        r#"Err(Error::Undefined("no variable for \"probe\".\"database_host\""))"#
    );
    let invalid = app.get("/do/variable?Bad").body;
    assert!(invalid.starts_with("Err(Error::InvalidName("), "{invalid}");
}

#[test]
fn guest_output_is_logged_line_by_line() {
    let app = App::probe();
    assert_eq!(app.get("/do/print").body, "printed");
    for line in ["one line", "half a line", "to standard error"] {
        assert_eq!(app.wait_for_log(line, 1), [line]);
    }
}
