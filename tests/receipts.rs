//! Tests of the `receipts` component.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::support::{App, JSON, Response};

const PATH: &str = "/api/v1/receipts";

fn order() -> Value {
    json!({
        "costs": {"socks": 5, "shoes": 60, "sweater": 30},
        "items": ["socks", "hat", "shoes", "socks"],
        "tax": 0.09,
    })
}

/// Posts an order with an `Idempotency-Key`.
fn post_with_key(app: &App, key: &str, order: &Value) -> Response {
    app.request(Method::POST, PATH, &[JSON, ("Idempotency-Key", key)], order.to_string())
}

#[test]
fn receipt_has_lines_ignored_items_and_totals() {
    let app = App::start();
    let created = app.post(PATH, &order());
    assert_eq!(created.status, 201, "{created:?}");
    let mut receipt = created.json();
    let id = receipt["id"].as_str().expect("an id").to_owned();
    assert_eq!(created.header("location"), format!("{PATH}/{id}"));
    assert_eq!(app.get(created.header("location")).json(), receipt);
    receipt.as_object_mut().expect("an object").retain(|name, _| name != "id");
    let created_at = receipt["created_at"].take();
    assert!(created_at.as_str().is_some_and(|time| time.ends_with('Z')), "{created_at}");
    let expected = json!({
        "lines": [
            {"item": "socks", "quantity": 2, "unit_price": "5.00", "amount": "10.00"},
            {"item": "shoes", "quantity": 1, "unit_price": "60.00", "amount": "60.00"},
        ],
        "ignored": ["hat"],
        "subtotal": "70.00",
        "tax": "6.30",
        "tax_rate": "0.09",
        "total": "76.30",
        "created_at": null,
    });
    assert_eq!(receipt, expected);
}

#[test]
fn receipt_keeps_its_prices_when_the_price_list_changes() {
    let app = App::start();
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 5}}));
    let created = app.post(PATH, &json!({"price_list": "shop", "items": ["socks"], "tax": 0}));
    assert_eq!(created.json()["total"], "5.00");
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 6}}));
    assert_eq!(app.get(created.header("location")).json()["total"], "5.00");
    app.delete("/api/v1/price-lists/shop");
    assert_eq!(app.get(created.header("location")).json()["total"], "5.00");
}

#[test]
fn repeated_idempotency_key_returns_the_same_receipt() {
    let app = App::start();
    let first = post_with_key(&app, "order-1", &order());
    let repeated = post_with_key(&app, "order-1", &order());
    assert_eq!((repeated.status, repeated.json()), (201, first.json()));
    assert_eq!(repeated.header("location"), first.header("location"));

    let mut other = order();
    other["tax"] = json!(0.1);
    let detail = "differs from the body first sent with this Idempotency-Key";
    post_with_key(&app, "order-1", &other).assert_invalid(&[("", detail)]);
    assert_ne!(post_with_key(&app, "order-2", &order()).json()["id"], first.json()["id"]);
    assert_ne!(app.post(PATH, &order()).json()["id"], app.post(PATH, &order()).json()["id"]);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.receipt"), "4");
}

#[test]
fn repeated_idempotency_key_returns_the_receipt_after_the_price_list_is_deleted() {
    let app = App::start();
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 5}}));
    let order = json!({"price_list": "shop", "items": ["socks"], "tax": 0});
    let first = post_with_key(&app, "k", &order);
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 6}}));
    assert_eq!(post_with_key(&app, "k", &order).json(), first.json());
    app.delete("/api/v1/price-lists/shop");
    assert_eq!(post_with_key(&app, "k", &order).json(), first.json());
    post_with_key(&app, "l", &order).assert_invalid(&[("/price_list", "does not exist")]);
}

#[test]
fn concurrent_requests_with_one_idempotency_key_get_the_same_receipt() {
    let app = App::start();
    let responses: Vec<_> = std::thread::scope(|scope| {
        let retries: Vec<_> =
            (0..16).map(|_| scope.spawn(|| post_with_key(&app, "k", &order()))).collect();
        retries.into_iter().map(|retry| retry.join().expect("no panic")).collect()
    });
    let ids: BTreeSet<_> = responses
        .iter()
        .map(|response| (response.status, response.json()["id"].to_string()))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(app.value("SELECT count(*)::text FROM katas.receipt"), "1");
}

#[test]
fn idempotency_key_must_have_1_to_255_characters() {
    let app = App::start();
    let long = "k".repeat(256);
    for bad in ["", long.as_str()] {
        let detail = "Idempotency-Key must have 1 to 255 characters";
        post_with_key(&app, bad, &order()).assert_problem(400, detail);
    }
    assert_eq!(post_with_key(&app, &long[1..], &order()).status, 201);
}

#[test]
fn request_with_two_idempotency_keys_stores_no_receipt() {
    let app = App::start();
    for second in ["K", "L", ""] {
        let headers = [JSON, ("Idempotency-Key", "K"), ("Idempotency-Key", second)];
        let response = app.request(Method::POST, PATH, &headers, order().to_string());
        response.assert_problem(400, "idempotency-key must not be repeated");
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.receipt"), "0");
}

#[test]
fn invalid_order_stores_no_receipt() {
    let app = App::start();
    app.post(PATH, &json!({"costs": {}, "items": []})).assert_invalid(&[("/tax", "is required")]);
    let unknown = json!({"price_list": "none", "items": [], "tax": 0});
    app.post(PATH, &unknown).assert_invalid(&[("/price_list", "does not exist")]);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.receipt"), "0");
}

#[test]
fn unknown_id_returns_404() {
    let app = App::start();
    for id in ["67e55044-10b1-426f-9247-bb680e5fe0c8", "1", "' OR true --"] {
        let encoded = id.replace(' ', "%20");
        let detail = format!("receipt {id} not found");
        app.get(&format!("{PATH}/{encoded}")).assert_problem(404, &detail);
    }
}

#[test]
fn receipts_are_paged_in_creation_order() {
    let app = App::start();
    let created: Vec<_> = (0..5).map(|_| app.post(PATH, &order()).json()["id"].clone()).collect();
    let mut found = Vec::new();
    let mut path = format!("{PATH}?limit=2");
    loop {
        let page = app.get(&path).json();
        for item in page["items"].as_array().expect("items") {
            assert_eq!(item["total"], "76.30");
            assert_eq!(item.as_object().expect("an object").len(), 3, "{item}");
            found.push(item["id"].clone());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{PATH}?limit=2&after={next}");
    }
    assert_eq!(found, created);
    app.get(&format!("{PATH}?after=78")).problem(400);
}
