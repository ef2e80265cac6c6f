//! Loading of valid and invalid files.

use std::io::{Read, Write};
use std::thread;

use http::Method;
use serde_json::{Value, json};

use super::{CSV, DATASETS, create_dataset, csv_rows, export, load, stored_counts};
use crate::support::{App, JSON};

#[test]
fn csv_file_is_loaded_and_exported_in_canonical_form() {
    let app = App::start();
    let response = load(&app, "\u{feff}word,n\r\nyoda,1\r\n\"be,st\",\"2\"\n\"h\"\"a\ns\",");
    assert_eq!(response.status, 201, "{response:?}");
    let dataset = response.json();
    assert_eq!(dataset["name"], "test");
    assert_eq!(dataset["columns"], json!(["word", "n"]));
    assert_eq!(dataset["rows"], 3);
    let path = response.header("location");
    assert_eq!(path, format!("{DATASETS}/{}", dataset["id"].as_str().expect("an id")));
    app.get(path).assert_json(200, &dataset);
    let items = json!([["yoda", "1"], ["be,st", "2"], ["h\"a\ns", ""]]);
    let page = json!({"columns": ["word", "n"], "items": items, "next": null});
    app.get(&format!("{path}/rows")).assert_json(200, &page);
    let exported = export(&app, path);
    assert_eq!(exported.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(exported.body, "word,n\r\nyoda,1\r\n\"be,st\",2\r\n\"h\"\"a\ns\",\r\n");
    assert_eq!(dataset["bytes"], exported.body.len());
}

#[test]
fn json_is_loaded_like_csv() {
    let app = App::start();
    let body =
        json!({"name": "test", "columns": ["word", "n"], "rows": [["yo,da", "\"\n"], ["", ""]]});
    let response = app.post(DATASETS, &body);
    assert_eq!(response.status, 201, "{response:?}");
    let from_json = export(&app, response.header("location"));
    assert_eq!(from_json.body, "word,n\r\n\"yo,da\",\"\"\"\n\"\r\n,\r\n");
    assert_eq!(export(&app, &create_dataset(&app, &from_json.body)).body, from_json.body);
}

#[test]
fn fields_are_exported_unchanged() {
    let app = App::start();
    let mut canonical = "a,b\r\n".to_owned();
    for field in [
        "NULL",
        "null",
        "{}",
        "{a}",
        "\\",
        "\\\\N",
        "\\\"",
        "'",
        " ",
        "\t",
        "\u{1}",
        "\u{7f}",
        "\u{feff}",
        "\u{85}",
        "ä",
        "🦀",
        "e\u{301}",
        "$1",
        "%s",
        "{{ database_url }}",
    ] {
        let quoted = field.replace('"', "\"\"");
        canonical += &format!("{},\"{quoted},\"\r\n", if quoted == field { field } else { "x" });
    }
    canonical += "\"\r\",\"\n\"\r\n\"\"\"\",\r\n";
    let path = create_dataset(&app, &canonical);
    assert_eq!(export(&app, &path).body, canonical);
}

#[test]
fn file_of_many_batches_is_loaded_completely() {
    let app = App::start();
    let file = csv_rows(100_001);
    let path = create_dataset(&app, &file);
    assert_eq!(app.get(&path).json()["rows"], 100_001);
    assert!(export(&app, &path).body == file.replace('\n', "\r\n"));
    assert_eq!(stored_counts(&app), "1 26");
    // The last row completes a chunk, and the chunk a batch.
    let row = "x".repeat(1022) + "\r\n";
    let file = format!("a\r\n{}", row.repeat(1024));
    let path = create_dataset(&app, &file);
    assert_eq!(stored_counts(&app), "2 42");
    assert!(export(&app, &path).body == file);
    // The file has no rows.
    let path = create_dataset(&app, "a,b");
    assert_eq!(export(&app, &path).body, "a,b\r\n");
    assert_eq!(app.get(&format!("{path}/rows")).json()["items"], json!([]));
}

#[test]
fn invalid_csv_returns_422_with_the_line_and_stores_nothing() {
    let app = App::start();
    for (file, detail) in [
        (b"".as_slice(), "line 1 has no column names"),
        (b"\n", "line 1 is blank; write a single empty field as \"\""),
        (b"a,,b\n", "line 1 has an empty column name"),
        (b"a,b,a\n", "line 1 repeats the column name 'a'"),
        (b"a,b\n1,2\n3\n", "line 3 has the wrong number of fields: expected 2, found 1"),
        (b"a,b\n1,2\n\n", "line 3 is blank; write a single empty field as \"\""),
        (b"a\n\"1\n2\n", "line 2 opens a quoted field that is never closed"),
        (b"a\n\"1\"2\n", "line 2 has text after a closing quote"),
        (b"a\n1\"\n", "line 2 has a quote in an unquoted field"),
        (b"a\r1\r", "line 1 has a carriage return without a line feed"),
        (b"a\n\xff\n", "line 2 is not valid UTF-8"),
        (b"a\n\0\n", "line 2 contains a NUL character"),
    ] {
        load(&app, file).assert_problem(422, detail);
    }
    let late = csv_rows(9000) + "9001";
    load(&app, late)
        .assert_problem(422, "line 9002 has the wrong number of fields: expected 2, found 1");
    let long = format!("a\n{}\n", "x".repeat((64 << 10) + 1));
    load(&app, long).assert_problem(422, "line 2 exceeds the row limit of 65536 bytes");
    let wide = vec!["a"; 1002].join(",");
    load(&app, wide).assert_problem(422, "line 1 has more than 1000 fields");
    assert_eq!(stored_counts(&app), "0 0");
}

#[test]
fn separator_line_returns_422() {
    let app = App::start();
    let detail = "line 1 is a separator line (sep=) in place of column names; remove it";
    for line in ["sep=;", "sep=,", "\"sep=,\""] {
        load(&app, format!("{line}\na,b\n1,2\n")).assert_problem(422, detail);
    }
}

#[test]
fn probable_mistake_in_a_valid_file_is_a_warning() {
    let app = App::start();
    let warnings = |file: &str| {
        let loaded = load(&app, file);
        assert_eq!(loaded.status, 201, "{loaded:?}");
        loaded.json()["warnings"].clone()
    };
    assert_eq!(warnings("\u{feff}a;b,c\n1;2,3\n"), Value::Null);
    let separator = "the file has one column, whose name contains ';'; only commas separate fields";
    assert_eq!(warnings("a;b\n1;2\n"), json!([separator]));
    let mark = |line| {
        json!([format!("line {line} has a byte order mark (U+FEFF), which was stored as text")])
    };
    assert_eq!(warnings("\u{feff}a\n\"1\n2\"\n\u{feff}a\n3\n"), mark(4));
    assert_eq!(warnings("\u{feff}\u{feff}a\n"), mark(1));
    let late = csv_rows(40_000) + "\u{feff}number,text\n";
    assert_eq!(warnings(&late), mark(40_002));
    // Warnings are not stored.
    let loaded = load(&app, "a;b\n");
    assert_eq!(app.get(loaded.header("location")).json()["warnings"], Value::Null);
    let table = json!({"name": "x", "columns": ["a|b"], "rows": []});
    assert_eq!(app.post(DATASETS, &table).json()["warnings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn invalid_json_table_returns_the_pointer_of_each_error() {
    let app = App::start();
    let post =
        |columns, rows| app.post(DATASETS, &json!({"name": "x", "columns": columns, "rows": rows}));
    app.post(DATASETS, &json!({})).assert_invalid(&[
        ("/name", "is required"),
        ("/columns", "is required"),
        ("/rows", "is required"),
    ]);
    let ragged = post(json!(["a", "b"]), json!([["1", "2"], ["3"]]));
    ragged.assert_invalid(&[("/rows/1", "has the wrong number of fields: expected 2, found 1")]);
    post(json!(["a"]), json!([[1]])).assert_invalid(&[("/rows/0", "must be an array of strings")]);
    post(json!(["a"]), json!([["\0"]])).assert_invalid(&[("/rows/0", "contains a NUL character")]);
    post(json!([]), json!([])).assert_invalid(&[("/columns", "has no column names")]);
    post(json!(["a", "a"]), json!([]))
        .assert_invalid(&[("/columns", "repeats the column name 'a'")]);
    let many = post(json!(["a"]), json!(vec![["x"]; 10_001]));
    many.assert_invalid(&[("/rows", "must have at most 10000 elements")]);
    let most = post(json!(["a"]), json!(vec![["x"]; 10_000]));
    assert_eq!(most.json()["rows"], 10_000);
}

#[test]
fn dataset_name_must_have_1_to_200_characters() {
    let app = App::start();
    let post =
        |query: &str| app.request(Method::POST, &format!("{DATASETS}{query}"), &[CSV], "a\n");
    for query in ["", "?name="] {
        post(query).assert_problem(400, "name must not be empty");
    }
    let long = format!("?name={}", "x".repeat(201));
    post(&long).assert_problem(400, "name must have at most 200 characters");
    assert_eq!(post("?name=Caf%C3%A9+1").json()["name"], "Café 1");
}

#[test]
fn unsupported_media_type_or_encoding_returns_415() {
    let app = App::start();
    let detail =
        "body format not supported; send text/csv or application/json without Content-Encoding";
    let path = "/api/v1/datasets?name=x";
    for headers in [
        [("Content-Type", "text/plain"), ("X", "")],
        [("Content-Type", "text/csv"), ("Content-Encoding", "gzip")],
    ] {
        app.request(Method::POST, path, &headers, "a\n").assert_problem(415, detail);
    }
    let parameters = [("Content-Type", "Text/CSV; charset=utf-8; header=present")];
    assert_eq!(app.request(Method::POST, path, &parameters, "a\n").status, 201);
    app.request(Method::POST, path, &[JSON], "a\n").problem(400);
}

#[test]
fn file_larger_than_64_mebibytes_returns_413() {
    let app = App::start();
    let request = "POST /api/v1/datasets?name=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Content-Type: text/csv\r\nContent-Length: 67108865\r\n\r\n";
    assert!(app.raw(request.as_bytes()).starts_with("HTTP/1.1 413 "));
}

#[test]
fn concurrent_loads_do_not_interfere() {
    let app = App::start();
    let app = &app;
    let files: Vec<_> = ["x", "y", "z"].map(|marker| csv_rows(9000).replace("row", marker)).into();
    let paths: Vec<_> = thread::scope(|scope| {
        let loads: Vec<_> =
            files.iter().map(|file| scope.spawn(move || create_dataset(app, file))).collect();
        loads.into_iter().map(|load| load.join().expect("no panic")).collect()
    });
    for (path, sent) in paths.iter().zip(&files) {
        assert!(export(app, path).body == sent.replace('\n', "\r\n"), "{path}");
    }
}

/// Starts a load whose body stays incomplete: the first 13 chunks are in the database but not
/// visible.
fn incomplete_load(app: &App) -> std::net::TcpStream {
    let rows = csv_rows(100_000);
    let head = format!(
        "POST /api/v1/datasets?name=incomplete HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        rows.len() + 5
    );
    let mut connection = app.connect();
    connection.write_all([head, rows].concat().as_bytes()).expect("the server reads");
    app.wait_for_value("SELECT count(*)::text FROM katas.dataset_chunk", "13");
    assert_eq!(app.get(DATASETS).json()["items"], json!([]));
    let id = app.value("SELECT id::text FROM katas.dataset");
    app.get(&format!("{DATASETS}/{id}")).problem(404);
    app.get(&format!("{DATASETS}/{id}/rows")).problem(404);
    export(app, &format!("{DATASETS}/{id}")).problem(404);
    app.delete(&format!("{DATASETS}/{id}")).problem(404);
    connection
}

/// Sends the rest of the body and returns the response.
fn complete_load(mut connection: std::net::TcpStream) -> String {
    connection.write_all(b"9,10\n").expect("the server reads");
    let mut response = String::new();
    connection.read_to_string(&mut response).expect("the server closes");
    response
}

#[test]
fn dataset_becomes_visible_when_its_load_is_complete() {
    let app = App::start();
    assert!(complete_load(incomplete_load(&app)).starts_with("HTTP/1.1 201 "));
    assert_eq!(app.get(DATASETS).json()["items"][0]["rows"], 100_001);
}

#[test]
fn disconnected_client_leaves_no_chunks() {
    let app = App::start();
    drop(incomplete_load(&app));
    app.wait_for_log("{\"component\":\"datasets\",\"method\":\"POST\"", 1);
    assert_eq!(stored_counts(&app), "0 0");
}

#[test]
fn abandoned_load_is_not_completed() {
    let app = App::start();
    let connection = incomplete_load(&app);
    app.sql("UPDATE katas.dataset SET state = 'gone'");
    let response = complete_load(connection);
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert_eq!(stored_counts(&app), "0 0");
}

#[test]
fn load_with_failed_statements_stays_invisible_and_is_purged_later() {
    let app = App::start();
    let connection = incomplete_load(&app);
    // Neither the next rows nor the failure of the load can be recorded.
    let lock = app.hold("SELECT FROM katas.dataset FOR UPDATE");
    let response = complete_load(connection);
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    drop(lock);
    assert_eq!(stored_counts(&app), "1 13");
    // A later load purges it once it has been inactive for longer than 15 minutes.
    create_dataset(&app, "a\n");
    assert_eq!(stored_counts(&app), "2 13");
    app.sql("UPDATE katas.dataset SET touched_at = touched_at - interval '16 minutes'");
    create_dataset(&app, "a\n");
    assert_eq!(stored_counts(&app), "2 0");
    assert_eq!(app.get(DATASETS).json()["items"].as_array().map(Vec::len), Some(2));
}
