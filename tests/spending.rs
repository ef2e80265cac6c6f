//! Tests of the `spending` component.

use http::Method;
use serde_json::json;

use crate::support::{App, JSON};

const PATH: &str = "/api/v1/spending";

/// Posts `body` unchanged and returns the response body.
fn total(app: &App, body: &str) -> String {
    let response = app.request(Method::POST, PATH, &[JSON], body);
    assert_eq!(response.status, 200, "{body}: {response:?}");
    response.body
}

#[test]
fn both_paths_return_the_total_and_ignore_unknown_fields() {
    let app = App::start();
    let order = json!({
        "costs": {"socks": 5, "shoes": 60, "sweater": 30},
        "items": ["socks", "shoes"],
        "tax": 0.09,
        "more": true,
    });
    for path in [PATH, "/api/spending"] {
        let response = app.post(path, &order);
        assert_eq!((response.status, response.body.as_str()), (200, r#"{"total":70.85}"#));
        assert_eq!(response.header("api-version"), "1");
    }
}

#[test]
fn totals_are_computed_in_decimal() {
    let app = App::start();
    for (body, expected) in [
        (r#"{"costs":{"a":1.005},"items":["a"],"tax":0}"#, "1.01"),
        (r#"{"costs":{"a":2.5},"items":["a"],"tax":0.07}"#, "2.68"),
        (r#"{"costs":{"a":0.1,"b":0.2},"items":["a","b"],"tax":0}"#, "0.3"),
        (r#"{"costs":{"a":0.30000000000000004},"items":["a"],"tax":0.09}"#, "0.33"),
        (r#"{"costs":{"a":1e2},"items":["a","a"],"tax":5E-1}"#, "300"),
        (r#"{"costs":{"a":9007199254740993},"items":["a"],"tax":0}"#, "9007199254740993"),
        (r#"{"costs":{"a":-0},"items":["a"],"tax":-0.0}"#, "0"),
    ] {
        assert_eq!(total(&app, body), format!(r#"{{"total":{expected}}}"#), "{body}");
    }
}

#[test]
fn items_without_a_price_are_ignored_and_repeated_items_count() {
    let app = App::start();
    for (items, expected) in
        [(r#"["a","x","a"]"#, "10"), ("[]", "0"), (r#"["x"]"#, "0"), (r#"["A"]"#, "0")]
    {
        let body = format!(r#"{{"costs":{{"a":5}},"items":{items},"tax":0}}"#);
        assert_eq!(total(&app, &body), format!(r#"{{"total":{expected}}}"#), "{body}");
    }
}

#[test]
fn price_list_replaces_costs() {
    let app = App::start();
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 5, "shoes": 60}}));
    let body = r#"{"price_list":"shop","items":["socks","shoes"],"tax":0.09}"#;
    assert_eq!(total(&app, body), r#"{"total":70.85}"#);
    let unknown = json!({"price_list": "Shop", "items": [], "tax": 0});
    app.post(PATH, &unknown).assert_invalid(&[("/price_list", "does not exist")]);
    let both = json!({"price_list": "shop", "costs": {}, "items": [], "tax": 0});
    let detail = "cannot be combined with costs";
    app.post(PATH, &both).assert_invalid(&[("/price_list", detail)]);
}

#[test]
fn invalid_order_returns_all_errors() {
    let app = App::start();
    app.post(PATH, &json!({})).assert_invalid(&[
        ("/items", "is required"),
        ("/tax", "is required"),
        ("/costs", "is required"),
    ]);
    app.post(PATH, &json!({"costs": {"a": -1}, "items": ["a", 2], "tax": "9 %"})).assert_invalid(
        &[
            ("/items/1", "must be a string"),
            ("/tax", "must be a number"),
            ("/costs/a", "must not be negative"),
        ],
    );
    for (body, pointer, detail) in [
        (r#"{"costs":{},"items":[],"tax":-0.01}"#, "/tax", "must not be negative"),
        (r#"{"costs":{},"items":[],"tax":1e400}"#, "/tax", "exceeds 28 digits"),
        (r#"{"costs":{"a":1e29},"items":[],"tax":0}"#, "/costs/a", "exceeds 28 digits"),
        (r#"{"costs":{"a":1,"a":2},"items":[],"tax":0}"#, "/costs/a", "is a duplicate field"),
        (r#"{"costs":{"a/b":"1"},"items":[],"tax":0}"#, "/costs/a~1b", "must be a number"),
        (
            r#"{"costs":{},"items":["a\u0000"],"tax":0}"#,
            "/items/0",
            "must not contain a NUL character",
        ),
        (
            r#"{"costs":{"a":1e27},"items":["a"],"tax":0.01}"#,
            "",
            "has a sum that exceeds 28 digits",
        ),
    ] {
        app.request(Method::POST, PATH, &[JSON], body).assert_invalid(&[(pointer, detail)]);
    }
    for not_json in [r#"{"costs":{},"items":[],"tax":NaN}"#, r#"{"tax":Infinity}"#, "{"] {
        app.request(Method::POST, PATH, &[JSON], not_json).problem(400);
    }
}

#[test]
fn more_than_10000_prices_or_items_are_rejected() {
    let app = App::start();
    let post = |prices: usize, items: usize| {
        let costs: serde_json::Map<_, _> =
            (0..prices).map(|n| (format!("item {n}"), json!(0.01))).collect();
        let items: Vec<_> = (0..items).map(|n| format!("item {n}")).collect();
        app.post(PATH, &json!({"costs": costs, "items": items, "tax": 0}))
    };
    assert_eq!(post(10_000, 10_000).body, r#"{"total":100}"#);
    post(10_001, 1).assert_invalid(&[("/costs", "must have at most 10000 elements")]);
    post(1, 10_001).assert_invalid(&[("/items", "must have at most 10000 elements")]);
}

#[test]
fn only_an_order_with_a_price_list_needs_the_database() {
    let app = App::start();
    app.sql("ALTER TABLE katas.price_list RENAME TO renamed");
    total(&app, r#"{"costs":{"a":1},"items":["a"],"tax":0}"#);
    app.post(PATH, &json!({"price_list": "shop", "items": [], "tax": 0})).problem(503);
}
