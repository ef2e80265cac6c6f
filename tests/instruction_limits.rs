//! Limits the instructions that a component runs between two host calls, on the largest input that
//! each route accepts.
//!
//! Spin does not preempt components: one busy component per worker thread blocks all other
//! requests. The limit is in instructions, because time depends on the machine.

use http::Method;
use serde_json::{Map, Value, json};

use crate::support::{App, JSON};

/// The maximum number of instructions between two host calls, about 10 ms of one core. On Spin, an
/// order of 10,000 items, which does the most hashing, has 62 million and takes 6.8 ms.
const MAX: u64 = 90_000_000;

/// The maximum for parsing JSON, whose instructions run faster: 1 MiB of escaped line feeds has 122
/// million and takes 9.3 ms.
const MAX_PARSING: u64 = 130_000_000;

const MEBIBYTE: usize = 1 << 20;

/// Sends a request, checks it against [`MAX`], and returns the status.
#[track_caller]
fn check(app: &App, component: &str, method: Method, path: &str, body: &str) -> u16 {
    check_with_max(app, component, method, path, body, MAX)
}

/// Sends a request, checks it against `max`, and returns the status.
#[track_caller]
fn check_with_max(
    app: &App,
    component: &str,
    method: Method,
    path: &str,
    body: &str,
    max: u64,
) -> u16 {
    let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
    let response = app.request(method.clone(), path, headers, body);
    let count = app.take_longest_run(component).unwrap_or_default();
    let status = response.status;
    assert!(count < max, "{component}, {method} {path}, {status}: {count} instructions");
    status
}

/// Checks the instructions since the previous check. Spin does not count instructions.
#[track_caller]
fn check_last(app: &App, component: &str, call: &str) {
    let count = app.take_longest_run(component).unwrap_or_default();
    assert!(count < MAX, "{component}, {call}: {count} instructions");
}

/// Returns 1 MiB of JSON: `before`, as many copies of `element` as fit, and `after`.
fn repeat_to_mebibyte(before: &str, element: &str, after: &str) -> String {
    let length = MEBIBYTE - before.len() - after.len();
    let elements = format!("{element},").repeat(length / (element.len() + 1));
    [before, elements.trim_end_matches(','), after].concat()
}

/// Returns JSON bodies of 1 MiB that are expensive to parse.
fn expensive_json() -> Vec<String> {
    let deep = ["[".repeat(60), "]".repeat(60)].concat();
    let elements = ["0", "\"\"", "\"\\n\"", "{}", "[]", "-1.5e-7", "true", deep.as_str()];
    let mut bodies: Vec<_> =
        elements.iter().map(|element| repeat_to_mebibyte("{\"words\":[", element, "]}")).collect();
    bodies.push(repeat_to_mebibyte("{\"words\":[{", "\"\":1", "}]}"));
    bodies.push(repeat_to_mebibyte("{", "\"\":1", "}"));
    bodies.push(format!("{{\"words\":[\"{}\"]}}", "\\n".repeat(MEBIBYTE / 2 - 10)));
    bodies.push(format!("{{\"words\":[\"{}\"]}}", "\\ud83e\\udd80".repeat(MEBIBYTE / 12 - 2)));
    bodies.push(format!("{}1", " ".repeat(MEBIBYTE - 1)));
    bodies
}

#[test]
fn expensive_json_stays_within_the_parsing_limit() {
    let app = App::metered();
    for body in expensive_json() {
        for (component, method, path) in [
            ("dictionary", Method::POST, "/api/v1/newentry"),
            ("dictionary", Method::PUT, "/api/v2/entries/Apple"),
            ("nth-char", Method::POST, "/api/v1/nth-char"),
            ("price-lists", Method::PUT, "/api/v1/price-lists/shop"),
            ("receipts", Method::POST, "/api/v1/receipts"),
            ("runs", Method::POST, "/api/v1/run-parts"),
            ("spending", Method::POST, "/api/v1/spending"),
            ("users", Method::POST, "/api/v2/users"),
            ("users", Method::PUT, "/api/v2/users/1"),
        ] {
            check_with_max(&app, component, method, path, &body, MAX_PARSING);
        }
    }
}

#[test]
fn nth_char_of_10000_words_stays_within_the_limit() {
    let app = App::metered();
    // Finding the n-th character takes longer in longer words.
    let words: Vec<_> = (0..1_400).map(|n| "x".repeat(n + 1)).collect();
    let short = vec!["x".repeat(90); 10_000];
    for words in [words, short] {
        let body = json!({"words": words}).to_string();
        assert_eq!(check(&app, "nth-char", Method::POST, "/api/v1/nth-char", &body), 200);
    }
}

#[test]
fn orders_of_10000_prices_and_items_stay_within_the_limit() {
    let app = App::metered();
    // Names with a common prefix take longest to compare.
    let name = |n: usize| format!("{}{n}", "i".repeat(26));
    let costs: Map<String, Value> =
        (0..10_000).map(|n| (name(n), json!(n as f64 / 100.0))).collect();
    let items: Vec<_> = (0..10_000).map(|n| name(n * 7919 % 10_000)).collect();
    let order = json!({"costs": costs, "items": items, "tax": 0.09}).to_string();
    let unpriced: Vec<_> = (0..10_000).map(|n| name(n + 10_000)).collect();
    let ignored = json!({"costs": costs, "items": unpriced, "tax": 0.09}).to_string();
    let list = "/api/v1/price-lists/shop";
    let prices = json!({"costs": costs}).to_string();
    assert_eq!(check(&app, "price-lists", Method::PUT, list, &prices), 201);
    assert_eq!(check(&app, "price-lists", Method::GET, list, ""), 200);
    let named = json!({"price_list": "shop", "items": items, "tax": 0.09}).to_string();
    for body in [order, ignored, named] {
        for (component, path, status) in
            [("spending", "/api/v1/spending", 200), ("receipts", "/api/v1/receipts", 201)]
        {
            assert_eq!(check(&app, component, Method::POST, path, &body), status);
        }
    }
    let list = app.get("/api/v1/receipts?limit=1").json();
    let receipt = format!("/api/v1/receipts/{}", list["items"][0]["id"].as_str().expect("an id"));
    assert_eq!(check(&app, "receipts", Method::GET, &receipt, ""), 200);
}

#[test]
fn expensive_csv_files_stay_within_the_limit() {
    let app = App::metered();
    let datasets = "/api/v1/datasets";
    let row = 64 << 10;
    let cells = |cell: &str, count: usize| vec![cell; count].join(",");
    for file in [
        format!("a\n{}", "x\n".repeat(MEBIBYTE / 2)),
        format!("a\n{}", "\"\"\n".repeat(MEBIBYTE / 3)),
        ["a\n", &format!("\"{}\"\n", "\"\"".repeat(row)).repeat(8)].concat(),
        ["a\n", &format!("\"{}\"\n", "\n".repeat(row)).repeat(8)].concat(),
        ["a\n", &format!("{}\n", "\u{1}".repeat(row)).repeat(8)].concat(),
        ["a\n", &format!("{}\n", "🦀".repeat(row / 4)).repeat(8)].concat(),
        format!("{}\n{}", (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(","), {
            format!("{}\n", cells("x", 1000)).repeat(500)
        }),
    ] {
        let excerpt: String = file.chars().take(20).collect();
        let headers = [("Content-Type", "text/csv")];
        let loaded = app.request(Method::POST, &format!("{datasets}?name=x"), &headers, &file);
        assert_eq!(loaded.status, 201, "{excerpt:?}: {loaded:?}");
        check_last(&app, "datasets", &format!("load {excerpt:?}"));
        let path = loaded.header("location").to_owned();
        app.get(&format!("{path}/rows?limit=1000"));
        check_last(&app, "datasets", &format!("page {excerpt:?}"));
        app.request(Method::GET, &format!("{path}/rows"), &[("Accept", "text/csv")], "");
        check_last(&app, "datasets", &format!("file {excerpt:?}"));
        let column = if file.starts_with('a') { "a" } else { "0" };
        app.put("/api/v1/price-lists/shop", &json!({"costs": {"x": 1}}));
        app.post(&format!("{path}/runs"), &json!({"kata": "nth-char", "column": column}));
        check_last(&app, "runs", &format!("nth-char {excerpt:?}"));
        let run = json!({
            "kata": "spending",
            "item_column": column,
            "group_by": column,
            "price_list": "shop",
            "tax": 0.09,
        });
        app.post(&format!("{path}/runs"), &run);
        check_last(&app, "runs", &format!("spending {excerpt:?}"));
        check_asynchronous_run(&app, &format!("{path}/runs"), &run);
        app.get(&format!("{path}/runs?limit=1000"));
        check_last(&app, "runs", "list");
    }
    for (before, element, after) in [
        ("{\"name\":\"x\",\"columns\":[\"a\"],\"rows\":[", "[\"x\"]", "]}"),
        ("{\"name\":\"x\",\"columns\":[\"a\"],\"rows\":[", "[]", "]}"),
        ("{\"name\":\"x\",\"columns\":[\"a\"],\"rows\":[[", "\"\\n\"", "]]}"),
        ("{\"name\":\"x\",\"rows\":[],\"columns\":[", "\"\"", "]}"),
    ] {
        let body = repeat_to_mebibyte(before, element, after);
        check(&app, "datasets", Method::POST, datasets, &body);
    }
}

/// Checks every request of an asynchronous run. Returns the number of its parts, and the state.
#[track_caller]
fn check_asynchronous_run(app: &App, runs: &str, run: &Value) -> (usize, String) {
    let headers = [JSON, ("Prefer", "respond-async")];
    let queued = app.request(Method::POST, runs, &headers, run.to_string());
    assert_eq!(queued.status, 202, "{queued:?}");
    check_last(app, "runs", "queue");
    let messages = app.value("SELECT json_agg(body::json ORDER BY number)::text FROM katas.outbox");
    app.sql("DELETE FROM katas.outbox");
    let messages: Vec<Value> = serde_json::from_str(&messages).expect("an array");
    for message in &messages {
        assert!(app.post("/api/v1/run-parts", message).status < 300);
        check_last(app, "runs", &format!("{message} of {run}"));
    }
    let found = app.get(queued.header("location")).json();
    check_last(app, "runs", "get");
    (messages.len(), found["state"].as_str().expect("a state").to_owned())
}

#[test]
fn parts_and_merges_of_10000_groups_stay_within_the_limit() {
    let app = App::metered();
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"x": 0.015625, "y": 1}}));
    let table = json!({"name": "x", "columns": ["item", "key"], "rows": []});
    let created = app.post("/api/v1/datasets", &table);
    let runs = format!("{}/runs", created.header("location"));
    let run = json!({
        "kata": "spending",
        "item_column": "item",
        "group_by": "key",
        "price_list": "shop",
        "tax": 0.09,
    });
    // Every part has all groups: with short keys, or with keys of 1 MiB in total.
    for key in [
        "(n % 10000)::text",
        "md5((n % 10000)::text) || repeat('k', 70)",
        "repeat('k', 95) || n % 10000",
        "'\"\"\"' || n % 10000 || '\"'",
    ] {
        app.sql(&format!(
            "DELETE FROM katas.dataset_chunk; \
             INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv) \
             SELECT number, min(n) + 1, count(*), string_agg('x,' || {key} || E'\\r\\n', '' ORDER BY n) \
             FROM katas.dataset, generate_series(0, 249999) AS n GROUP BY number, n / 600; \
             UPDATE katas.dataset SET rows = 250000"
        ));
        assert_eq!(check_asynchronous_run(&app, &runs, &run), (7, "done".to_owned()), "{key}");
    }
    // Many parts with one group each.
    app.sql(
        "DELETE FROM katas.dataset_chunk; \
         INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv) \
         SELECT number, n, 1, E'y,key\\r\\n' FROM katas.dataset, generate_series(1, 20000) AS n; \
         UPDATE katas.dataset SET rows = 20000",
    );
    assert_eq!(check_asynchronous_run(&app, &runs, &run), (313, "done".to_owned()));
}

#[test]
fn longest_lists_stay_within_the_limit() {
    let app = App::metered();
    app.sql(
        "INSERT INTO katas.entry (word, definition) \
         SELECT 'word ' || n, repeat('🦀', 10000) FROM generate_series(1, 1000) n; \
         INSERT INTO katas.person (username, email) \
         SELECT repeat('🦀', 100), repeat('x', 250) || '@x.y' FROM generate_series(1, 1001) n; \
         INSERT INTO katas.price_list (name, costs) \
         SELECT repeat('🦀', 190) || n, '{}' FROM generate_series(1, 1001) n; \
         INSERT INTO katas.receipt \
           (lines, ignored, subtotal, tax, tax_rate, total) \
         SELECT '[]', '[]', 0, 0, 0, 0 FROM generate_series(1, 1001) n",
    );
    for (component, path) in [
        ("dictionary", "/api/v1/entries?limit=1000"),
        ("dictionary", "/api/v2/entries?limit=1000"),
        ("users", "/api/v1/users?limit=1000"),
        ("users", "/api/v2/users?limit=1000"),
        ("price-lists", "/api/v1/price-lists?limit=1000"),
        ("receipts", "/api/v1/receipts?limit=1000"),
        // Stored compressed, requested without compression.
        ("docs", "/openapi.json"),
        ("docs", "/docs/x/swagger-ui-bundle.js"),
    ] {
        assert_eq!(check(&app, component, Method::GET, path, ""), 200);
    }
}

#[test]
fn longest_request_heads_stay_within_the_limit() {
    let app = App::metered();
    let text = "%41".repeat(5_000);
    let tags = "\"a\", ".repeat(3_000);
    for (component, path) in [
        ("health", format!("/{text}")),
        ("dictionary", format!("/api/v1/look/{text}")),
        ("dictionary", format!("/api/v2/entries?prefix={text}&after={}", "61".repeat(5_000))),
        ("nth-char", format!("/api/v1/nth-char?{}", "a=b&".repeat(4_000))),
    ] {
        let headers = [
            ("if-match", tags.as_str()),
            ("accept", &"a/b;q=0.5, ".repeat(1_500)),
            ("traceparent", &"0-".repeat(5_000)),
        ];
        app.request(Method::GET, &path, &headers, "");
        check_last(&app, component, "a long request head");
    }
}
