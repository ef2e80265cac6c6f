//! Tests of the `runs` component: calculations over the rows of a dataset.

mod asynchronous;
mod idempotency;
mod messages;
mod parts;

use std::collections::BTreeMap;

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{App, JSON, Response};

/// Loads a CSV file as a dataset and returns the path of its runs.
fn runs(app: &App, file: &str) -> String {
    let csv = [("Content-Type", "text/csv")];
    let loaded = app.request(Method::POST, "/api/v1/datasets?name=test", &csv, file);
    assert_eq!(loaded.status, 201, "{loaded:?}");
    loaded.header("location").to_owned() + "/runs"
}

fn create_shop(app: &App) {
    let costs = json!({"costs": {"socks": 5, "shoes": 60, "sweater": 30, "pin": 0.005}});
    assert_eq!(app.put("/api/v1/price-lists/shop", &costs).status, 201);
}

fn spending_order() -> Value {
    json!({"kata": "spending", "item_column": "item", "price_list": "shop", "tax": 0.09})
}

fn nth_char_order(column: &str) -> Value {
    json!({"kata": "nth-char", "column": column})
}

/// Posts a run with these headers.
fn post_with(app: &App, runs: &str, headers: &[(&str, &str)], order: &Value) -> Response {
    app.request(Method::POST, runs, &[&[JSON], headers].concat(), order.to_string())
}

/// Posts an asynchronous run.
fn post_async(app: &App, runs: &str, order: &Value) -> Response {
    post_with(app, runs, &[("Prefer", "respond-async")], order)
}

/// Posts an asynchronous run, and returns its path.
#[track_caller]
fn queue(app: &App, runs: &str, order: &Value) -> String {
    let response = post_async(app, runs, order);
    assert_eq!(response.status, 202, "{response:?}");
    response.header("location").to_owned()
}

/// Returns the bodies of the messages in the outbox, in order.
fn messages(app: &App) -> Vec<Value> {
    let sql = "SELECT coalesce(json_agg(body::json ORDER BY number), '[]')::text FROM katas.outbox \
               WHERE queue = 'katas.runs'";
    serde_json::from_str(&app.value(sql)).expect("a JSON array")
}

/// Removes and returns the messages in the outbox.
fn take_messages(app: &App) -> Vec<Value> {
    let messages = messages(app);
    app.sql("DELETE FROM katas.outbox");
    messages
}

/// Delivers a message as the courier does. Returns whether the part was stored.
#[track_caller]
fn deliver(app: &App, message: &Value) -> bool {
    let response = app.post("/api/v1/run-parts", message);
    let stored = response.status == 201;
    response.assert_json(if stored { 201 } else { 200 }, &json!({"stored": stored}));
    stored
}

/// Delivers all messages in the outbox.
#[track_caller]
fn deliver_all(app: &App) {
    for message in take_messages(app) {
        deliver(app, &message);
    }
}

/// Replaces the chunks of the only dataset by chunks of these rows of CSV, which the dataset has.
/// A part has at most 64 chunks, so that a small dataset has several parts.
fn store_chunks<'r>(app: &App, chunks: impl Iterator<Item = &'r [String]>) {
    let mut first_row = 1;
    let values = chunks.map(|rows| {
        let csv = rows.concat().replace('\'', "''");
        let value = format!("({first_row}, {}, '{csv}')", rows.len());
        first_row += rows.len();
        value
    });
    let values = values.collect::<Vec<_>>().join(", ");
    app.sql("DELETE FROM katas.dataset_chunk");
    if !values.is_empty() {
        app.sql(&format!(
            "INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv) \
             SELECT number, first_row, chunk.rows, csv \
             FROM katas.dataset, (VALUES {values}) AS chunk (first_row, rows, csv)"
        ));
    }
}

/// Stores a dataset with `rows` rows in chunks of one row, and returns the path of its runs.
fn runs_in_parts(app: &App, header: &str, rows: impl IntoIterator<Item = String>) -> String {
    let rows: Vec<_> = rows.into_iter().map(|row| row + "\r\n").collect();
    let runs = runs(app, &format!("{header}\r\n{}", rows.concat()));
    store_chunks(app, rows.chunks(1));
    runs
}

/// Checks that the run is stored with `result`, and returns the run.
#[track_caller]
fn assert_result(app: &App, response: &Response, result: &Value) -> Value {
    assert_eq!(response.status, 201, "{response:?}");
    let run = response.json();
    assert_eq!(&run["result"], result);
    assert_eq!(
        (&run["state"], &run["progress"]),
        (&json!("done"), &json!({"done": 1, "total": 1}))
    );
    assert_eq!(run["started_at"], run["finished_at"]);
    app.get(response.header("location")).assert_json(200, &run);
    run
}

#[test]
fn nth_char_run_reads_a_column_as_words() {
    let app = App::start();
    let runs = runs(&app, "n,word\n1,yoda\n2,best\n3,has\n4,and\n5,more\n");
    let order = json!({"kata": "nth-char", "column": "word"});
    let run = assert_result(&app, &app.post(&runs, &order), &json!({"word": "yes"}));
    assert_eq!(run["kata"], "nth-char");
    assert_eq!(run["parameters"], json!({"column": "word"}));
    // The run stops at the fourth word, which is too short.
    assert_eq!(run["rows"], 4);
}

#[test]
fn spending_run_reads_a_column_as_items() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item\nsocks\nshoes\nhat\n");
    let run = assert_result(&app, &app.post(&runs, &spending_order()), &json!({"total": 70.85}));
    assert_eq!(run["rows"], 3);
    let parameters = json!({"item_column": "item", "price_list": "shop", "tax": 0.09});
    assert_eq!(run["parameters"], parameters);
}

#[test]
fn spending_run_rounds_only_the_total() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item\npin\npin\npin\n");
    let mut order = spending_order();
    order["tax"] = json!(0);
    assert_result(&app, &app.post(&runs, &order), &json!({"total": 0.02}));
}

#[test]
fn spending_run_groups_by_a_second_column() {
    let app = App::start();
    create_shop(&app);
    let file = "customer,item\nb,socks\n\"a,\"\"\",hat\nb,shoes\nä,socks\nä,socks\n";
    let runs = runs(&app, file);
    let mut order = spending_order();
    order["group_by"] = json!("customer");
    let groups = json!({"groups": [
        {"key": "a,\"", "total": 0},
        {"key": "b", "total": 70.85},
        {"key": "ä", "total": 10.9},
    ]});
    let run = assert_result(&app, &app.post(&runs, &order), &groups);
    assert_eq!(run["parameters"]["group_by"], "customer");
    order["group_by"] = Value::Null;
    assert_result(&app, &app.post(&runs, &order), &json!({"total": 81.75}));
}

#[test]
fn run_over_no_rows_has_an_empty_result() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item\n");
    let words = json!({"kata": "nth-char", "column": "item"});
    assert_result(&app, &app.post(&runs, &words), &json!({"word": ""}));
    assert_result(&app, &app.post(&runs, &spending_order()), &json!({"total": 0}));
    let mut grouped = spending_order();
    grouped["group_by"] = json!("item");
    assert_result(&app, &app.post(&runs, &grouped), &json!({"groups": []}));
}

#[test]
fn invalid_run_returns_the_pointer_of_the_error_and_is_not_stored() {
    let app = App::start();
    create_shop(&app);
    let keys: String = (0..10_001).map(|key| format!("socks,{key}\n")).collect();
    let runs = runs(&app, &format!("item,key\n{keys}"));
    let with = |field: &str, value: Value| {
        let mut order = spending_order();
        order[field] = value;
        app.post(&runs, &order)
    };
    for (response, field, detail) in [
        (app.post(&runs, &json!({})), "/kata", "is required"),
        (with("kata", json!("sorting")), "/kata", "must be nth-char or spending"),
        (app.post(&runs, &json!({"kata": "nth-char"})), "/column", "is required"),
        (with("item_column", json!("x")), "/item_column", "is not a column of the dataset"),
        (with("group_by", json!("x")), "/group_by", "is not a column of the dataset"),
        (with("price_list", json!("x")), "/price_list", "does not exist"),
        (with("price_list", json!("\0")), "/price_list", "must not contain a NUL character"),
        (with("tax", json!("1")), "/tax", "must be a number"),
        (with("tax", json!(-1)), "/tax", "must not be negative"),
        (
            with("group_by", json!("key")),
            "/group_by",
            "exceeds 10000 groups or 1048576 bytes of group keys",
        ),
    ] {
        response.assert_invalid(&[(field, detail)]);
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run"), "0");
}

#[test]
fn runs_are_paged_in_creation_order() {
    let app = App::start();
    let runs = runs(&app, "word\na\n");
    app.get(&runs).assert_json(200, &json!({"items": [], "next": null}));
    let order = json!({"kata": "nth-char", "column": "word"});
    let stored: Vec<_> = (0..3).map(|_| app.post(&runs, &order).json()["id"].clone()).collect();
    let mut found = Vec::new();
    let mut path = format!("{runs}?limit=2");
    loop {
        let page = app.get(&path).json();
        for run in page["items"].as_array().expect("items") {
            assert_eq!(run.get("result"), None, "lists omit results");
            assert_eq!(run["state"], "done");
            assert_eq!(run["progress"], json!({"done": 1, "total": 1}));
            found.push(run["id"].clone());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{runs}?limit=2&after={next}");
    }
    assert_eq!(found, stored);
    app.get(&format!("{runs}?limit=0")).problem(400);
    app.get(&format!("{runs}?after=x")).problem(400);
}

#[test]
fn run_is_found_only_in_its_dataset_and_deleted_with_it() {
    let app = App::start();
    let (one, other) = (runs(&app, "word\na\n"), runs(&app, "word\na\n"));
    let order = json!({"kata": "nth-char", "column": "word"});
    let run = app.post(&one, &order);
    let id = run.json()["id"].as_str().expect("an id").to_owned();
    let missing = format!("run {id} not found");
    app.get(&format!("{other}/{id}")).assert_problem(404, &missing);
    app.get(&format!("{one}/x")).assert_problem(404, "run x not found");

    assert_eq!(app.delete(one.trim_end_matches("/runs")).status, 204);
    app.get(run.header("location")).assert_problem(404, &missing);
    let dataset = one.split('/').nth(4).expect("the id");
    let missing = format!("dataset {dataset} not found");
    app.get(&one).assert_problem(404, &missing);
    app.post(&one, &order).assert_problem(404, &missing);
    app.get("/api/v1/datasets/x/runs").assert_problem(404, "dataset x not found");
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run"), "0");
}

/// Prices in cents, of items that CSV has to quote in part.
const PRICES: [(&str, u64); 5] =
    [("socks", 500), ("a,b", 1), ("\"", 33), ("ä\r\n", 9_999), ("", 7)];

/// A random table of customers, items and words.
fn table() -> impl Strategy<Value = Vec<[String; 3]>> {
    let item = prop::sample::select(vec!["socks", "a,b", "\"", "ä\r\n", "", "hat"]);
    let customer = prop::sample::select(vec!["", "Ada", "\"Bob\"", "🦀,", "x".repeat(999).leak()]);
    let row = (customer, item, "[a-c\",🦀]{0,4}|[a-zäб🦀]{300,400}");
    let row = row.prop_map(|(customer, item, word)| [customer.to_owned(), item.to_owned(), word]);
    prop::collection::vec(row, 0..400)
}

/// Returns the table as CSV in which every field is quoted.
fn quoted_csv(table: &[[String; 3]]) -> String {
    let field = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
    let row = |row: &[String; 3]| row.each_ref().map(field).join(",") + "\n";
    "customer,item,word\n".to_owned() + table.iter().map(row).collect::<String>().as_str()
}

/// Returns the total of these items in cents, rounded once.
fn total<'t>(rows: impl Iterator<Item = &'t [String; 3]>, tax_percent: u64) -> u64 {
    let price =
        |item: &str| PRICES.iter().find(|(name, _)| *name == item).map_or(0, |(_, cents)| *cents);
    let cents: u64 = rows.map(|row| price(&row[1])).sum();
    (cents * (100 + tax_percent) + 50) / 100
}

#[test]
fn runs_over_random_tables_return_the_results_of_a_reference() {
    let app = App::start();
    let costs: BTreeMap<_, _> =
        PRICES.iter().map(|&(item, cents)| (item, cents as f64 / 100.0)).collect();
    assert_eq!(app.put("/api/v1/price-lists/random", &json!({"costs": costs})).status, 201);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) };
    proptest!(config, |(table in table(), tax_percent in 0_u64..40)| {
        let runs = runs(&app, &quoted_csv(&table));
        let mut order = json!({
            "kata": "spending",
            "item_column": "item",
            "price_list": "random",
            "tax": tax_percent as f64 / 100.0,
        });
        let cents = |value: &Value| (value.as_f64().expect("a number") * 100.0).round() as u64;
        let one = app.post(&runs, &order).json();
        prop_assert_eq!(cents(&one["result"]["total"]), total(table.iter(), tax_percent));
        prop_assert_eq!(&one["rows"], table.len());

        order["group_by"] = json!("customer");
        let grouped = app.post(&runs, &order).json();
        let groups = grouped["result"]["groups"].as_array().expect("groups").iter();
        let groups = groups.map(|group| (group["key"].as_str().expect("a key"), cents(&group["total"])));
        let keys: BTreeMap<_, _> = table.iter().map(|row| (row[0].as_str(), ())).collect();
        let expected = keys.into_keys().map(|key| {
            (key, total(table.iter().filter(|row| row[0] == key), tax_percent))
        });
        prop_assert_eq!(groups.collect::<Vec<_>>(), expected.collect::<Vec<_>>());

        let order = json!({"kata": "nth-char", "column": "word"});
        let word = app.post(&runs, &order).json();
        let characters = table.iter().enumerate().map_while(|(n, row)| row[2].chars().nth(n));
        let expected: String = characters.collect();
        let read = (expected.chars().count() + 1).min(table.len());
        prop_assert_eq!(word["result"]["word"].as_str(), Some(expected.as_str()));
        prop_assert_eq!(&word["rows"], read);
    });
}

#[test]
fn run_over_a_million_rows_uses_bounded_memory() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item,customer\n");
    app.sql(
        "INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv) \
         SELECT number, min(n), count(*), \
                string_agg(format(E'%s,customer %s\\r\\n', \
                                  (ARRAY['socks', 'shoes', 'sweater', 'hat'])[1 + n % 4], n % 1000), \
                           '' ORDER BY n) \
         FROM katas.dataset, generate_series(1, 1000000) AS n GROUP BY number, n / 3000; \
         UPDATE katas.dataset SET rows = 1000000",
    );
    let run =
        assert_result(&app, &app.post(&runs, &spending_order()), &json!({"total": 25_887_500}));
    assert_eq!(run["rows"], 1_000_000);
    let mut order = spending_order();
    order["group_by"] = json!("customer");
    let grouped = app.post(&runs, &order).json();
    let groups = grouped["result"]["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 1000);
    // All rows of a customer have the same item: 1000 is a multiple of 4.
    assert_eq!(groups[0], json!({"key": "customer 0", "total": 5450}));

    // 333 chunks of 3,000 rows: 17 in a part.
    let queued = queue(&app, &runs, &order);
    assert_eq!(messages(&app).len(), 20);
    deliver_all(&app);
    let run = app.get(&queued).json();
    assert_eq!((&run["result"], &run["rows"]), (&grouped["result"], &grouped["rows"]));
    if let Some(memory) = app.peak_memory("runs") {
        assert!(memory < 2 << 20, "{memory}");
    }
}
