//! Lists, pages of rows, CSV exports and deletion.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use http::Method;
use serde_json::{Value, json};

use super::{DATASETS, create_dataset, csv_rows, export, stored_counts};
use crate::support::{App, Response};

/// Returns all items of a list and the number of pages.
fn walk(app: &App, path: &str) -> (Vec<Value>, usize) {
    let (mut items, mut pages) = (Vec::new(), 0);
    let mut next = path.to_owned();
    loop {
        let page = app.get(&next);
        assert_eq!(page.status, 200, "{page:?}");
        pages += 1;
        items.extend(page.json()["items"].as_array().expect("items").clone());
        let link = page.header("link");
        if page.json()["next"].is_null() {
            assert_eq!(link, "");
            return (items, pages);
        }
        let target =
            link.strip_prefix('<').and_then(|target| target.strip_suffix(">; rel=\"next\""));
        next = target.unwrap_or_else(|| panic!("{link}")).to_owned();
    }
}

#[test]
fn datasets_are_paged_in_creation_order() {
    let app = App::start();
    assert_eq!(walk(&app, DATASETS), (vec![], 1));
    let paths: Vec<_> = (0..5).map(|_| create_dataset(&app, "a\n1\n")).collect();
    app.delete(&paths[1]);
    let expected: Vec<_> =
        paths.iter().filter(|path| **path != paths[1]).map(|path| app.get(path).json()).collect();
    for (limit, pages) in [(1, 4), (2, 2), (3, 2), (4, 1), (1000, 1)] {
        assert_eq!(walk(&app, &format!("{DATASETS}?limit={limit}")), (expected.clone(), pages));
    }
    for bad in ["limit=0", "limit=1001", "limit=x", "after=x", "after=61"] {
        app.get(&format!("{DATASETS}?{bad}")).problem(400);
    }
}

#[test]
fn pages_of_datasets_with_many_columns_are_shorter() {
    let app = App::start();
    let columns: Vec<_> = (0..1000).map(|number| format!("{number}{}", "x".repeat(50))).collect();
    let header = columns.join(",");
    let expected: Vec<_> =
        (0..12).map(|_| app.get(&create_dataset(&app, &header)).json()).collect();
    assert_eq!(walk(&app, DATASETS), (expected, 3));
}

#[test]
fn rows_are_paged() {
    let app = App::start();
    let path = create_dataset(&app, csv_rows(25)) + "/rows";
    let all: Vec<_> = (1..=25).map(|n| json!([n.to_string(), format!("row {n}")])).collect();
    for (limit, pages) in [(1, 25), (10, 3), (25, 1), (1000, 1)] {
        assert_eq!(walk(&app, &format!("{path}?limit={limit}")), (all.clone(), pages));
    }
    for bad in ["limit=0", "limit=1001", "after=x"] {
        app.get(&format!("{path}?{bad}")).problem(400);
    }
    // A cursor beyond the last row, 9223372036854775807, returns an empty page.
    let far = app.get(&format!("{path}?after=39323233333732303336383534373735383037"));
    assert_eq!(far.json()["items"], json!([]));
}

#[test]
fn pages_of_long_rows_are_shorter() {
    let app = App::start();
    let long = "x".repeat(40_000);
    let path = create_dataset(&app, format!("a\n{}", format!("{long}\n").repeat(7))) + "/rows";
    let (items, pages) = walk(&app, &path);
    assert_eq!((items.len(), pages), (7, 4));
    assert_eq!(items[6], json!([long]));
}

#[test]
fn accept_header_selects_json_page_or_csv_export() {
    let app = App::start();
    let path = create_dataset(&app, "a\n1\n") + "/rows";
    let get = |accept| app.request(Method::GET, &path, &[("Accept", accept)], "");
    for (accept, media_type) in [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/*", "text/csv; charset=utf-8"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
    ] {
        assert_eq!(get(accept).header("content-type"), media_type, "{accept}");
    }
    let response = get("text/html");
    response.assert_problem(406, "available media types: application/json, text/csv");
    let head = app.request(Method::HEAD, &path, &[("Accept", "text/csv")], "");
    assert_eq!((head.header("content-length"), head.body.as_str()), ("6", ""));
}

#[test]
fn unknown_dataset_returns_404() {
    let app = App::start();
    let missing = |response: Response, id: &str| {
        response.assert_problem(404, &format!("dataset {id} not found"));
    };
    for id in ["1", "x'y", "00000000-0000-0000-0000-000000000000"] {
        let path = format!("{DATASETS}/{id}");
        missing(app.get(&path), id);
        missing(app.get(&format!("{path}/rows")), id);
        missing(export(&app, &path), id);
        missing(app.delete(&path), id);
    }
}

#[test]
fn dataset_is_deleted_with_its_rows() {
    let app = App::start();
    let kept = create_dataset(&app, csv_rows(3));
    let path = create_dataset(&app, csv_rows(9000));
    assert_eq!(app.delete(&path).status, 204);
    app.get(&path).problem(404);
    app.get(&format!("{path}/rows")).problem(404);
    app.delete(&path).problem(404);
    assert_eq!(stored_counts(&app), "1 1");
    assert_eq!(app.get(&kept).status, 200);
}

#[test]
fn chunks_of_a_large_dataset_are_purged_in_steps() {
    let app = App::start();
    let path = create_dataset(&app, "a\n");
    app.sql(
        "INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv) \
         SELECT number, n * 50000 + 1, 50000, '' FROM katas.dataset, generate_series(0, 49) AS n",
    );
    assert_eq!(app.delete(&path).status, 204);
    app.get(&path).problem(404);
    assert_eq!(stored_counts(&app), "1 10");
    // The next load purges the rest.
    create_dataset(&app, "a\n");
    assert_eq!(stored_counts(&app), "1 0");
}

#[test]
fn pages_cross_the_borders_of_chunks() {
    let app = App::start();
    let path = create_dataset(&app, csv_rows(9000)) + "/rows";
    let all: Vec<_> = (1..=9000).map(|n| json!([n.to_string(), format!("row {n}")])).collect();
    for (limit, pages) in [(999, 10), (1000, 9)] {
        assert!(walk(&app, &format!("{path}?limit={limit}")) == (all.clone(), pages), "{limit}");
    }
}

#[test]
fn interrupted_export_is_shorter_than_content_length() {
    let app = App::start();
    let path =
        create_dataset(&app, format!("a\n{}", format!("{}\n", "x".repeat(999)).repeat(20_000)));
    let mut connection = app.connect();
    let request = format!(
        "GET {path}/rows HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/csv\r\n\r\n"
    );
    std::io::Write::write_all(&mut connection, request.as_bytes()).expect("the server reads");
    let mut reader = BufReader::new(connection);
    let expected = content_length(&mut reader);
    assert_eq!(expected, 3 + 20_000 * 1001);
    assert_eq!(app.delete(&path).status, 204);
    let mut body = Vec::new();
    // Both an error and an early end are valid.
    let _ = reader.read_to_end(&mut body);
    assert!(body.len() < expected, "all {expected} bytes arrived");
}

/// Reads the head of a response and returns its `content-length`.
fn content_length(reader: &mut BufReader<TcpStream>) -> usize {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a number"),
            None if line == "\r\n" => return length,
            _ => {}
        }
    }
}
