//! What remains as a proof: every call with its answer, and the state of the cluster.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use http::{HeaderMap, Request};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::report::{Report, milliseconds};

/// How much of a body is kept, in bytes.
const KEPT: usize = 16 << 10;

/// What `kubectl get` is asked for. Secrets are not among them.
const RESOURCES: [&str; 7] = [
    "pods",
    "services",
    "spinapps.core.spinkube.dev",
    "httproutes.gateway.networking.k8s.io",
    "ingresses",
    "jobs",
    "events",
];

/// A folder that is written to.
pub(crate) struct Evidence {
    folder: PathBuf,
    calls: File,
    /// The first thing that could not be written.
    failed: Option<io::Error>,
}

impl Evidence {
    pub(crate) fn create(folder: &Path) -> Result<Evidence, String> {
        let calls =
            fs::create_dir_all(folder).and_then(|()| File::create(folder.join("calls.jsonl")));
        let calls =
            calls.map_err(|error| format!("{} cannot be written: {error}", folder.display()))?;
        Ok(Evidence { folder: folder.to_owned(), calls, failed: None })
    }

    pub(crate) fn record(&mut self, call: &Recorded, redact: &dyn Fn(&str) -> String) {
        let line = redacted(serde_json::to_value(call).unwrap_or_default(), redact);
        let written = writeln!(self.calls, "{line}");
        self.failed = self.failed.take().or(written.err());
    }

    /// Asks for the state of the cluster, if there is one, and writes the report beside all that.
    pub(crate) fn finish(
        mut self,
        namespace: &str,
        report: &mut Report,
        redact: &dyn Fn(&str) -> String,
    ) {
        let (state, written) = match cluster(namespace, &self.folder, redact) {
            Ok(state) => (state, Ok(())),
            Err(error) => ("the state of the cluster is not written".to_owned(), Err(error)),
        };
        report.evidence = Some(state);
        self.failed = self.failed.take().or(written.err());
        let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
        let written = fs::write(self.folder.join("report.json"), json);
        if let Some(error) = self.failed.or(written.err()) {
            let folder = self.folder.display();
            report.evidence = Some(format!("{folder} cannot be written: {error}"));
            report.passed = false;
            report.exit_code = report.exit_code.max(1);
        }
    }
}

/// Writes a file for each resource; what came of that in words. The error is one of writing.
fn cluster(namespace: &str, folder: &Path, redact: &dyn Fn(&str) -> String) -> io::Result<String> {
    let kubectl = |arguments: &[&str]| {
        Command::new("kubectl").args(["--request-timeout=10s"]).args(arguments).output()
    };
    let told = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr);
        redact(text.trim().lines().last().unwrap_or_default())
    };
    match kubectl(&["version", "--output=json"]) {
        Err(error) => return Ok(format!("no state of a cluster: kubectl: {error}")),
        Ok(output) if !output.status.success() => {
            return Ok(format!("no state of a cluster: {}", told(&output)));
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
            missing.push(format!("{name} ({})", told(&output)));
        }
    }
    let count = RESOURCES.len() - missing.len();
    let mut state = format!("the state of namespace {namespace}: {count} files");
    if !missing.is_empty() {
        state += &format!("; not to be had: {}", missing.join(", "));
    }
    Ok(state)
}

/// A call and its answer.
#[derive(Serialize)]
pub(crate) struct Recorded {
    call: u32,
    check: &'static str,
    at: String,
    took_ms: u64,
    request: Sent,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Received>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Sent {
    method: String,
    url: String,
    headers: Map<String, Value>,
    body: String,
}

#[derive(Serialize)]
struct Received {
    status: u16,
    headers: Map<String, Value>,
    body: String,
    /// The length of the body, of which the beginning is kept.
    bytes: usize,
}

impl Recorded {
    pub(crate) fn of(check: &'static str, call: u32, request: &Request<String>) -> Recorded {
        Recorded {
            call,
            check,
            at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            took_ms: 0,
            request: Sent {
                method: request.method().to_string(),
                url: request.uri().to_string(),
                headers: headers(request.headers()),
                body: beginning(request.body()),
            },
            response: None,
            error: None,
        }
    }

    pub(crate) fn answered(&mut self, answer: &Result<Answer, String>, took: Duration) {
        self.took_ms = milliseconds(took);
        match answer {
            Ok(answer) => {
                self.response = Some(Received {
                    status: answer.status(),
                    headers: headers(&answer.headers),
                    body: beginning(&answer.body),
                    bytes: answer.body.len(),
                });
            }
            Err(error) => self.error = Some(error.clone()),
        }
    }
}

fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut all = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        all.insert(name.to_string(), values.join(", ").into());
    }
    all
}

fn beginning(text: &str) -> String {
    text[..text.floor_char_boundary(KEPT)].to_owned()
}

/// The same JSON with every text in it redacted: escaped, a token would not be found.
fn redacted(value: Value, redact: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => redact(&text).into(),
        Value::Array(items) => items.into_iter().map(|item| redacted(item, redact)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (redact(&name), redacted(value, redact)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_not_asked_for() {
        for resource in RESOURCES {
            assert!(!resource.contains("secret") && resource != "all", "{resource}");
        }
    }

    #[test]
    fn a_token_with_a_quote_in_it_is_redacted_as_well() {
        let redact = |text: &str| text.replace("a\"b", "-");
        let call = json!({"headers": {"authorization": "Bearer a\"b"}, "list": ["a\"b", 1]});
        let expected = json!({"headers": {"authorization": "Bearer -"}, "list": ["-", 1]});
        assert_eq!(redacted(call, &redact), expected);
    }

    #[test]
    fn of_a_body_the_beginning_is_kept() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&"é".repeat(KEPT)).len(), KEPT);
        assert_eq!(beginning(&format!("a{}", "é".repeat(KEPT))).len(), KEPT - 1);
    }
}
