//! One trace: the caller's, the engine's spans, our log line. Only Spin has spans, so on the local
//! host nothing is proven here: `E2E_ENGINE=spin cargo test -p e2e`.

use http::Method;
use serde_json::Value;

use crate::support::{App, Collector, Span, is_spin};

/// What Spin calls its spans of a look-up.
const SERVER: &str = "GET /api/v1/look/...";
const GUEST: &str = "execute_wasm_component dictionary";

/// The line that a look-up is logged by, and the engine's spans of it.
fn look_up(headers: &[(&str, &str)]) -> (String, Vec<Span>) {
    let collector = Collector::start();
    let app = App::traced(&collector);
    app.request(Method::GET, "/api/v1/look/Apple", headers, "");
    let [line] = app.wait_for_log("{", 1).try_into().expect("one line");
    if !is_spin() {
        eprintln!("nothing is proven without Spin: the local host has no spans");
        return (line, Vec::new());
    }
    (line, collector.wait_for(&[SERVER, GUEST]))
}

fn trace_id(line: &str) -> Value {
    serde_json::from_str::<Value>(line).expect(line)["trace_id"].take()
}

#[test]
fn the_engines_spans_and_the_log_line_are_of_the_callers_trace() {
    let (id, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let (line, spans) = look_up(&[("traceparent", &format!("00-{id}-{parent}-01"))]);
    assert_eq!(trace_id(&line), id);
    for span in &spans {
        assert_eq!(span.trace_id, id, "{span:?}");
        assert_eq!(span.parent_id == parent, span.name == SERVER, "{span:?}");
    }
}

#[test]
fn the_engines_own_trace_has_the_log_line_of_a_caller_without_one() {
    let (line, spans) = look_up(&[]);
    assert_eq!(trace_id(&line), Value::Null, "the guest is not told the engine's");
    for span in spans.iter().filter(|span| span.name == GUEST) {
        assert!(span.events.iter().any(|text| text.trim_end() == line), "{span:?}");
    }
}
