//! One line of JSON per request on standard output.

use std::time::Duration;

use crate::{Reply, Request};

/// What a line says about the request, gathered before it is handled.
pub(crate) struct Line {
    component: &'static str,
    method: String,
    trace_id: Option<String>,
}

impl Line {
    pub(crate) fn begin(component: &'static str, request: &Request) -> Line {
        let trace_id = request.header("traceparent").and_then(|value| trace_id(&value));
        Line { component, method: request.method.as_str().to_owned(), trace_id }
    }

    /// The line, with its end. `route` is the pattern, never the path: what people look up is
    /// theirs. The cause of a failure is here and nowhere else.
    pub(crate) fn end(self, route: Option<&str>, reply: &Reply, took: Duration) -> String {
        let json = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut line = format!(
            r#"{{"component":"{}","method":"{}","route":{},"status":{},"ms":{}.{:03}"#,
            self.component,
            self.method,
            route.map_or("null".to_owned(), json),
            reply.status().as_u16(),
            micros / 1000,
            micros % 1000,
        );
        if let Some(trace_id) = &self.trace_id {
            line = line + r#","trace_id":""# + trace_id + "\"";
        }
        if let Some(cause) = reply.cause() {
            line = line + r#","error":"# + &json(cause);
        }
        line + "}\n"
    }
}

/// The trace id of a `traceparent` (W3C Trace Context), when it is a valid one.
fn trace_id(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.split('-');
    let (version, id) = (parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let valid = hex(version, 2)
        && version != "ff"
        && hex(id, 32)
        && id.bytes().any(|b| b != b'0')
        && hex(parts.next()?, 16);
    valid.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;
    use crate::native::receive;

    #[test]
    fn a_line_is_one_json_object() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let request = http::Request::get("/secret?of=mine")
            .header("traceparent", format!("00-{id}-00f067aa0ba902b7-01"))
            .body(Vec::new());
        let line = Line::begin("dictionary", &receive(request.unwrap()));
        let reply = Problem::internal(&"it \"broke\"\n").into();
        let text = line.end(Some("/api/v1/look/{word}"), &reply, Duration::from_micros(12_045));
        assert!(text.ends_with("}\n") && text.trim_end().lines().count() == 1);
        let expected = serde_json::json!({
            "component": "dictionary",
            "method": "GET",
            "route": "/api/v1/look/{word}",
            "status": 500,
            "ms": 12.045,
            "trace_id": id,
            "error": "it \"broke\"\n",
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
    }

    #[test]
    fn a_forged_trace_id_is_left_out() {
        for bad in [
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "\",\"status\":200",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
