//! The upgrade from rows to chunks. `migrate/tests/postgres/dataset_chunks.rs` tests what the
//! previous build reads and writes meanwhile.

use serde_json::{Value, json};

use super::{DATASETS, create_dataset, csv_rows, export};
use crate::support::{App, cluster};

/// A table that only dataset rows contain.
const ROWS: &str = "INSERT INTO katas.dataset_row (dataset, position, size, fields) \
     SELECT 1, n, 20, ARRAY[n::text, CASE n % 4 WHEN 0 THEN '' WHEN 1 THEN 'a,b' WHEN 2 THEN '\"' \
                                     ELSE E'ä\\r\\n' END] \
     FROM generate_series(1, 25000) AS n";

/// Returns the table as CSV.
fn expected_csv() -> String {
    let field = |n: u32| ["", "\"a,b\"", "\"\"\"\"", "\"ä\r\n\""][(n % 4) as usize];
    let rows = (1..=25_000).map(|n| format!("{n},{}\r\n", field(n)));
    "n,text\r\n".to_owned() + rows.collect::<String>().as_str()
}

#[test]
fn dataset_of_the_previous_build_is_served_after_the_upgrade() {
    let database = cluster().create_database(false);
    let app = App::with_database(&database);
    app.migrate(Some(5));
    let expected = expected_csv();
    app.sql(&format!(
        "INSERT INTO katas.dataset (name, columns, state, rows, bytes) \
         VALUES ('old', '{{n,text}}', 'loaded', 25000, {}); {ROWS}",
        expected.len()
    ));
    let id = app.value("SELECT id::text FROM katas.dataset");
    let path = format!("{DATASETS}/{id}");
    // The pods of this build are not ready before the migration has run.
    export(&app, &path).problem(503);
    app.get("/db-check").problem(503);
    app.migrate(None);
    assert_eq!(app.get("/db-check").status, 200);
    assert!(export(&app, &path).body == expected);
    let last = app.get(&format!("{path}/rows?after=3234393939")).json();
    assert_eq!((&last["items"], &last["next"]), (&json!([["25000", ""]]), &Value::Null));
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"a,b": 2, "\"": 1}}));
    let run = json!({"kata": "spending", "item_column": "text", "price_list": "shop", "tax": 0});
    let run = app.post(&format!("{path}/runs"), &run).json();
    assert_eq!((&run["result"], &run["rows"]), (&json!({"total": 18750}), &json!(25_000)));

    // The pods of the previous build, which still run, find the rows of a new dataset, and no longer
    // those of a deleted one.
    let rows = "SELECT count(*) || ' ' || coalesce(max(fields::text), '') FROM katas.dataset_row \
                WHERE dataset > 0";
    assert_eq!(app.delete(&path).status, 204);
    assert_eq!(app.value(rows), "0 ");
    let path = create_dataset(&app, csv_rows(9999));
    assert_eq!(app.value(rows), "9999 {9999,\"row 9999\"}");
    assert_eq!(app.delete(&path).status, 204);
    assert_eq!(app.value(rows), "0 ");
}
