//! The report, as text and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::checks::name_width;

/// The version of the JSON format. It increases when a field is removed or changes its meaning, not
/// when one is added.
pub(crate) const FORMAT: u8 = 1;

/// The result of a smoke test.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of the JSON format.
    pub format: u8,
    /// The URL of the deployment.
    pub url: String,
    /// The prefix of the names of all test data.
    pub name: String,
    /// The trace id of all requests.
    pub trace_id: String,
    /// The start time in UTC (RFC 3339).
    pub started_at: String,
    /// The time spent waiting for the deployment to become ready.
    pub waited_ms: u64,
    /// The total duration.
    pub took_ms: u64,
    /// The number of requests.
    pub calls: u32,
    /// Whether the exit code is 0.
    pub passed: bool,
    /// The exit code of the process.
    pub exit_code: u8,
    /// The outcomes of the checks, in execution order.
    pub checks: Vec<Outcome>,
    /// The test data that could not be deleted, with the reasons.
    pub left: Vec<String>,
    /// A summary of the collected cluster state, if evidence was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// The outcome of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The name of the check.
    pub name: &'static str,
    /// The condition that the check tests.
    pub expects: &'static str,
    /// The status.
    pub status: Status,
    /// The duration of all attempts.
    pub took_ms: u64,
    /// The number of attempts.
    pub attempts: u32,
    /// Details of a passed check, or the reason why it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The status of a check.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The condition holds.
    Passed,
    /// The condition does not hold.
    Failed,
    /// The check did not run.
    Skipped,
}

impl Outcome {
    pub(crate) fn new(
        name: &'static str,
        expects: &'static str,
        result: Result<(), String>,
        note: Option<String>,
        took: Duration,
        attempts: u32,
    ) -> Outcome {
        let (status, detail) = match result {
            Ok(()) => (Status::Passed, note),
            Err(failure) => (Status::Failed, Some(failure)),
        };
        Outcome { name, expects, status, took_ms: milliseconds(took), attempts, detail }
    }

    pub(crate) fn skipped(name: &'static str, expects: &'static str, reason: &str) -> Outcome {
        let detail = Some(reason.to_owned());
        Outcome { name, expects, status: Status::Skipped, took_ms: 0, attempts: 0, detail }
    }

    pub(crate) fn cleanup(left: &[String], took: Duration) -> Outcome {
        let result = if left.is_empty() { Ok(()) } else { Err(left.join("; ")) };
        Outcome::new("cleanup", "all test data is deleted", result, None, took, 1)
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Formats the outcome as one line, followed by a second one with the reason if the check failed.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { name, expects, took_ms, attempts, .. } = self;
        let detail = self.detail.as_deref().unwrap_or_default();
        let width = name_width();
        let retries = match attempts {
            2.. => format!(" [attempts: {attempts}]"),
            _ => String::new(),
        };
        match self.status {
            Status::Passed if detail.is_empty() => {
                write!(f, "  ok  {name:<width$} {took_ms:>6} ms  {expects}{retries}")
            }
            Status::Passed => {
                write!(f, "  ok  {name:<width$} {took_ms:>6} ms  {expects} ({detail}){retries}")
            }
            Status::Failed => {
                write!(
                    f,
                    "FAIL  {name:<width$} {took_ms:>6} ms  {expects}{retries}\n      {detail}"
                )
            }
            Status::Skipped => write!(f, "skip  {name:<width$} {:>6}     {detail}", "-"),
        }
    }
}

/// Formats the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |status| self.checks.iter().filter(|check| check.status == status).count();
        let Report { calls, took_ms, name, trace_id, url, .. } = self;
        write!(f, "{} passed, {} failed", count(Status::Passed), count(Status::Failed))?;
        write!(f, ", {} skipped: {calls} requests to {url}", count(Status::Skipped))?;
        write!(f, " in {took_ms} ms, test data {name}, trace {trace_id}")?;
        match &self.evidence {
            Some(evidence) => write!(f, "\nevidence: {evidence}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Status, attempts: u32, detail: Option<&str>) -> Outcome {
        let detail = detail.map(str::to_owned);
        Outcome { name: "users", expects: "it works", status, took_ms: 12, attempts, detail }
    }

    #[test]
    fn outcome_has_one_line_and_failed_outcome_two() {
        for (status, attempts, detail, expected) in [
            (Status::Passed, 1, None, "  ok  NAME     12 ms  it works"),
            (Status::Passed, 2, None, "  ok  NAME     12 ms  it works [attempts: 2]"),
            (Status::Passed, 1, Some("5"), "  ok  NAME     12 ms  it works (5)"),
            (Status::Failed, 1, Some("no"), "FAIL  NAME     12 ms  it works\n      no"),
            (Status::Skipped, 0, Some("no"), "skip  NAME      -     no"),
        ] {
            let expected = expected.replace("NAME", &format!("{:<1$}", "users", name_width()));
            assert_eq!(outcome(status, attempts, detail).to_string(), expected);
        }
    }
}
