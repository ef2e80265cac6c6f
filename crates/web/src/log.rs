//! The request log: one JSON object per line on standard output.

use std::time::Duration;

use serde::Serialize;

use crate::{Reply, Request};

/// The maximum size of a cause in bytes. Even with every second byte escaped, the line stays below
/// 4 KiB, which WASI writes atomically, so lines of concurrent requests do not interleave.
const MAX_CAUSE_BYTES: usize = 1800;

/// A log line, created before the request is handled.
#[derive(Serialize)]
pub(crate) struct LogLine {
    component: &'static str,
    method: String,
    /// The pattern of the route. The path may contain personal data.
    route: Option<&'static str>,
    status: u16,
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl LogLine {
    pub(crate) fn new(component: &'static str, request: &Request) -> LogLine {
        let trace_id = request.list_header("traceparent").and_then(|value| trace_id(&value));
        let method = request.method.to_string();
        LogLine { component, method, route: None, status: 0, ms: 0.0, trace_id, error: None }
    }

    /// Returns the complete line with its line feed. Only the log contains the cause of a failure.
    pub(crate) fn finish(
        self,
        route: Option<&'static str>,
        reply: &Reply,
        duration: Duration,
    ) -> Vec<u8> {
        let truncate = |cause: &str| cause[..cause.floor_char_boundary(MAX_CAUSE_BYTES)].to_owned();
        let line = LogLine {
            route,
            status: reply.status().as_u16(),
            ms: duration.as_micros() as f64 / 1000.0,
            error: reply.cause().map(truncate),
            ..self
        };
        let mut text = serde_json::to_vec(&line).unwrap_or_default(); // Strings and numbers always serialize.
        text.push(b'\n');
        text
    }
}

/// Returns the trace id of a valid `traceparent` (W3C Trace Context, section 3.2): version, trace
/// id, parent id, flags. Later versions may append fields. A repeated header is joined by a comma
/// and therefore invalid.
fn trace_id(traceparent: &str) -> Option<String> {
    let (known, extension) = traceparent.split_at_checked(55)?;
    let well_formed = known.bytes().enumerate().all(|(index, byte)| match index {
        2 | 35 | 52 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    let (version, id, parent) = (known.get(..2)?, known.get(3..35)?, known.get(36..52)?);
    let valid_end = extension.is_empty() || version != "00" && extension.starts_with('-');
    let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    let valid = well_formed && valid_end && version != "ff" && !is_zero(id) && !is_zero(parent);
    valid.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;
    use crate::native::receive;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn finished_line_is_one_json_object() {
        let request = http::Request::get("/secret?key=value")
            .header("traceparent", format!("00-{ID}-00f067aa0ba902b7-01"))
            .body(Vec::new());
        let line = LogLine::new("dictionary", &receive(request.unwrap()));
        let reply = Problem::internal("\"disk\" failed\n").into();
        let text = line.finish(Some("/api/v1/look/{word}"), &reply, Duration::from_micros(12_045));
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with("}\n") && text.trim_end().lines().count() == 1);
        let expected = serde_json::json!({
            "component": "dictionary",
            "method": "GET",
            "route": "/api/v1/look/{word}",
            "status": 500,
            "ms": 12.045,
            "trace_id": ID,
            "error": "\"disk\" failed\n",
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
    }

    #[test]
    fn long_cause_is_truncated_to_fit_one_write() {
        let request = http::Request::get("/").body(Vec::new());
        let line = LogLine::new("dictionary", &receive(request.unwrap()));
        let reply = Problem::internal("ä\"".repeat(10_000)).into();
        let text = line.finish(Some("/api/v1/look/{word}"), &reply, Duration::ZERO);
        assert!(text.len() < 4096, "{}", text.len());
        let line: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(line["error"], "ä\"".repeat(600));
    }

    #[test]
    fn valid_traceparent_has_a_trace_id() {
        for good in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what the future will be like",
        ] {
            assert_eq!(trace_id(good).as_deref(), Some(ID), "{good}");
        }
    }

    #[test]
    fn malformed_traceparent_has_no_trace_id() {
        for bad in [
            "",
            "\",\"status\":200",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-000f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bé-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, \
             00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
