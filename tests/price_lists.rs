//! Tests of the `price-lists` component.

use http::Method;
use serde_json::json;

use crate::support::{App, JSON};

const SHOP: &str = "/api/v1/price-lists/shop";

#[test]
fn price_list_is_created_replaced_read_and_deleted() {
    let app = App::start();
    app.get(SHOP).assert_problem(404, "price list shop not found");
    let created = app.put(SHOP, &json!({"costs": {"socks": 5}}));
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.json()["costs"], json!({"socks": 5}));
    assert_eq!(app.get(SHOP).json(), created.json());

    let replaced = app.put(SHOP, &json!({"costs": {"shoes": 60}, "more": 1}));
    assert_eq!(replaced.status, 200, "{replaced:?}");
    assert_eq!(replaced.json()["costs"], json!({"shoes": 60}));
    assert_eq!(replaced.json()["created_at"], created.json()["created_at"]);

    let deleted = app.delete(SHOP);
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    app.delete(SHOP).assert_problem(404, "price list shop not found");
    assert_eq!(app.put(SHOP, &json!({"costs": {}})).status, 201);
}

#[test]
fn prices_keep_all_digits() {
    let app = App::start();
    let body = r#"{"costs":{"a":0.10,"b":1e3,"c":12345678901234567890.12345678,"d\"e":0}}"#;
    let put = app.request(Method::PUT, SHOP, &[JSON], body);
    let stored = r#""costs":{"a":0.1,"b":1000,"c":12345678901234567890.12345678,"d\"e":0},"#;
    assert!(put.body.contains(stored), "{put:?}");
    assert!(app.get(SHOP).body.contains(stored));
}

#[test]
fn names_may_contain_any_characters_up_to_200() {
    let app = App::start();
    for (path, name) in
        [("a%2Fb", "a/b"), ("100%25", "100%"), ("%F0%9F%A6%80", "🦀"), ("Shop", "Shop")]
    {
        let path = format!("/api/v1/price-lists/{path}");
        assert_eq!(app.put(&path, &json!({"costs": {}})).json()["name"], name);
        assert_eq!(app.get(&path).json()["name"], name);
    }
    app.get(SHOP).problem(404);
    let long = format!("/api/v1/price-lists/{}", "x".repeat(201));
    let costs = json!({"costs": {}});
    app.put(&long, &costs).assert_invalid(&[("/name", "must have at most 200 characters")]);
    app.get(&long).problem(404);
    app.delete(&long).problem(404);
}

#[test]
fn invalid_price_list_returns_the_pointer_of_the_error() {
    let app = App::start();
    for (body, pointer, detail) in [
        (json!({}), "/costs", "is required"),
        (json!({"costs": []}), "/costs", "must be an object"),
        (json!({"costs": {"a": "5"}}), "/costs/a", "must be a number"),
        (json!({"costs": {"a": -5}}), "/costs/a", "must not be negative"),
        (
            json!({"costs": {"\u{0}": 5}}),
            "/costs",
            "must not contain a NUL character in an item name",
        ),
    ] {
        app.put(SHOP, &body).assert_invalid(&[(pointer, detail)]);
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.price_list"), "0");
}

#[test]
fn price_lists_are_paged_by_name() {
    let app = App::start();
    let names = ["B", "a", "b", "c\nd", "ä"];
    for name in names {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        app.put(&format!("/api/v1/price-lists/{encoded}"), &json!({"costs": {"x": 1}}));
    }
    let mut found = Vec::new();
    let mut path = "/api/v1/price-lists?limit=2".to_owned();
    loop {
        let page = app.get(&path);
        let json = page.json();
        for item in json["items"].as_array().expect("items") {
            assert_eq!(item.as_object().expect("an object").len(), 3, "{item}");
            found.push(item["name"].as_str().expect("a name").to_owned());
        }
        let Some(next) = json["next"].as_str() else { break };
        path = format!("/api/v1/price-lists?limit=2&after={next}");
        assert_eq!(page.header("link"), format!("<{path}>; rel=\"next\""));
    }
    assert_eq!(found, names);
    app.get("/api/v1/price-lists?after=nonsense").problem(400);
    app.get("/api/v1/price-lists?limit=0").problem(400);
}
