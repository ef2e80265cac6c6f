//! Spin's spans and the log line belong to the caller's trace.
//!
//! The local host exports no spans, so these tests run on Spin.

use http::Method;
use serde_json::Value;

use crate::support::{App, Collector, Span};

/// The name of Spin's server span.
const SERVER_SPAN: &str = "GET /api/v1/look/...";
/// The name of Spin's span around the component.
const GUEST_SPAN: &str = "execute_wasm_component dictionary";

/// Sends a lookup and returns its log line and the engine's spans.
fn lookup(headers: &[(&str, &str)]) -> (String, Vec<Span>) {
    let collector = Collector::start();
    let app = App::traced(&collector);
    app.request(Method::GET, "/api/v1/look/Apple", headers, "");
    let [line] = app.wait_for_log("{", 1).try_into().expect("one line");
    (line, collector.wait_for(&[SERVER_SPAN, GUEST_SPAN]))
}

fn trace_id(line: &str) -> Value {
    serde_json::from_str::<Value>(line).expect(line)["trace_id"].take()
}

#[test]
#[cfg_attr(not(has_spin), ignore = "Spin is not installed")]
fn spans_and_log_line_belong_to_the_callers_trace() {
    let (id, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let (line, spans) = lookup(&[("traceparent", &format!("00-{id}-{parent}-01"))]);
    assert_eq!(trace_id(&line), id);
    for span in &spans {
        assert_eq!(span.trace_id, id, "{span:?}");
        assert_eq!(span.parent_id == parent, span.name == SERVER_SPAN, "{span:?}");
    }
}

#[test]
#[cfg_attr(not(has_spin), ignore = "Spin is not installed")]
fn engine_trace_has_the_log_line_of_a_request_without_traceparent() {
    let (line, spans) = lookup(&[]);
    assert_eq!(trace_id(&line), Value::Null, "the engine does not pass its trace to the component");
    for span in spans.iter().filter(|span| span.name == GUEST_SPAN) {
        assert!(span.events.iter().any(|text| text.trim_end() == line), "{span:?}");
    }
}
