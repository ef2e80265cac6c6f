//! How long a component works without calling the host, on the largest input that each route takes.
//!
//! Spin does not interrupt a guest: as many of them in a loop as there are threads stop everything
//! else. Counted in instructions, because time depends on the machine.

use http::Method;
use serde_json::{Map, Value, json};

use crate::support::{App, JSON};

/// The maximum number of instructions between two calls of the host, for 10 ms of one core: on Spin, an
/// order of 10,000 items, which hashes most, has 62 million and takes 6.8 ms.
const MAX: u64 = 90_000_000;

/// The maximum for parsing JSON, whose instructions are faster: a mebibyte of escaped line feeds has 122
/// million and takes 9.3 ms.
const MAX_PARSING: u64 = 130_000_000;

const MEBIBYTE: usize = 1 << 20;

/// Sends a request, and checks the work of its component.
#[track_caller]
fn costs_little(app: &App, component: &str, method: Method, path: &str, body: &str) -> u16 {
    costs(app, component, method, path, body, MAX)
}

#[track_caller]
fn costs(app: &App, component: &str, method: Method, path: &str, body: &str, max: u64) -> u16 {
    let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
    let response = app.request(method.clone(), path, headers, body);
    let work = app.take_longest_run(component).unwrap_or_default();
    let status = response.status;
    assert!(work < max, "{component}, {method} {path}, {status}: {work} instructions");
    status
}

/// Checks the work of a component since the last check. Spin does not count it.
#[track_caller]
fn within(app: &App, component: &str, what: &str) {
    let work = app.take_longest_run(component).unwrap_or_default();
    assert!(work < MAX, "{component}, {what}: {work} instructions");
}

/// JSON of a mebibyte: `before`, the element as often as it fits, `after`.
fn filled(before: &str, element: &str, after: &str) -> String {
    let room = MEBIBYTE - before.len() - after.len();
    let elements = format!("{element},").repeat(room / (element.len() + 1));
    [before, elements.trim_end_matches(','), after].concat()
}

/// Bodies of a mebibyte that are as hard to read as JSON can be.
fn hard_to_read() -> Vec<String> {
    let deep = ["[".repeat(60), "]".repeat(60)].concat();
    let elements = ["0", "\"\"", "\"\\n\"", "{}", "[]", "-1.5e-7", "true", deep.as_str()];
    let mut bodies: Vec<_> = elements.iter().map(|it| filled("{\"words\":[", it, "]}")).collect();
    bodies.push(filled("{\"words\":[{", "\"\":1", "}]}"));
    bodies.push(filled("{", "\"\":1", "}"));
    bodies.push(format!("{{\"words\":[\"{}\"]}}", "\\n".repeat(MEBIBYTE / 2 - 10)));
    bodies.push(format!("{{\"words\":[\"{}\"]}}", "\\ud83e\\udd80".repeat(MEBIBYTE / 12 - 2)));
    bodies.push(format!("{}1", " ".repeat(MEBIBYTE - 1)));
    bodies
}

#[test]
fn json_that_is_hard_to_read() {
    let app = App::metered();
    for body in hard_to_read() {
        for (component, method, path) in [
            ("dictionary", Method::POST, "/api/v1/newentry"),
            ("dictionary", Method::PUT, "/api/v2/entries/Apple"),
            ("nth-char", Method::POST, "/api/v1/nth-char"),
            ("price-lists", Method::PUT, "/api/v1/price-lists/shop"),
            ("receipts", Method::POST, "/api/v1/receipts"),
            ("spending", Method::POST, "/api/v1/spending"),
            ("users", Method::POST, "/api/v2/users"),
            ("users", Method::PUT, "/api/v2/users/1"),
        ] {
            costs(&app, component, method, path, &body, MAX_PARSING);
        }
    }
}

#[test]
fn ten_thousand_words() {
    let app = App::metered();
    // The longer a word, the further its character is.
    let words: Vec<_> = (0..1_400).map(|n| "x".repeat(n + 1)).collect();
    let short = vec!["x".repeat(90); 10_000];
    for words in [words, short] {
        let body = json!({"words": words}).to_string();
        assert_eq!(costs_little(&app, "nth-char", Method::POST, "/api/v1/nth-char", &body), 200);
    }
}

#[test]
fn ten_thousand_prices_and_items() {
    let app = App::metered();
    // Names that begin alike take longest to compare.
    let name = |n: usize| format!("{}{n}", "i".repeat(26));
    let costs: Map<String, Value> =
        (0..10_000).map(|n| (name(n), json!(n as f64 / 100.0))).collect();
    let items: Vec<_> = (0..10_000).map(|n| name(n * 7919 % 10_000)).collect();
    let order = json!({"costs": costs, "items": items, "tax": 0.09}).to_string();
    let others: Vec<_> = (0..10_000).map(|n| name(n + 10_000)).collect();
    let ignored = json!({"costs": costs, "items": others, "tax": 0.09}).to_string();
    let list = "/api/v1/price-lists/shop";
    let prices = json!({"costs": costs}).to_string();
    assert_eq!(costs_little(&app, "price-lists", Method::PUT, list, &prices), 201);
    assert_eq!(costs_little(&app, "price-lists", Method::GET, list, ""), 200);
    let named = json!({"price_list": "shop", "items": items, "tax": 0.09}).to_string();
    for body in [order, ignored, named] {
        for (component, path, status) in
            [("spending", "/api/v1/spending", 200), ("receipts", "/api/v1/receipts", 201)]
        {
            assert_eq!(costs_little(&app, component, Method::POST, path, &body), status);
        }
    }
    let list = app.get("/api/v1/receipts?limit=1").json();
    let receipt = format!("/api/v1/receipts/{}", list["items"][0]["id"].as_str().expect("an id"));
    assert_eq!(costs_little(&app, "receipts", Method::GET, &receipt, ""), 200);
}

#[test]
fn files_that_are_hard_to_read() {
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
        let shown: String = file.chars().take(20).collect();
        let headers = [("Content-Type", "text/csv")];
        let loaded = app.request(Method::POST, &format!("{datasets}?name=x"), &headers, &file);
        assert_eq!(loaded.status, 201, "{shown:?}: {loaded:?}");
        within(&app, "datasets", &format!("load {shown:?}"));
        let path = loaded.header("location").to_owned();
        app.get(&format!("{path}/rows?limit=1000"));
        within(&app, "datasets", &format!("page {shown:?}"));
        app.request(Method::GET, &format!("{path}/rows"), &[("Accept", "text/csv")], "");
        within(&app, "datasets", &format!("file {shown:?}"));
        let column = if file.starts_with('a') { "a" } else { "0" };
        app.put("/api/v1/price-lists/shop", &json!({"costs": {"x": 1}}));
        app.post(&format!("{path}/runs"), &json!({"kata": "nth-char", "column": column}));
        within(&app, "runs", &format!("nth-char {shown:?}"));
        let run = json!({
            "kata": "spending",
            "item_column": column,
            "group_by": column,
            "price_list": "shop",
            "tax": 0.09,
        });
        app.post(&format!("{path}/runs"), &run);
        within(&app, "runs", &format!("spending {shown:?}"));
        app.get(&format!("{path}/runs?limit=1000"));
        within(&app, "runs", "list");
    }
    for (before, element, after) in [
        ("{\"name\":\"x\",\"columns\":[\"a\"],\"rows\":[", "[\"x\"]", "]}"),
        ("{\"name\":\"x\",\"columns\":[\"a\"],\"rows\":[", "[]", "]}"),
        ("{\"name\":\"x\",\"columns\":[\"a\"],\"rows\":[[", "\"\\n\"", "]]}"),
        ("{\"name\":\"x\",\"rows\":[],\"columns\":[", "\"\"", "]}"),
    ] {
        let body = filled(before, element, after);
        costs_little(&app, "datasets", Method::POST, datasets, &body);
    }
}

#[test]
fn the_longest_lists() {
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
        // Kept compressed, and asked for plain.
        ("docs", "/openapi.json"),
        ("docs", "/docs/x/swagger-ui-bundle.js"),
    ] {
        assert_eq!(costs_little(&app, component, Method::GET, path, ""), 200);
    }
}

#[test]
fn the_longest_heads() {
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
        within(&app, component, "a long head");
    }
}
