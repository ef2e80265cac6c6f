//! `Idempotency-Key` of runs.

use std::collections::BTreeSet;

use serde_json::json;

use super::{create_shop, deliver_all, messages, post_with, runs, spending_order};
use crate::support::App;

const ASYNC: (&str, &str) = ("Prefer", "respond-async");
const KEY: (&str, &str) = ("Idempotency-Key", "k");

#[test]
fn repeated_key_returns_the_first_run_in_both_forms() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item\nsocks\n");
    let mut other = spending_order();
    other["tax"] = json!(0);
    for (headers, status) in [(&[KEY][..], 201), (&[ASYNC, ("Idempotency-Key", "l")], 202)] {
        let first = post_with(&app, &runs, headers, &spending_order());
        // Neither a new nor a deleted price list has an effect on the run.
        app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 6}}));
        app.delete("/api/v1/price-lists/shop");
        let repeated = post_with(&app, &runs, headers, &spending_order());
        assert_eq!((repeated.status, repeated.json()), (status, first.json()), "{repeated:?}");
        assert_eq!(repeated.header("location"), first.header("location"));
        let detail = "differs from the body first sent with this Idempotency-Key";
        post_with(&app, &runs, headers, &other).assert_invalid(&[("", detail)]);
        create_shop(&app);
    }
    assert_eq!(messages(&app).len(), 1);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run"), "2");
}

#[test]
fn retry_in_the_other_form_returns_the_first_run() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item\nsocks\n");
    let first = post_with(&app, &runs, &[ASYNC, KEY], &spending_order());
    let retry = post_with(&app, &runs, &[KEY], &spending_order());
    assert_eq!((retry.status, retry.json()), (202, first.json()));
    assert_eq!(retry.header("preference-applied"), "");
    deliver_all(&app);
    let retry = post_with(&app, &runs, &[KEY], &spending_order());
    assert_eq!((retry.status, &retry.json()["id"]), (201, &first.json()["id"]));
    assert_eq!(retry.json()["result"], json!({"total": 5.45}));
    let retry = post_with(&app, &runs, &[ASYNC, KEY], &spending_order());
    assert_eq!((retry.status, &retry.json()["state"]), (202, &json!("done")));
    assert_eq!(messages(&app).len(), 0);
}

#[test]
fn key_belongs_to_the_runs_of_one_dataset() {
    let app = App::start();
    create_shop(&app);
    let [one, two] = ["socks", "shoes"].map(|item| runs(&app, &format!("item\n{item}\n")));
    let totals = [&one, &two].map(|runs| {
        let run = post_with(&app, runs, &[KEY], &spending_order());
        assert_eq!(run.status, 201, "{run:?}");
        run.json()["result"]["total"].take()
    });
    assert_eq!(totals, [json!(5.45), json!(65.4)]);
}

#[test]
fn concurrent_requests_with_one_key_get_the_same_run() {
    for headers in [&[KEY][..], &[ASYNC, KEY]] {
        let app = App::start();
        create_shop(&app);
        let runs = runs(&app, "item\nsocks\n");
        let post = || post_with(&app, &runs, headers, &spending_order());
        let responses: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(post)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let ids = responses.iter().map(|response| {
            assert!(response.status < 300, "{response:?}");
            response.json()["id"].to_string()
        });
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run"), "1");
        assert_eq!(messages(&app).len(), headers.len() - 1);
    }
}
