//! Out of the database: lists, rows, files; and gone.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use http::Method;
use serde_json::{Value, json};

use super::{DATASETS, file, loaded, rows, stored};
use crate::support::{App, Response};

/// Every item of a list, page by page.
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
        let target = link.strip_prefix('<').and_then(|it| it.strip_suffix(">; rel=\"next\""));
        next = target.unwrap_or_else(|| panic!("{link}")).to_owned();
    }
}

#[test]
fn datasets_are_listed_in_the_order_in_which_they_were_loaded() {
    let app = App::start();
    assert_eq!(walk(&app, DATASETS), (vec![], 1));
    let paths: Vec<_> = (0..5).map(|_| loaded(&app, "a\n1\n")).collect();
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
fn a_list_of_wide_datasets_has_shorter_pages() {
    let app = App::start();
    let columns: Vec<_> = (0..1000).map(|number| format!("{number}{}", "x".repeat(50))).collect();
    let header = columns.join(",");
    let expected: Vec<_> = (0..12).map(|_| app.get(&loaded(&app, &header)).json()).collect();
    assert_eq!(walk(&app, DATASETS), (expected, 3));
}

#[test]
fn rows_come_in_pages() {
    let app = App::start();
    let path = loaded(&app, rows(25)) + "/rows";
    let all: Vec<_> = (1..=25).map(|n| json!([n.to_string(), format!("row {n}")])).collect();
    for (limit, pages) in [(1, 25), (10, 3), (25, 1), (1000, 1)] {
        assert_eq!(walk(&app, &format!("{path}?limit={limit}")), (all.clone(), pages));
    }
    for bad in ["limit=0", "limit=1001", "after=x"] {
        app.get(&format!("{path}?{bad}")).problem(400);
    }
    // A cursor from elsewhere leads to no rows, and does no harm: 9223372036854775807.
    let far = app.get(&format!("{path}?after=39323233333732303336383534373735383037"));
    assert_eq!(far.json()["items"], json!([]));
}

#[test]
fn a_page_of_long_rows_ends_early() {
    let app = App::start();
    let long = "x".repeat(40_000);
    let path = loaded(&app, format!("a\n{}", format!("{long}\n").repeat(7))) + "/rows";
    let (items, pages) = walk(&app, &path);
    assert_eq!((items.len(), pages), (7, 4));
    assert_eq!(items[6], json!([long]));
}

#[test]
fn the_client_chooses_between_a_page_and_the_file() {
    let app = App::start();
    let path = loaded(&app, "a\n1\n") + "/rows";
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
    let refused = get("text/html");
    refused.is_problem(406, "available media types: application/json, text/csv");
    let head = app.request(Method::HEAD, &path, &[("Accept", "text/csv")], "");
    assert_eq!((head.header("content-length"), head.body.as_str()), ("6", ""));
}

#[test]
fn a_dataset_that_is_not_there_is_404() {
    let app = App::start();
    let missing = |response: Response, id: &str| {
        response.is_problem(404, &format!("dataset {id} not found"));
    };
    for id in ["1", "x'y", "00000000-0000-0000-0000-000000000000"] {
        let path = format!("{DATASETS}/{id}");
        missing(app.get(&path), id);
        missing(app.get(&format!("{path}/rows")), id);
        missing(file(&app, &path), id);
        missing(app.delete(&path), id);
    }
}

#[test]
fn a_dataset_is_removed_with_its_rows() {
    let app = App::start();
    let kept = loaded(&app, rows(3));
    let path = loaded(&app, rows(9000));
    assert_eq!(app.delete(&path).status, 204);
    app.get(&path).problem(404);
    app.get(&format!("{path}/rows")).problem(404);
    app.delete(&path).problem(404);
    assert_eq!(stored(&app), "1 3");
    assert_eq!(app.get(&kept).status, 200);
}

#[test]
fn a_large_dataset_is_removed_bit_by_bit() {
    let app = App::start();
    let path = loaded(&app, "a\n");
    app.sql(
        "INSERT INTO katas.dataset_row (dataset, position, size, fields) \
         SELECT number, place, 1, '{x}' FROM katas.dataset, generate_series(1, 510000) AS place",
    );
    assert_eq!(app.delete(&path).status, 204);
    app.get(&path).problem(404);
    assert_eq!(stored(&app), "1 10000");
    // Whoever comes next sweeps the rest.
    loaded(&app, "a\n");
    assert_eq!(stored(&app), "1 0");
}

#[test]
fn a_file_that_breaks_off_is_shorter_than_was_announced() {
    let app = App::start();
    let path = loaded(&app, format!("a\n{}", format!("{}\n", "x".repeat(999)).repeat(20_000)));
    let mut connection = app.connect();
    let request = format!(
        "GET {path}/rows HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/csv\r\n\r\n"
    );
    std::io::Write::write_all(&mut connection, request.as_bytes()).expect("the server reads");
    let mut reader = BufReader::new(connection);
    let announced = content_length(&mut reader);
    assert_eq!(announced, 3 + 20_000 * 1001);
    assert_eq!(app.delete(&path).status, 204);
    let mut body = Vec::new();
    // However the connection ends, it ends early.
    let _ = reader.read_to_end(&mut body);
    assert!(body.len() < announced, "all of {announced} came");
}

/// Reads the head of a response.
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
