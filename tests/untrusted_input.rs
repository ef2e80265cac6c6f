//! Untrusted input: oversized and truncated bodies, forged headers, SQL injection, invalid HTTP.

use std::io::{Read, Write};

use http::Method;
use serde_json::json;

use crate::support::{App, JSON};

const MEBIBYTE: usize = 1 << 20;

/// Returns an entry as a JSON object of exactly `length` bytes.
fn body(length: usize) -> String {
    let frame = r#"{"word":"a","definition":"","padding":""}"#;
    frame.replace("padding\":\"", &format!("padding\":\"{}", "x".repeat(length - frame.len())))
}

#[test]
fn body_larger_than_one_mebibyte_returns_413() {
    let app = App::start();
    let send = |length| app.request(Method::POST, "/api/v1/newentry", &[JSON], body(length));
    assert_eq!(send(MEBIBYTE).status, 201);
    let detail = format!("the body exceeds {MEBIBYTE} bytes");
    send(MEBIBYTE + 1).assert_problem(413, &detail);
}

#[test]
fn early_response_is_sent_before_the_body_ends_and_keeps_the_connection() {
    let app = App::start();
    for (path, status) in [("/api/v1/newentry", 413), ("/nothing", 404), ("/health", 405)] {
        let body = body(MEBIBYTE + 1);
        let (sent, unsent) = body.split_at(MEBIBYTE / 2);
        let mut connection = app.connect();
        let length = body.len();
        let first = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{sent}"
        );
        connection.write_all(first.as_bytes()).expect("the server reads");
        let mut line = [0; 12];
        connection.read_exact(&mut line).expect("the server responds");
        assert_eq!(String::from_utf8_lossy(&line), format!("HTTP/1.1 {status}"));
        let second = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        connection.write_all([unsent, second].concat().as_bytes()).expect("the server reads on");
        let mut rest = String::new();
        connection.read_to_string(&mut rest).expect("the server closes after the second response");
        assert!(rest.contains("HTTP/1.1 200 "), "{path}: {rest}");
    }
}

#[test]
fn client_that_reads_only_after_sending_gets_the_413() {
    let app = App::start();
    let body = vec![b'x'; 100 * MEBIBYTE];
    for (path, content_type, length, limit) in [
        ("/api/v1/newentry", "application/json", 20 * MEBIBYTE, MEBIBYTE),
        ("/api/v1/datasets?name=a", "text/csv", 100 * MEBIBYTE, 64 * MEBIBYTE),
    ] {
        let mut connection = app.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).expect("the server reads");
        connection.write_all(&body[..length]).expect("the server reads the whole body");
        let mut response = String::new();
        connection.read_to_string(&mut response).expect("the connection is not reset");
        assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
        assert!(response.contains(&format!("the body exceeds {limit} bytes")), "{response}");
    }
}

#[test]
fn chunked_body_larger_than_one_mebibyte_returns_413() {
    let app = App::start();
    let head = "POST /api/v1/newentry HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = body(MEBIBYTE + 1);
    let chunked = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert!(app.raw(chunked.as_bytes()).starts_with("HTTP/1.1 413 "));
}

#[test]
fn content_length_larger_than_one_mebibyte_returns_413_before_the_body_is_sent() {
    let app = App::start();
    let request = "POST /api/v1/newentry HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n";
    assert!(app.raw(request.as_bytes()).starts_with("HTTP/1.1 413 "));
}

#[test]
fn forged_spin_headers_are_ignored() {
    let app = App::start();
    app.put("/api/v2/entries/Apple", &json!({"definition": "A fruit"}));
    for name in [
        "spin-path-info",
        "spin-full-url",
        "spin-matched-route",
        "spin-raw-component-route",
        "spin-component-route",
        "spin-base-path",
        "spin-client-addr",
        "spin-path-match-word",
    ] {
        let forged = [(name, "/api/v2/entries/Pear")];
        let found = app.request(Method::GET, "/api/v2/entries/Apple", &forged, "");
        assert_eq!(found.json()["word"], "Apple", "{name}");
        app.request(Method::GET, "/api/v2/entries/Pear", &forged, "").problem(404);
    }
}

#[test]
fn sql_in_a_value_is_stored_as_text() {
    let app = App::start();
    for sql in [
        "'; DROP TABLE katas.entry; --",
        "' OR '1'='1",
        "$1",
        "\\'; SELECT pg_sleep(10); --",
        "a') RETURNING (SELECT passwd FROM pg_shadow LIMIT 1) --",
        "{{ database_url }}",
    ] {
        let entry = json!({"word": sql, "definition": sql});
        app.post("/api/v1/newentry", &entry).assert_json(201, &entry);
        let encoded: String = sql.bytes().map(|byte| format!("%{byte:02X}")).collect();
        app.get(&format!("/api/v1/look/{encoded}")).assert_json(200, &entry);
        let page = app.get(&format!("/api/v2/entries?prefix={encoded}")).json();
        assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{sql}");
        app.get(&format!("/api/v1/entries?skip={encoded}")).problem(400);
        app.get(&format!("/api/v2/entries?after={encoded}")).problem(400);
        let tag = format!("\"{sql}\"");
        let put = [JSON, ("If-Match", tag.as_str())];
        app.request(Method::PUT, "/api/v2/entries/x", &put, r#"{"definition":""}"#).problem(412);
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "6");
}

#[test]
fn database_error_is_logged_but_not_returned() {
    let app = App::start();
    app.sql("ALTER TABLE katas.entry ALTER COLUMN word TYPE varchar(3)");
    let response = app.post("/api/v1/newentry", &json!({"word": "Apple", "definition": "secret"}));
    response.assert_problem(500, "internal error; the cause has been logged");
    let log = app.wait_for_log("{", 1).join("\n");
    assert!(log.contains("value too long for type character varying(3)"), "{log}");
}

#[test]
fn invalid_http_closes_the_connection_without_a_response() {
    let app = App::start();
    for request in [
        "GET /health HTTP/1.0\r\n\r\n",
        "GET http://a/health HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(app.raw(request.as_bytes()), "", "{request}");
    }
    let absolute = "GET http://a/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(app.raw(absolute.as_bytes()).starts_with("HTTP/1.1 200 "));
}

#[test]
fn truncated_body_stores_nothing() {
    let app = App::start();
    let request = "POST /api/v1/newentry HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                   Content-Length: 100\r\n\r\n{\"word\":\"Apple\",\"definition\":\"";
    app.send_and_disconnect(request.as_bytes());
    assert_eq!(app.get("/health").status, 200);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}
