//! Tables of text: loaded, listed, read, removed.

mod load;
mod memory;
mod rows;

use http::Method;

use crate::support::{App, Response};

const DATASETS: &str = "/api/v1/datasets";
const CSV: (&str, &str) = ("Content-Type", "text/csv");

/// Loads a file.
fn load(app: &App, file: impl AsRef<[u8]>) -> Response {
    app.request(Method::POST, "/api/v1/datasets?name=test", &[CSV], file)
}

/// The path of the dataset that a file becomes.
fn loaded(app: &App, file: impl AsRef<[u8]>) -> String {
    let loaded = load(app, file);
    assert_eq!(loaded.status, 201, "{loaded:?}");
    loaded.header("location").to_owned()
}

/// The dataset as a file.
fn file(app: &App, path: &str) -> Response {
    app.request(Method::GET, &format!("{path}/rows"), &[("Accept", "text/csv")], "")
}

/// How many datasets and how many rows there are in the tables, seen or not.
fn stored(app: &App) -> String {
    app.value(
        "SELECT (SELECT count(*) FROM katas.dataset) || ' ' || \
                (SELECT count(*) FROM katas.dataset_row)",
    )
}

/// A file of so many rows.
fn rows(count: usize) -> String {
    let rows = (1..=count).map(|number| format!("{number},row {number}\n"));
    "number,text\n".to_owned() + rows.collect::<String>().as_str()
}
