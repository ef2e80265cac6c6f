//! The request log: one JSON line per request.

use http::Method;
use serde_json::{Value, json};

use crate::documentation::table;
use crate::support::{App, JSON, cluster};

/// Waits for at least `count` log lines and parses all of them.
fn lines(app: &App, count: usize) -> Vec<Value> {
    app.wait_for_log("{", count)
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

#[test]
fn log_line_has_component_method_route_status_and_duration() {
    let app = App::start();
    app.get("/api/v1/look/private");
    let [line] = lines(&app, 1).try_into().expect("one line");
    assert_eq!(line["component"], "dictionary");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/api/v1/look/{word}");
    assert_eq!(line["status"], 404);
    assert!(line["ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert!(!line.to_string().contains("private"), "the path is not logged");
}

/// Returns the fields documented in `docs/OPERATIONS.md`, in order: name, type, and condition.
fn documented_fields() -> Vec<[String; 3]> {
    let fields = table("docs/OPERATIONS.md", "Logs");
    assert!(!fields.is_empty());
    fields
}

/// Returns the fields of a log line in order: name and type.
fn logged_fields(line: &str) -> Vec<[String; 2]> {
    let Value::Object(fields) = serde_json::from_str(line).expect(line) else { panic!("{line}") };
    let mut names: Vec<_> = fields.keys().cloned().collect();
    names.sort_by_key(|name| line.find(&format!("\"{name}\":")));
    let kind = |name: &String| match fields[name] {
        Value::Null => "null",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        _ => panic!("{name} of {line}"),
    };
    names.iter().map(|name| [name.clone(), kind(name).to_owned()]).collect()
}

#[test]
fn log_line_has_exactly_the_documented_fields() {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let unavailable = App::with_url(cluster(), "postgres", "postgres://u:p@127.0.0.1:1/x");
    let available = App::start();
    for (app, headers, status, conditions) in [
        (&available, &[][..], 404, vec!["always"]),
        (&available, &[("traceparent", traceparent)], 404, vec!["always", "a trace"]),
        (&unavailable, &[], 503, vec!["always", "a failure"]),
        (
            &unavailable,
            &[("traceparent", traceparent)],
            503,
            vec!["always", "a trace", "a failure"],
        ),
    ] {
        let before = lines(app, 0).len();
        app.request(Method::GET, "/api/v1/look/Apple", headers, "").problem(status);
        let line = app.wait_for_log("{", before + 1).remove(before);
        let mut fields = documented_fields();
        fields.retain(|[_, _, condition]| conditions.contains(&condition.as_str()));
        let logged = logged_fields(&line);
        assert_eq!(logged.len(), fields.len(), "{line}");
        for ([name, kind], [field, kinds, _]) in logged.iter().zip(&fields) {
            assert_eq!(name, field, "{line}");
            assert!(kinds.split(" or ").any(|documented| documented == kind), "{name}: {line}");
        }
    }
}

#[test]
fn log_line_has_the_trace_id_of_a_single_valid_traceparent() {
    let app = App::start();
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{id}-00f067aa0ba902b7-01");
    let traced = ("traceparent", &traceparent[..]);
    app.request(Method::GET, "/health", &[traced], "");
    app.request(Method::GET, "/health", &[("traceparent", "forged\",\"status\":1")], "");
    app.request(Method::GET, "/health", &[traced, traced], "");
    let [traced, forged, twice] = lines(&app, 3).try_into().expect("three lines");
    assert_eq!(traced["trace_id"], id);
    assert_eq!(twice["trace_id"], Value::Null, "duplicate traceparent headers are ignored");
    assert_eq!((&forged["trace_id"], &forged["status"]), (&Value::Null, &json!(200)));
}

#[test]
fn unmatched_path_is_logged_without_a_route() {
    let app = App::start();
    app.get("/nothing");
    assert_eq!(lines(&app, 1)[0]["route"], Value::Null);
}

#[test]
fn failure_is_logged_once_with_its_cause_and_without_secrets() {
    let password = "s3cr3t";
    let app =
        App::with_url(cluster(), "postgres", &format!("postgres://u:{password}@127.0.0.1:1/x"));
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
fn requests_log_no_host_warnings() {
    let app = App::start();
    app.put("/api/v2/entries/Apple", &json!({"definition": "A fruit"}));
    app.get("/api/v2/entries/Apple");
    app.get("/db-check");
    app.wait_for_log("{", 3);
    for line in app.log() {
        assert!(line.starts_with('{'), "{line}");
    }
}
