//! The components serve rows loaded by `migrate seed` like rows that they have stored themselves.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::support::App;

const DATASETS: &str = "/api/v1/datasets";

/// Returns the dataset with this name.
fn dataset(app: &App, name: &str) -> Value {
    let list = app.get(DATASETS).json();
    let mut items = list["items"].as_array().expect("items").iter();
    items.find(|item| item["name"] == name).expect("the dataset exists").clone()
}

/// Returns the rows of the CSV export, after checking that the JSON pages have the same rows.
fn rows(app: &App, dataset: &Value) -> Vec<Vec<String>> {
    let path = format!("{DATASETS}/{}/rows", dataset["id"].as_str().expect("an id"));
    let file = app.request(Method::GET, &path, &[("Accept", "text/csv")], "");
    assert_eq!(file.status, 200, "{file:?}");
    assert_eq!(json!(file.body.len()), dataset["bytes"]);
    let fields = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut lines = file.body.split_terminator("\r\n").map(fields);
    assert_eq!(json!(lines.next()), dataset["columns"]);
    let rows: Vec<_> = lines.collect();
    assert_eq!(json!(rows.len()), dataset["rows"]);
    let mut paged = Vec::new();
    let mut next = format!("{path}?limit=300");
    loop {
        let page = app.get(&next).json();
        paged.extend(page["items"].as_array().expect("items").clone());
        let Some(after) = page["next"].as_str() else { break };
        next = format!("{path}?limit=300&after={after}");
    }
    assert_eq!(json!(rows), json!(paged));
    rows
}

/// Runs a kata over the dataset and returns the result.
fn run(app: &App, dataset: &Value, order: &Value) -> Value {
    let path = format!("{DATASETS}/{}/runs", dataset["id"].as_str().expect("an id"));
    let run = app.post(&path, order);
    assert_eq!(run.status, 201, "{run:?}");
    run.json()["result"].clone()
}

#[test]
fn seeded_orders_add_up() {
    let app = App::start();
    app.seed(&["price_lists", "datasets", "orders"]);
    let orders = dataset(&app, "orders");
    let rows = rows(&app, &orders);
    assert_eq!(rows.len(), 1000);
    // Prices in cents; the last column is the item.
    let costs = app.get("/api/v1/price-lists/clothes").json()["costs"].clone();
    let costs: BTreeMap<_, _> = costs.as_object().expect("costs").into_iter().collect();
    let cents = |item: &String| (costs[item].as_f64().expect("a price") * 100.0).round() as i64;
    let total: i64 = rows.iter().map(|row| cents(&row[3])).sum();
    let order =
        json!({"kata": "spending", "item_column": "item", "price_list": "clothes", "tax": 0});
    let result = run(&app, &orders, &order);
    let computed = (result["total"].as_f64().expect("a number") * 100.0).round() as i64;
    assert_eq!(computed, total);
}

#[test]
fn seeded_sentences_have_an_nth_char_result() {
    let app = App::start();
    app.seed(&["datasets", "sentences"]);
    let sentences = dataset(&app, "sentences");
    let rows = rows(&app, &sentences);
    let characters = rows.iter().enumerate().map_while(|(n, row)| row[0].chars().nth(n));
    let word: String = characters.collect();
    assert!(word.len() > 20, "{word}");
    let order = json!({"kata": "nth-char", "column": "sentence"});
    assert_eq!(run(&app, &sentences, &order), json!({"word": word}));
}

#[test]
fn seeded_entries_and_price_lists_can_be_read_and_replaced() {
    let app = App::start();
    app.seed(&["dictionary", "price_lists"]);
    let entry = app.get("/api/v1/look/acorn").json();
    assert_eq!(entry["definition"], "the nut of an oak");
    let order = json!({"price_list": "bakery", "items": ["rye bread", "coffee"], "tax": 0.1});
    app.post("/api/v1/spending", &order).assert_json(200, &json!({"total": 8.14}));
    let costs = json!({"costs": {"coffee": 3}});
    assert_eq!(app.put("/api/v1/price-lists/bakery", &costs).status, 200);
}
