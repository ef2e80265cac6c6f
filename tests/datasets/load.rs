//! Into the database: files as they should be, and as they should not.

use std::io::{Read, Write};
use std::thread;

use http::Method;
use serde_json::json;

use super::{CSV, DATASETS, file, load, loaded, rows, stored};
use crate::support::{App, JSON};

#[test]
fn a_file_becomes_a_dataset() {
    let app = App::start();
    let response = load(&app, "\u{feff}word,n\r\nyoda,1\r\n\"be,st\",\"2\"\n\"h\"\"a\ns\",");
    assert_eq!(response.status, 201, "{response:?}");
    let dataset = response.json();
    assert_eq!(dataset["name"], "test");
    assert_eq!(dataset["columns"], json!(["word", "n"]));
    assert_eq!(dataset["rows"], 3);
    let path = response.header("location");
    assert_eq!(path, format!("{DATASETS}/{}", dataset["id"].as_str().expect("an id")));
    app.get(path).is(200, &dataset);
    let items = json!([["yoda", "1"], ["be,st", "2"], ["h\"a\ns", ""]]);
    let page = json!({"columns": ["word", "n"], "items": items, "next": null});
    app.get(&format!("{path}/rows")).is(200, &page);
    let back = file(&app, path);
    assert_eq!(back.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(back.body, "word,n\r\nyoda,1\r\n\"be,st\",2\r\n\"h\"\"a\ns\",\r\n");
    assert_eq!(dataset["bytes"], back.body.len());
}

#[test]
fn json_becomes_the_same_dataset() {
    let app = App::start();
    let body =
        json!({"name": "test", "columns": ["word", "n"], "rows": [["yo,da", "\"\n"], ["", ""]]});
    let response = app.post(DATASETS, &body);
    assert_eq!(response.status, 201, "{response:?}");
    let from_json = file(&app, response.header("location"));
    assert_eq!(from_json.body, "word,n\r\n\"yo,da\",\"\"\"\n\"\r\n,\r\n");
    assert_eq!(file(&app, &loaded(&app, &from_json.body)).body, from_json.body);
}

#[test]
fn every_field_comes_back_as_it_was() {
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
    let path = loaded(&app, &canonical);
    assert_eq!(file(&app, &path).body, canonical);
}

#[test]
fn a_file_of_many_batches_is_whole() {
    let app = App::start();
    let rows = rows(9001);
    let path = loaded(&app, &rows);
    assert_eq!(app.get(&path).json()["rows"], 9001);
    assert!(file(&app, &path).body == rows.replace('\n', "\r\n"));
    // A batch that the last row fills, and no rows at all.
    let path = loaded(&app, super::rows(8000));
    assert_eq!(app.get(&path).json()["rows"], 8000);
    let path = loaded(&app, "a,b");
    assert_eq!(file(&app, &path).body, "a,b\r\n");
    assert_eq!(app.get(&format!("{path}/rows")).json()["items"], json!([]));
}

#[test]
fn what_is_not_csv_is_refused_with_its_line_and_nothing_is_stored() {
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
        load(&app, file).is_problem(422, detail);
    }
    let late = rows(9000) + "9001";
    load(&app, late)
        .is_problem(422, "line 9002 has the wrong number of fields: expected 2, found 1");
    let long = format!("a\n{}\n", "x".repeat((64 << 10) + 1));
    load(&app, long).is_problem(422, "line 2 exceeds the row limit of 65536 bytes");
    let wide = vec!["a"; 1002].join(",");
    load(&app, wide).is_problem(422, "line 1 has more than 1000 fields");
    assert_eq!(stored(&app), "0 0");
}

#[test]
fn json_that_is_no_table_is_refused() {
    let app = App::start();
    let post =
        |columns, rows| app.post(DATASETS, &json!({"name": "x", "columns": columns, "rows": rows}));
    app.post(DATASETS, &json!({})).is_invalid(&[
        ("/name", "is required"),
        ("/columns", "is required"),
        ("/rows", "is required"),
    ]);
    let ragged = post(json!(["a", "b"]), json!([["1", "2"], ["3"]]));
    ragged.is_invalid(&[("/rows/1", "has the wrong number of fields: expected 2, found 1")]);
    post(json!(["a"]), json!([[1]])).is_invalid(&[("/rows/0", "must be an array of strings")]);
    post(json!(["a"]), json!([["\0"]])).is_invalid(&[("/rows/0", "contains a NUL character")]);
    post(json!([]), json!([])).is_invalid(&[("/columns", "has no column names")]);
    post(json!(["a", "a"]), json!([])).is_invalid(&[("/columns", "repeats the column name 'a'")]);
    let many = post(json!(["a"]), json!(vec![["x"]; 10_001]));
    many.is_invalid(&[("/rows", "must have at most 10000 elements")]);
    let most = post(json!(["a"]), json!(vec![["x"]; 10_000]));
    assert_eq!(most.json()["rows"], 10_000);
}

#[test]
fn a_dataset_has_a_name() {
    let app = App::start();
    let name =
        |query: &str| app.request(Method::POST, &format!("{DATASETS}{query}"), &[CSV], "a\n");
    for query in ["", "?name="] {
        name(query).is_problem(400, "name must not be empty");
    }
    let long = format!("?name={}", "x".repeat(201));
    name(&long).is_problem(400, "name must have at most 200 characters");
    assert_eq!(name("?name=Caf%C3%A9+1").json()["name"], "Café 1");
}

#[test]
fn only_csv_and_json_are_read() {
    let app = App::start();
    let detail =
        "body format not supported; send text/csv or application/json without Content-Encoding";
    let path = "/api/v1/datasets?name=x";
    for headers in [
        [("Content-Type", "text/plain"), ("X", "")],
        [("Content-Type", "text/csv"), ("Content-Encoding", "gzip")],
    ] {
        app.request(Method::POST, path, &headers, "a\n").is_problem(415, detail);
    }
    let parameters = [("Content-Type", "Text/CSV; charset=utf-8; header=present")];
    assert_eq!(app.request(Method::POST, path, &parameters, "a\n").status, 201);
    app.request(Method::POST, path, &[JSON], "a\n").problem(400);
}

#[test]
fn a_file_has_at_most_64_mebibytes() {
    let app = App::start();
    let announced = "POST /api/v1/datasets?name=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                     Content-Type: text/csv\r\nContent-Length: 67108865\r\n\r\n";
    assert!(app.raw(announced.as_bytes()).starts_with("HTTP/1.1 413 "));
}

#[test]
fn loads_at_the_same_time_do_not_mix() {
    let app = App::start();
    let app = &app;
    let files: Vec<_> = ["x", "y", "z"].map(|mark| rows(9000).replace("row", mark)).into();
    let loaded: Vec<_> = thread::scope(|scope| {
        let loads: Vec<_> =
            files.iter().map(|file| scope.spawn(move || loaded(app, file))).collect();
        loads.into_iter().map(|load| load.join().expect("it was loaded")).collect()
    });
    for (path, sent) in loaded.iter().zip(&files) {
        assert!(file(app, path).body == sent.replace('\n', "\r\n"), "{path}");
    }
}

/// The beginning of a load whose body stays incomplete: the first 8,000 rows are in the database, and
/// nobody sees them.
fn half(app: &App) -> std::net::TcpStream {
    let rows = rows(9000);
    let head = format!(
        "POST /api/v1/datasets?name=half HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        rows.len() + 5
    );
    let mut connection = app.connect();
    connection.write_all([head, rows].concat().as_bytes()).expect("the server reads");
    app.wait_for_value("SELECT count(*)::text FROM katas.dataset_row", "8000");
    assert_eq!(app.get(DATASETS).json()["items"], json!([]));
    let id = app.value("SELECT id::text FROM katas.dataset");
    app.get(&format!("{DATASETS}/{id}")).problem(404);
    app.get(&format!("{DATASETS}/{id}/rows")).problem(404);
    file(app, &format!("{DATASETS}/{id}")).problem(404);
    app.delete(&format!("{DATASETS}/{id}")).problem(404);
    connection
}

/// What the server answers to the rest of the body.
fn rest(mut connection: std::net::TcpStream) -> String {
    connection.write_all(b"9,10\n").expect("the server reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("the server closes");
    answer
}

#[test]
fn a_dataset_is_there_when_it_is_complete() {
    let app = App::start();
    assert!(rest(half(&app)).starts_with("HTTP/1.1 201 "));
    assert_eq!(app.get(DATASETS).json()["items"][0]["rows"], 9001);
}

#[test]
fn a_client_that_goes_away_leaves_nothing() {
    let app = App::start();
    drop(half(&app));
    app.wait_for_log("{\"component\":\"datasets\",\"method\":\"POST\"", 1);
    assert_eq!(stored(&app), "0 0");
}

#[test]
fn a_load_that_has_been_given_up_does_not_come_back() {
    let app = App::start();
    let connection = half(&app);
    app.sql("UPDATE katas.dataset SET state = 'gone'");
    let answer = rest(connection);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(stored(&app), "0 0");
}

#[test]
fn load_whose_statements_fail_is_invisible_and_purged_later() {
    let app = App::start();
    let connection = half(&app);
    // Neither the next rows nor the mark of the failure can be written.
    let lock = app.hold("SELECT FROM katas.dataset FOR UPDATE");
    let answer = rest(connection);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(lock);
    assert_eq!(stored(&app), "1 8000");
    // Another load finds it when it has been silent for long.
    loaded(&app, "a\n");
    assert_eq!(stored(&app), "2 8000");
    app.sql("UPDATE katas.dataset SET touched_at = touched_at - interval '16 minutes'");
    loaded(&app, "a\n");
    assert_eq!(stored(&app), "2 0");
    assert_eq!(app.get(DATASETS).json()["items"].as_array().map(Vec::len), Some(2));
}
