//! One line of JSON per request on standard output.

use std::time::Duration;

use crate::{Reply, Request};

/// How many bytes of a cause are written. A line fits into the 4 KiB that WASI takes in one piece,
/// also when every second byte of this is escaped: what other requests say does not tear it.
const LONGEST_CAUSE: usize = 1800;

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
            let end = cause.floor_char_boundary(LONGEST_CAUSE);
            line = line + r#","error":"# + &json(cause.get(..end).unwrap_or_default());
        }
        line + "}\n"
    }
}

/// The trace id of a `traceparent`, when it is a valid one (W3C Trace Context, section 3.2): two
/// digits of version, the trace id, the id of the caller's span, two digits of flags. A later
/// version may have more behind that. A header sent twice comes here as one text, and is none.
fn trace_id(traceparent: &str) -> Option<String> {
    let (known, later) = traceparent.split_at_checked(55)?;
    let formed = known.bytes().enumerate().all(|(at, byte)| match at {
        2 | 35 | 52 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    let (version, id, parent) = (known.get(..2)?, known.get(3..35)?, known.get(36..52)?);
    let ends = later.is_empty() || version != "00" && later.starts_with('-');
    let null = |id: &str| id.bytes().all(|byte| byte == b'0');
    let valid = formed && ends && version != "ff" && !null(id) && !null(parent);
    valid.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;
    use crate::native::receive;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_line_is_one_json_object() {
        let request = http::Request::get("/secret?of=mine")
            .header("traceparent", format!("00-{ID}-00f067aa0ba902b7-01"))
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
            "trace_id": ID,
            "error": "it \"broke\"\n",
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
    }

    #[test]
    fn a_long_cause_is_cut_to_what_fits_into_one_write() {
        let request = http::Request::get("/").body(Vec::new());
        let line = Line::begin("dictionary", &receive(request.unwrap()));
        let reply = Problem::internal(&"ä\"".repeat(10_000)).into();
        let text = line.end(Some("/api/v1/look/{word}"), &reply, Duration::ZERO);
        assert!(text.len() < 4096, "{}", text.len());
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["error"], "ä\"".repeat(600));
    }

    #[test]
    fn a_trace_id_is_taken_from_every_valid_header() {
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
    fn a_malformed_or_forged_header_has_no_trace_id() {
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
