//! One line per request, for operators.

use http::Method;
use serde_json::{Value, json};

use crate::support::{App, JSON, cluster};

/// The lines so far, each a JSON object.
fn lines(app: &App, count: usize) -> Vec<Value> {
    app.wait_for_log("{", count)
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

#[test]
fn a_line_says_what_was_asked_and_how_it_went() {
    let app = App::start();
    app.get("/api/v1/look/private");
    let [line] = lines(&app, 1).try_into().expect("one line");
    assert_eq!(line["component"], "dictionary");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/api/v1/look/{word}");
    assert_eq!(line["status"], 404);
    assert!(line["ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert!(!line.to_string().contains("private"), "what people look up is theirs");
    let keys: Vec<_> = line.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["component", "method", "ms", "route", "status"]);
}

#[test]
fn a_line_carries_the_trace() {
    let app = App::start();
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{id}-00f067aa0ba902b7-01");
    app.request(Method::GET, "/health", &[("traceparent", &traceparent)], "");
    app.request(Method::GET, "/health", &[("traceparent", "forged\",\"status\":1")], "");
    let [traced, forged] = lines(&app, 2).try_into().expect("two lines");
    assert_eq!(traced["trace_id"], id);
    assert_eq!((&forged["trace_id"], &forged["status"]), (&Value::Null, &json!(200)));
}

#[test]
fn a_path_that_belongs_to_nobody_has_no_route() {
    let app = App::start();
    app.get("/nothing");
    assert_eq!(lines(&app, 1)[0]["route"], Value::Null);
}

#[test]
fn a_failure_is_logged_once_with_its_cause_and_without_secrets() {
    let password = "s3cr3t";
    let app = App::with(cluster(), "postgres", &format!("postgres://u:{password}@127.0.0.1:1/x"));
    let body = json!({"word": "Apple", "definition": "confidential"}).to_string();
    let headers = [JSON, ("Authorization", "Bearer t0k3n")];
    app.request(Method::POST, "/api/v1/newentry", &headers, &body).problem(503);
    let [line] = lines(&app, 1).try_into().expect("one line");
    let cause = line["error"].as_str().expect("a cause");
    assert!(cause.contains("is not permitted"), "{cause}");
    for secret in [password, "t0k3n", "confidential", "Apple"] {
        assert!(!line.to_string().contains(secret), "{line}");
    }
}

#[test]
fn nothing_is_warned_of() {
    let app = App::start();
    app.put("/api/v2/entries/Apple", &json!({"definition": "A fruit"}));
    app.get("/api/v2/entries/Apple");
    app.get("/db-check");
    app.wait_for_log("{", 3);
    for line in app.log() {
        assert!(line.starts_with('{'), "{line}");
    }
}
