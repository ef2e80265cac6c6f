//! One line per request, for operators.

use http::Method;
use serde_json::{Value, json};

use crate::readme::table;
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
}

/// The fields of a line as `docs/OPERATIONS.md` has them, in their order: name, type, and what has
/// to be given for it to be there.
fn documented() -> Vec<[String; 3]> {
    let fields = table("docs/OPERATIONS.md", "Logs");
    assert!(!fields.is_empty());
    fields
}

/// A line's fields in their order: name and type.
fn written(line: &str) -> Vec<[String; 2]> {
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
fn a_line_has_the_fields_that_are_documented() {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let away = App::with(cluster(), "postgres", "postgres://u:p@127.0.0.1:1/x");
    let well = App::start();
    for (app, headers, status, given) in [
        (&well, &[][..], 404, vec!["always"]),
        (&well, &[("traceparent", traceparent)], 404, vec!["always", "a trace"]),
        (&away, &[], 503, vec!["always", "a failure"]),
        (&away, &[("traceparent", traceparent)], 503, vec!["always", "a trace", "a failure"]),
    ] {
        let seen = lines(app, 0).len();
        app.request(Method::GET, "/api/v1/look/Apple", headers, "").problem(status);
        let line = app.wait_for_log("{", seen + 1).remove(seen);
        let mut fields = documented();
        fields.retain(|[_, _, there]| given.contains(&there.as_str()));
        let written = written(&line);
        assert_eq!(written.len(), fields.len(), "{line}");
        for ([name, kind], [field, kinds, _]) in written.iter().zip(&fields) {
            assert_eq!(name, field, "{line}");
            assert!(kinds.split(" or ").any(|documented| documented == kind), "{name}: {line}");
        }
    }
}

#[test]
fn a_line_carries_the_trace() {
    let app = App::start();
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{id}-00f067aa0ba902b7-01");
    let traced = ("traceparent", &traceparent[..]);
    app.request(Method::GET, "/health", &[traced], "");
    app.request(Method::GET, "/health", &[("traceparent", "forged\",\"status\":1")], "");
    app.request(Method::GET, "/health", &[traced, traced], "");
    let [traced, forged, twice] = lines(&app, 3).try_into().expect("three lines");
    assert_eq!(traced["trace_id"], id);
    assert_eq!(twice["trace_id"], Value::Null, "only one can be the caller's");
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
