//! Asynchronous runs, as clients see them.

use serde_json::json;

use super::{
    create_shop, deliver, deliver_all, messages, nth_char_order, post_async, post_with, queue,
    runs, runs_in_parts, spending_order, take_messages,
};
use crate::support::{App, cluster};

#[test]
fn respond_async_returns_202_and_messages_complete_the_run() {
    let app = App::start();
    let runs = runs(&app, "word\nyoda\nbest\nhas\nand\nmore\n");
    let response = post_async(&app, &runs, &nth_char_order("word"));
    assert_eq!(response.status, 202, "{response:?}");
    assert_eq!(response.header("preference-applied"), "respond-async");
    assert_eq!(response.header("retry-after"), "1");
    let queued = response.json();
    let id = queued["id"].as_str().expect("an id");
    assert_eq!(response.header("location"), format!("{runs}/{id}"));
    assert_eq!((&queued["state"], &queued["rows"]), (&json!("queued"), &json!(0)));
    assert_eq!(queued["progress"], json!({"done": 0, "total": 1}));
    for absent in ["result", "problem", "started_at", "finished_at"] {
        assert_eq!(queued.get(absent), None, "{queued}");
    }
    let found = app.get(response.header("location"));
    found.assert_json(200, &queued);
    assert_eq!(found.header("retry-after"), "1");

    assert_eq!(messages(&app), [json!({"run": id, "part": 1})]);
    deliver_all(&app);
    let found = app.get(response.header("location"));
    assert_eq!(found.header("retry-after"), "");
    let mut done = found.json();
    assert_eq!((&done["state"], &done["rows"]), (&json!("done"), &json!(4)));
    assert_eq!(done["progress"], json!({"done": 1, "total": 1}));
    assert_eq!(done["result"], json!({"word": "yes"}));
    let times = ["created_at", "started_at", "finished_at"].map(|name| done[name].take());
    let times = times.each_ref().map(|time| time.as_str().expect("a time"));
    assert!(times.is_sorted(), "{times:?}");
    // The list has no results.
    let listed = app.get(&runs).json()["items"][0].take();
    assert_eq!((&listed["state"], &listed["rows"]), (&json!("done"), &json!(4)));
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run_part"), "0");
}

#[test]
fn prefer_with_several_preferences_or_fields_is_understood() {
    let app = App::start();
    let runs = runs(&app, "word\na\n");
    for (headers, status) in [
        (&[("Prefer", "Respond-Async, wait=10")][..], 202),
        (&[("Prefer", "handling=\"lenient, strict\""), ("Prefer", "respond-async;x=1")], 202),
        (&[("Prefer", "wait=10")], 201),
        (&[("Prefer", "return=\"respond-async, x\"")], 201),
        (&[], 201),
    ] {
        let response = post_with(&app, &runs, headers, &nth_char_order("word"));
        assert_eq!(response.status, status, "{headers:?} {response:?}");
        let applied = if status == 202 { "respond-async" } else { "" };
        assert_eq!(response.header("preference-applied"), applied);
    }
}

#[test]
fn run_is_running_while_parts_are_missing() {
    let app = App::start();
    create_shop(&app);
    let runs = runs_in_parts(&app, "item", vec!["socks".to_owned(); 200]);
    let run = queue(&app, &runs, &spending_order());
    let messages = take_messages(&app);
    assert_eq!(messages.len(), 4);
    for (done, message) in messages.iter().enumerate() {
        let found = app.get(&run).json();
        assert_eq!(found["state"], if done == 0 { "queued" } else { "running" });
        assert_eq!(found["progress"], json!({"done": done, "total": 4}));
        assert_eq!(found.get("finished_at"), None);
        assert_eq!(found.get("started_at").is_some(), done > 0);
        assert!(deliver(&app, message));
    }
    let found = app.get(&run).json();
    assert_eq!((&found["state"], &found["result"]), (&json!("done"), &json!({"total": 1090})));
    assert_eq!(found["progress"], json!({"done": 4, "total": 4}));
}

#[test]
fn asynchronous_run_uses_the_prices_at_the_time_of_the_request() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item\nsocks\nshoes\n");
    let run = queue(&app, &runs, &spending_order());
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 1000}}));
    assert_eq!(app.delete("/api/v1/price-lists/shop").status, 204);
    deliver_all(&app);
    assert_eq!(app.get(&run).json()["result"], json!({"total": 70.85}));
    assert_eq!(app.value("SELECT count(prices)::text FROM katas.dataset_run"), "0");
}

#[test]
fn invalid_asynchronous_run_is_rejected_and_stores_nothing() {
    let app = App::start();
    create_shop(&app);
    let runs = runs(&app, "item\nsocks\n");
    for (field, value, detail) in [
        ("item_column", "x", "is not a column of the dataset"),
        ("group_by", "x", "is not a column of the dataset"),
        ("price_list", "x", "does not exist"),
    ] {
        let mut order = spending_order();
        order[field] = json!(value);
        let response = post_async(&app, &runs, &order);
        response.assert_invalid(&[(&format!("/{field}"), detail)]);
        // The synchronous form has the same response.
        assert_eq!(app.post(&runs, &order).json(), response.json());
    }
    post_async(&app, &runs, &nth_char_order("x"))
        .assert_invalid(&[("/column", "is not a column of the dataset")]);
    let none = "/api/v1/datasets/67e55044-10b1-426f-9247-bb680e5fe0c8/runs";
    post_async(&app, none, &spending_order()).problem(404);
    let count = "SELECT ((SELECT count(*) FROM katas.dataset_run) \
                        + (SELECT count(*) FROM katas.outbox))::text";
    assert_eq!(app.value(count), "0");
}

#[test]
fn deleted_run_is_cancelled() {
    let app = App::start();
    create_shop(&app);
    let runs = runs_in_parts(&app, "item", vec!["socks".to_owned(); 130]);
    let run = queue(&app, &runs, &spending_order());
    let messages = take_messages(&app);
    assert!(deliver(&app, &messages[0]));
    assert_eq!(app.delete(&run).status, 204);
    let id = run.rsplit('/').next().expect("an id");
    for response in [app.get(&run), app.delete(&run)] {
        response.assert_problem(404, &format!("run {id} not found"));
    }
    for message in &messages {
        assert!(!deliver(&app, message));
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run_part"), "0");

    let done = app.post(&runs, &spending_order()).header("location").to_owned();
    let other = runs.replace("/runs", "x/runs");
    app.delete(&done.replace(&runs, &other)).problem(404);
    app.delete(&format!("{runs}/x")).assert_problem(404, "run x not found");
    assert_eq!(app.delete(&done).status, 204);
}

#[test]
fn message_of_a_deleted_dataset_has_no_effect() {
    let app = App::start();
    let runs = runs(&app, "word\na\n");
    queue(&app, &runs, &nth_char_order("word"));
    assert_eq!(app.delete(runs.trim_end_matches("/runs")).status, 204);
    let messages = take_messages(&app);
    assert_eq!(messages.len(), 1);
    assert!(!deliver(&app, &messages[0]));
    assert_eq!(app.post("/api/v1/run-failures", &messages[0]).status, 204);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset_run"), "0");
}

/// The statements of the previous build.
const PREVIOUS_ADD: &str = "INSERT INTO katas.dataset_run (dataset, kata, parameters, result, rows) \
     SELECT number, 'nth-char', '{\"column\":\"word\"}', '{\"word\":\"a\"}', 1 FROM katas.dataset";
const PREVIOUS_FIND: &str = "SELECT string_agg(result::text, ' ' ORDER BY number) \
     FROM katas.dataset_run WHERE parameters::text IS NOT NULL AND rows IS NOT NULL";

#[test]
fn runs_of_the_previous_build_are_done() {
    let database = cluster().create_database(false);
    let app = App::with_database(&database);
    app.migrate(Some(6));
    app.sql(
        "INSERT INTO katas.dataset (name, columns, state, rows, bytes) \
         VALUES ('old', '{word}', 'loaded', 1, 9)",
    );
    app.sql(PREVIOUS_ADD);
    app.migrate(None);
    app.sql(PREVIOUS_ADD);
    let dataset = app.value("SELECT id::text FROM katas.dataset");
    let runs = format!("/api/v1/datasets/{dataset}/runs");
    let listed = app.get(&runs).json();
    let listed = listed["items"].as_array().expect("runs");
    assert_eq!(listed.len(), 2);
    for run in listed {
        let run = app.get(&format!("{runs}/{}", run["id"].as_str().expect("an id"))).json();
        assert_eq!((&run["state"], &run["result"]), (&json!("done"), &json!({"word": "a"})));
        assert_eq!(run["progress"], json!({"done": 1, "total": 1}));
        assert_eq!(run.get("started_at").or(run.get("finished_at")), None);
    }
    // The pods of the previous build, which still run, find a result of every run.
    queue(&app, &runs, &nth_char_order("word"));
    assert_eq!(app.value(PREVIOUS_FIND), r#"{"word":"a"} {"word":"a"} {}"#);
}
