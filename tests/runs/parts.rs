//! Parts of asynchronous runs: any order, any number of deliveries and any concurrency have the result
//! of the synchronous form.

use std::collections::BTreeMap;

use http::Method;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{
    PRICES, create_shop, deliver, messages, nth_char_order, queue, quoted_csv, runs, runs_in_parts,
    spending_order, store_chunks, take_messages,
};
use crate::support::{App, JSON};

/// A random table whose words are long enough, except for the one in a random row.
fn table() -> impl Strategy<Value = Vec<[String; 3]>> {
    let row = (
        prop::sample::select(vec!["", "Ada", "\"Bob\"", "🦀,\r\n"]),
        prop::sample::select(vec!["socks", "a,b", "\"", "ä\r\n", "", "hat"]),
        prop::sample::select(vec!["a", "\"", "🦀", ","]),
    );
    (prop::collection::vec(row, 0..300), 0_usize..400).prop_map(|(rows, short)| {
        let rows = rows.into_iter().enumerate().map(|(n, (customer, item, character))| {
            let length = if n == short { n } else { n + 1 };
            [customer.to_owned(), item.to_owned(), character.repeat(length)]
        });
        rows.collect()
    })
}

/// Returns the table as rows of CSV in normal form.
fn rows(table: &[[String; 3]]) -> Vec<String> {
    let field = |field: &String| match field.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    };
    table.iter().map(|row| row.each_ref().map(field).join(",") + "\r\n").collect()
}

/// Splits rows into chunks of these lengths, repeatedly.
fn chunks<'r>(rows: &'r [String], lengths: &[usize]) -> Vec<&'r [String]> {
    let (mut chunks, mut rest) = (Vec::new(), rows);
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, other) = rest.split_at(length.min(rest.len()));
        chunks.push(chunk);
        rest = other;
    }
    chunks
}

#[test]
fn asynchronous_results_are_byte_equal_to_synchronous_ones() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) };
    proptest!(config, |(
        table in table(),
        lengths in prop::collection::vec(1_usize..4, 1..5),
        order in prop::collection::vec(any::<Index>(), 0..60),
        tax_percent in 0_u64..40,
    )| {
        let app = App::start();
        let costs: BTreeMap<_, _> =
            PRICES.iter().map(|&(item, cents)| (item, cents as f64 / 100.0)).collect();
        app.put("/api/v1/price-lists/shop", &json!({"costs": costs}));
        let runs = runs(&app, &quoted_csv(&table));
        let rows = rows(&table);
        let stored: String = app.value("SELECT coalesce(string_agg(csv, '' ORDER BY first_row), '') \
                                        FROM katas.dataset_chunk");
        prop_assert_eq!(&stored, &rows.concat());
        let chunks = chunks(&rows, &lengths);
        store_chunks(&app, chunks.iter().copied());

        let mut total = spending_order();
        total["tax"] = json!(tax_percent as f64 / 100.0);
        let mut groups = total.clone();
        groups["group_by"] = json!("customer");
        for order in [&total, &groups, &nth_char_order("word")] {
            prop_assert_eq!(app.post(&runs, order).status, 201);
            queue(&app, &runs, order);
        }
        let messages = take_messages(&app);
        prop_assert_eq!(messages.len(), 3 * chunks.len().div_ceil(64).max(1));
        // First in a random order and repeatedly, then all of them.
        for index in order {
            deliver(&app, index.get(&messages));
        }
        for message in &messages {
            deliver(&app, message);
        }
        let distinct = "SELECT count(*) || ' ' || \
                               count(DISTINCT (kata, parameters::text, result::text, rows)) \
                        FROM katas.dataset_run WHERE state = 'done'";
        prop_assert_eq!(app.value(distinct), "6 3");
    });
}

#[test]
fn concurrent_deliveries_count_every_part_once() {
    let app = App::start();
    create_shop(&app);
    let item = |n: usize| ["socks", "shoes", "pin", "hat"][n % 4];
    let row = |n| format!("{},customer {}", item(n), n % 7);
    let runs = runs_in_parts(&app, "item,customer", (0..2000).map(row));
    let mut order = spending_order();
    order["group_by"] = json!("customer");
    let expected = app.post(&runs, &order).json();
    let run = queue(&app, &runs, &order);
    let messages = take_messages(&app);
    assert_eq!(messages.len(), 32);
    let stored: usize = std::thread::scope(|scope| {
        let deliver_from = |start: usize| {
            let rotated = messages.iter().cycle().skip(start).take(messages.len());
            rotated.filter(|message| deliver(&app, message)).count()
        };
        let threads: Vec<_> =
            (0..8).map(|thread| scope.spawn(move || deliver_from(4 * thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(stored, messages.len());
    let found = app.get(&run).json();
    assert_eq!((&found["result"], &found["rows"]), (&expected["result"], &expected["rows"]));
    assert_eq!(found["progress"], json!({"done": 32, "total": 32}));
}

#[test]
fn redelivered_message_completes_a_run_whose_last_request_was_interrupted() {
    let app = App::start();
    let runs = runs_in_parts(&app, "word", (0..130).map(|n| "x".repeat(n + 1)));
    let run = queue(&app, &runs, &nth_char_order("word"));
    let messages = take_messages(&app);
    assert_eq!(messages.len(), 3);
    assert!(deliver(&app, &messages[0]));
    // Another request has stored the other two parts and ended before it completed the run.
    app.sql(
        "INSERT INTO katas.dataset_run_part (run, part, result, rows) \
         SELECT number, part, repeat('x', length), length \
         FROM katas.dataset_run AS run, (VALUES (2, 64), (3, 2)) AS stored (part, length); \
         UPDATE katas.dataset_run SET parts_done = 3",
    );
    assert_eq!(app.get(&run).json()["state"], "running");
    assert!(!deliver(&app, &messages[2]));
    let found = app.get(&run).json();
    assert_eq!((&found["state"], &found["rows"]), (&json!("done"), &json!(130)));
    assert_eq!(found["result"], json!({"word": "x".repeat(130)}));
}

/// Checks that a run fails with the problem that the synchronous form returns.
#[track_caller]
fn assert_fails(app: &App, runs: &str, order: &Value, detail: &str) {
    let problem = app.post(runs, order).problem(422);
    assert_eq!(problem["errors"][0]["detail"], detail);
    let run = queue(app, runs, order);
    let messages = take_messages(app);
    assert!(messages.len() > 1);
    for message in messages.iter().chain(&messages) {
        deliver(app, message);
    }
    let found = app.get(&run).json();
    assert_eq!((&found["state"], &found["problem"]), (&json!("failed"), &problem));
    assert_eq!((found.get("result"), found["finished_at"].is_string()), (None, true));
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run_part"), "0");
    assert_eq!(super::messages(app).len(), 0);
}

#[test]
fn run_that_is_invalid_as_a_whole_fails_with_the_synchronous_problem() {
    let app = App::start();
    // Each part has fewer groups.
    let rows: Vec<_> = (0..10_001).map(|n| format!("socks,{n}\r\n")).collect();
    let runs = runs(&app, &format!("item,key\n{}", rows.concat()));
    store_chunks(&app, rows.chunks(100));
    create_shop(&app);
    let mut order = spending_order();
    order["group_by"] = json!("key");
    assert_fails(&app, &runs, &order, "exceeds 10000 groups or 1048576 bytes of group keys");
}

#[test]
fn run_whose_total_has_too_many_digits_fails_with_the_synchronous_problem() {
    let app = App::start();
    // Each part has a sum, and the first two even a whole number, but one with six decimal places.
    let rows = (0..129).map(|n| ["small", "large"][n / 128].to_owned());
    let runs = runs_in_parts(&app, "item", rows);
    let prices = r#"{"costs":{"small":0.015625,"large":1e27}}"#;
    app.request(Method::PUT, "/api/v1/price-lists/shop", &[JSON], prices);
    assert_fails(&app, &runs, &spending_order(), "has a total that exceeds 28 digits");
}

#[test]
fn part_that_fails_alone_fails_the_run_at_once() {
    let app = App::start();
    create_shop(&app);
    let rows: Vec<_> = (0..20_002).map(|n| format!("socks,{n}\r\n")).collect();
    let runs = runs(&app, &format!("item,key\n{}", rows.concat()));
    store_chunks(&app, rows.chunks(160));
    let mut order = spending_order();
    order["group_by"] = json!("key");
    let run = queue(&app, &runs, &order);
    let messages = messages(&app);
    assert_eq!(messages.len(), 2);
    assert!(!deliver(&app, &messages[0]));
    let found = app.get(&run).json();
    assert_eq!(found["state"], "failed");
    let detail = "group_by exceeds 10000 groups or 1048576 bytes of group keys";
    assert_eq!(
        (&found["problem"]["status"], &found["problem"]["detail"]),
        (&json!(422), &json!(detail))
    );
}
