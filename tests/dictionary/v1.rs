//! Version 1 of the dictionary API.

use std::io::{Read, Write};
use std::net::TcpStream;

use http::Method;
use serde_json::{Value, json};

use crate::support::{App, JSON};

fn apple() -> Value {
    json!({"word": "Apple", "definition": "A fruit"})
}

#[test]
fn added_entry_can_be_looked_up() {
    let app = App::start();
    let added = app.post("/api/v1/newentry", &apple());
    added.assert_json(201, &apple());
    assert_eq!(added.header("api-version"), "1");
    let found = app.get("/api/v1/look/Apple");
    found.assert_json(200, &apple());
    assert_eq!(found.header("api-version"), "1");
}

#[test]
fn unversioned_paths_serve_version_1() {
    let app = App::start();
    app.post("/api/newentry", &apple()).assert_json(201, &apple());
    let found = app.get("/api/look/Apple");
    found.assert_json(200, &apple());
    assert_eq!(found.header("api-version"), "1");
    app.get("/api/entries").assert_json(200, &json!([apple()]));
    assert_eq!(app.delete("/api/entries/Apple").status, 200);
}

#[test]
fn existing_word_returns_400_and_keeps_its_entry() {
    let app = App::start();
    app.post("/api/v1/newentry", &apple());
    app.post("/api/v1/newentry", &json!({"word": "Apple", "definition": "A company"}))
        .assert_problem(400, "Entry for 'Apple' already exists");
    app.get("/api/v1/look/Apple").assert_json(200, &apple());
}

#[test]
fn unknown_word_returns_404() {
    let app = App::start();
    app.get("/api/v1/look/Apple").assert_problem(404, "Can't find entry for Apple");
    app.delete("/api/v1/entries/Apple").assert_problem(404, "Can't find entry for Apple");
}

#[test]
fn invalid_word_returns_404_on_read() {
    let app = App::start();
    let long = "a".repeat(201);
    let path = format!("/api/v1/look/{long}");
    app.get(&path).assert_problem(404, &format!("Can't find entry for {long}"));
    app.get("/api/v1/look/a%00b").assert_problem(404, "Can't find entry for a\0b");
    app.get("/api/v1/look/%FF").problem(400);
}

#[test]
fn deleted_entry_is_not_found() {
    let app = App::start();
    app.post("/api/v1/newentry", &apple());
    let message = "Entry for 'Apple' deleted successfully";
    app.delete("/api/v1/entries/Apple")
        .assert_json(200, &json!({"word": "Apple", "message": message}));
    app.get("/api/v1/look/Apple").problem(404);
    app.post("/api/v1/newentry", &apple()).assert_json(201, &apple());
}

#[test]
fn words_are_case_sensitive() {
    let app = App::start();
    for word in ["Apple", "apple", "APPLE"] {
        let entry = json!({"word": word, "definition": word});
        app.post("/api/v1/newentry", &entry).assert_json(201, &entry);
    }
    let entry = json!({"word": "apple", "definition": "apple"});
    app.get("/api/v1/look/apple").assert_json(200, &entry);
}

#[test]
fn words_may_contain_any_characters() {
    let app = App::start();
    let long = "ß".repeat(200);
    for (word, path) in [
        ("naïve café", "na%C3%AFve%20caf%C3%A9"),
        ("苹果🍎", "%E8%8B%B9%E6%9E%9C%F0%9F%8D%8E"),
        ("and/or", "and%2For"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("a+b", "a+b"),
        ("\"quoted\\\"\n\t", "%22quoted%5C%22%0A%09"),
        ("e\u{301}", "e%CC%81"),
        (".", "."),
        (" ", "%20"),
        ("'; DROP TABLE katas.entry; --", "'%3B%20DROP%20TABLE%20katas.entry%3B%20--"),
        (&long, &"%C3%9F".repeat(200)),
    ] {
        let entry = json!({"word": word, "definition": format!("means {word}")});
        app.post("/api/v1/newentry", &entry).assert_json(201, &entry);
        app.get(&format!("/api/v1/look/{path}")).assert_json(200, &entry);
        assert_eq!(app.delete(&format!("/api/v1/entries/{path}")).status, 200, "{word}");
    }
}

#[test]
fn definition_may_have_0_to_10000_characters() {
    let app = App::start();
    let long = "🦀".repeat(10_000);
    for (word, definition) in [("nothing", ""), ("much", &long)] {
        let entry = json!({"word": word, "definition": definition});
        app.post("/api/v1/newentry", &entry).assert_json(201, &entry);
        app.get(&format!("/api/v1/look/{word}")).assert_json(200, &entry);
    }
}

#[test]
fn invalid_entry_returns_all_errors() {
    let app = App::start();
    let add = |body: Value| app.post("/api/v1/newentry", &body);
    add(json!({})).assert_invalid(&[("/word", "is required"), ("/definition", "is required")]);
    add(json!({"word": "", "definition": "x".repeat(10_001)})).assert_invalid(&[
        ("/word", "must not be empty"),
        ("/definition", "must have at most 10000 characters"),
    ]);
    add(json!({"word": "a".repeat(201), "definition": "\0"})).assert_invalid(&[
        ("/word", "must have at most 200 characters"),
        ("/definition", "must not contain a NUL character"),
    ]);
    add(json!({"word": 5, "definition": null}))
        .assert_invalid(&[("/word", "must be a string"), ("/definition", "must be a string")]);
    add(json!(["Apple", "A fruit"])).assert_invalid(&[("", "must be an object")]);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}

#[test]
fn unknown_fields_are_ignored() {
    let app = App::start();
    let body = json!({"word": "Apple", "definition": "A fruit", "language": "en"});
    app.post("/api/v1/newentry", &body).assert_json(201, &apple());
}

#[test]
fn requests_that_are_not_json_are_rejected() {
    let app = App::start();
    let send = |headers: &[(&str, &str)], body: &str| {
        app.request(Method::POST, "/api/v1/newentry", headers, body)
    };
    for body in ["", "{", "word=Apple", "{\"word\":\"\\ud800\",\"definition\":\"\"}"] {
        send(&[JSON], body).problem(400);
    }
    let deep = format!("{{\"word\":{}", "[".repeat(500_000));
    send(&[JSON], &deep).problem(400);
    let body = apple().to_string();
    send(&[("Content-Type", "application/x-www-form-urlencoded")], &body).problem(415);
    send(&[], &body).problem(415);
    send(&[JSON, ("Content-Encoding", "gzip")], &body).problem(415);
    send(&[JSON, ("Accept", "text/html")], &body).problem(406);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}

#[test]
fn entries_are_listed_in_creation_order() {
    let app = App::start();
    app.get("/api/v1/entries").assert_json(200, &json!([]));
    for word in ["c", "a", "b"] {
        app.post("/api/v1/newentry", &json!({"word": word, "definition": ""}));
    }
    let words = |query: &str| {
        let list = app.get(&format!("/api/v1/entries{query}")).json();
        let words = list.as_array().expect("a list").iter().map(|entry| entry["word"].clone());
        Value::Array(words.collect())
    };
    assert_eq!(words(""), json!(["c", "a", "b"]));
    assert_eq!(words("?skip=1"), json!(["a", "b"]));
    assert_eq!(words("?skip=1&limit=1"), json!(["a"]));
    assert_eq!(words("?skip=9"), json!([]));
    app.delete("/api/v1/entries/c");
    app.post("/api/v1/newentry", &json!({"word": "c", "definition": ""}));
    assert_eq!(words("?limit=1000"), json!(["a", "b", "c"]));
}

#[test]
fn list_is_limited_by_skip_and_limit() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.entry (word, definition) SELECT g, '' FROM generate_series(1, 1500) g",
    );
    let length =
        |query: &str| app.get(&format!("/api/v1/entries{query}")).json().as_array().map(Vec::len);
    assert_eq!(length(""), Some(100));
    assert_eq!(length("?limit=1000"), Some(1000));
    assert_eq!(length("?skip=1400&limit=1000"), Some(100));
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("skip=-1", "skip"),
        ("skip=9223372036854775808", "skip"),
    ] {
        let problem = app.get(&format!("/api/v1/entries?{query}")).problem(400);
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with(&format!("{parameter} must be an integer")), "{detail}");
    }
    app.get("/api/v1/entries?limit=%FF").problem(400);
}

#[test]
fn largest_list_is_complete() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.entry (word, definition) \
         SELECT 'w' || g, repeat('🦀', 10000) FROM generate_series(1, 1000) g",
    );
    let response = app.get("/api/v1/entries?skip=1&limit=1000");
    assert!(response.body.len() > 39_960_000);
    let words = response.json();
    let words = words.as_array().expect("a list").iter().map(|entry| entry["word"].clone());
    assert!(words.eq((2..=1000).map(|n| json!(format!("w{n}")))));
    let length = |query| app.get(query).json().as_array().map(Vec::len);
    assert_eq!(length("/api/v1/entries?limit=999"), Some(999));
    // It is sent in parts.
    if let Some(memory) = app.peak_memory("dictionary") {
        assert!(memory < 2 << 20, "{memory}");
    }
}

#[test]
fn list_of_entries_that_are_deleted_meanwhile_is_valid() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.entry (word, definition) \
         SELECT 'w' || g, repeat('🦀', 10000) FROM generate_series(1, 1000) g",
    );
    // HTTP/1.0 has no chunks: the body ends with the connection.
    let mut stream = TcpStream::connect(app.authority()).expect("the server accepts");
    let request = "GET /api/v1/entries?limit=1000 HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut response = vec![0; 1000];
    stream.read_exact(&mut response).expect("the server responds");
    app.sql("DELETE FROM katas.entry");
    stream.read_to_end(&mut response).expect("the server responds");
    let response = String::from_utf8(response).expect("UTF-8");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
    let list: Vec<Value> = serde_json::from_str(body).expect("JSON");
    assert!((1..1000).contains(&list.len()), "{}", list.len());
}

#[test]
fn concurrent_additions_of_a_word_succeed_once() {
    let app = App::start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let add = || app.post("/api/v1/newentry", &apple()).status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 400).count(), 7, "{statuses:?}");
}
