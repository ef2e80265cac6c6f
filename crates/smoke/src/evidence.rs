//! The evidence: every request with its response, the report, and the state of the cluster.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use http::{HeaderMap, Request};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::report::{Report, milliseconds};
use crate::response::Response;

/// The maximum number of bytes recorded of a body.
const BODY_LIMIT: usize = 16 << 10;

/// The resources to get with kubectl. Secrets must not be among them.
const RESOURCES: [&str; 7] = [
    "pods",
    "services",
    "spinapps.core.spinkube.dev",
    "httproutes.gateway.networking.k8s.io",
    "ingresses",
    "jobs",
    "events",
];

/// The evidence directory.
pub(crate) struct Evidence {
    folder: PathBuf,
    calls: File,
    /// The first error in writing.
    error: Option<io::Error>,
}

impl Evidence {
    pub(crate) fn create(folder: &Path) -> Result<Evidence, String> {
        let calls =
            fs::create_dir_all(folder).and_then(|()| File::create(folder.join("calls.jsonl")));
        let calls =
            calls.map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
        Ok(Evidence { folder: folder.to_owned(), calls, error: None })
    }

    pub(crate) fn record(&mut self, call: &CallRecord, redact: &dyn Fn(&str) -> String) {
        let line = redact_json(serde_json::to_value(call).unwrap_or_default(), redact);
        let result = writeln!(self.calls, "{line}");
        self.error = self.error.take().or(result.err());
    }

    /// Writes the state of the cluster, if kubectl reaches one, and the report.
    pub(crate) fn finish(
        mut self,
        namespace: &str,
        report: &mut Report,
        redact: &dyn Fn(&str) -> String,
    ) {
        let (summary, error) = match write_cluster_state(namespace, &self.folder, redact) {
            Ok(summary) => (summary, None),
            Err(error) => ("cluster state not recorded".to_owned(), Some(error)),
        };
        report.evidence = Some(summary);
        self.error = self.error.take().or(error);
        let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
        let result = fs::write(self.folder.join("report.json"), json);
        if let Some(error) = self.error.or(result.err()) {
            let folder = self.folder.display();
            report.evidence = Some(format!("cannot write to {folder}: {error}"));
            report.passed = false;
            report.exit_code = report.exit_code.max(1);
        }
    }
}

/// Writes one file per resource, and returns a summary. Only an error in writing is an error.
fn write_cluster_state(
    namespace: &str,
    folder: &Path,
    redact: &dyn Fn(&str) -> String,
) -> io::Result<String> {
    let kubectl = |arguments: &[&str]| {
        Command::new("kubectl").args(["--request-timeout=10s"]).args(arguments).output()
    };
    let error_line = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr);
        redact(text.trim().lines().last().unwrap_or_default())
    };
    match kubectl(&["version", "--output=json"]) {
        Err(error) => return Ok(format!("no cluster state: cannot run kubectl: {error}")),
        Ok(output) if !output.status.success() => {
            return Ok(format!("no cluster state: {}", error_line(&output)));
        }
        Ok(_) => {}
    }
    let mut missing = Vec::new();
    for resource in RESOURCES {
        let output = kubectl(&["--namespace", namespace, "get", resource, "--output=yaml"])?;
        let name = resource.split('.').next().unwrap_or(resource);
        if output.status.success() {
            let yaml = redact(&String::from_utf8_lossy(&output.stdout));
            fs::write(folder.join(format!("{name}.yaml")), yaml)?;
        } else {
            missing.push(format!("{name} ({})", error_line(&output)));
        }
    }
    let count = RESOURCES.len() - missing.len();
    let mut summary = format!("state of namespace {namespace}: {count} files");
    if !missing.is_empty() {
        summary += &format!("; missing: {}", missing.join(", "));
    }
    Ok(summary)
}

/// A request and its response, as recorded in `calls.jsonl`.
#[derive(Serialize)]
pub(crate) struct CallRecord {
    call: u32,
    check: &'static str,
    at: String,
    took_ms: u64,
    request: RequestRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<ResponseRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct RequestRecord {
    method: String,
    url: String,
    headers: Map<String, Value>,
    body: String,
}

#[derive(Serialize)]
struct ResponseRecord {
    status: u16,
    headers: Map<String, Value>,
    body: String,
    /// The length of the whole body.
    bytes: usize,
}

impl CallRecord {
    pub(crate) fn new(check: &'static str, call: u32, request: &Request<String>) -> CallRecord {
        CallRecord {
            call,
            check,
            at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            took_ms: 0,
            request: RequestRecord {
                method: request.method().to_string(),
                url: request.uri().to_string(),
                headers: headers(request.headers()),
                body: truncate(request.body()),
            },
            response: None,
            error: None,
        }
    }

    pub(crate) fn complete(&mut self, response: &Result<Response, String>, took: Duration) {
        self.took_ms = milliseconds(took);
        match response {
            Ok(response) => {
                self.response = Some(ResponseRecord {
                    status: response.status(),
                    headers: headers(&response.headers),
                    body: truncate(&response.body),
                    bytes: response.body.len(),
                });
            }
            Err(error) => self.error = Some(error.clone()),
        }
    }
}

fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut map = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        map.insert(name.to_string(), values.join(", ").into());
    }
    map
}

fn truncate(text: &str) -> String {
    text[..text.floor_char_boundary(BODY_LIMIT)].to_owned()
}

/// Redacts every string in a JSON value. In serialized JSON, a token with escaped characters would
/// not be found.
fn redact_json(value: Value, redact: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => redact(&text).into(),
        Value::Array(items) => items.into_iter().map(|item| redact_json(item, redact)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (redact(&name), redact_json(value, redact)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_do_not_include_secrets() {
        for resource in RESOURCES {
            assert!(!resource.contains("secret") && resource != "all", "{resource}");
        }
    }

    #[test]
    fn token_with_quote_is_redacted() {
        let redact = |text: &str| text.replace("a\"b", "-");
        let call = json!({"headers": {"authorization": "Bearer a\"b"}, "list": ["a\"b", 1]});
        let expected = json!({"headers": {"authorization": "Bearer -"}, "list": ["-", 1]});
        assert_eq!(redact_json(call, &redact), expected);
    }

    #[test]
    fn long_body_is_truncated_at_character_boundary() {
        assert_eq!(truncate("short"), "short");
        assert_eq!(truncate(&"é".repeat(BODY_LIMIT)).len(), BODY_LIMIT);
        assert_eq!(truncate(&format!("a{}", "é".repeat(BODY_LIMIT))).len(), BODY_LIMIT - 1);
    }
}
