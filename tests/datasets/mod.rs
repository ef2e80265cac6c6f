//! Tests of the `datasets` component.

mod load;
mod memory;
mod rows;
mod upgrade;

use http::Method;

use crate::support::{App, Response};

const DATASETS: &str = "/api/v1/datasets";
const CSV: (&str, &str) = ("Content-Type", "text/csv");

/// Loads a CSV file.
fn load(app: &App, file: impl AsRef<[u8]>) -> Response {
    app.request(Method::POST, "/api/v1/datasets?name=test", &[CSV], file)
}

/// Loads a CSV file and returns the path of the dataset.
fn create_dataset(app: &App, file: impl AsRef<[u8]>) -> String {
    let loaded = load(app, file);
    assert_eq!(loaded.status, 201, "{loaded:?}");
    loaded.header("location").to_owned()
}

/// Exports the dataset as CSV.
fn export(app: &App, path: &str) -> Response {
    app.request(Method::GET, &format!("{path}/rows"), &[("Accept", "text/csv")], "")
}

/// Counts the datasets and chunks in the tables, including invisible ones.
fn stored_counts(app: &App) -> String {
    app.value(
        "SELECT (SELECT count(*) FROM katas.dataset) || ' ' || \
                (SELECT count(*) FROM katas.dataset_chunk)",
    )
}

/// Returns a CSV file of `count` rows.
fn csv_rows(count: usize) -> String {
    let rows = (1..=count).map(|number| format!("{number},row {number}\n"));
    "number,text\n".to_owned() + rows.collect::<String>().as_str()
}
