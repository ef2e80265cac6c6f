//! What came of it, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::checks::Check;

/// The version of the JSON: grows when something is taken away or changes its meaning, not when
/// something is added.
pub(crate) const FORMAT: u8 = 1;

/// What came of all checks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this form.
    pub format: u8,
    /// What was tested.
    pub url: String,
    /// How the name of all begins that was made.
    pub name: String,
    /// The trace id of all calls.
    pub trace_id: String,
    /// When it began, in UTC.
    pub started_at: String,
    /// How long it took until the deployment was ready, if that was waited for.
    pub waited_ms: u64,
    /// How long all of it took.
    pub took_ms: u64,
    /// How many calls there were.
    pub calls: u32,
    /// Whether no check failed.
    pub passed: bool,
    /// What the process ends with.
    pub exit_code: u8,
    /// The checks, in their order.
    pub checks: Vec<Outcome>,
    /// What was made, or may have been, and could not be removed.
    pub left: Vec<String>,
    /// What there is of the cluster's state, where evidence is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// What is as it should be when it passes.
    pub expects: &'static str,
    /// How it ended.
    pub status: Status,
    /// How long it took, all attempts together.
    pub took_ms: u64,
    /// How often it was run: more than once if it failed before, and retries are allowed.
    pub attempts: u32,
    /// What was seen, why it failed, or why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// It was not run.
    Skipped,
}

impl Outcome {
    pub(crate) fn of(
        check: &Check,
        result: Result<(), String>,
        note: Option<String>,
        took: Duration,
        attempts: u32,
    ) -> Outcome {
        let (status, detail) = match result {
            Ok(()) => (Status::Passed, note),
            Err(failure) => (Status::Failed, Some(failure)),
        };
        let (name, expects, took_ms) = (check.name, check.expects, milliseconds(took));
        Outcome { name, expects, status, took_ms, attempts, detail }
    }

    pub(crate) fn skipped(check: &Check, reason: &str) -> Outcome {
        Outcome {
            name: check.name,
            expects: check.expects,
            status: Status::Skipped,
            took_ms: 0,
            attempts: 0,
            detail: Some(reason.to_owned()),
        }
    }

    pub(crate) fn cleanup(left: &[String], took: Duration) -> Outcome {
        let check = Check {
            name: "cleanup",
            expects: "nothing is left of what was made",
            needs_token: false,
            run: |_| Ok(()),
        };
        let result = if left.is_empty() { Ok(()) } else { Err(left.join("; ")) };
        Outcome::of(&check, result, None, took, 1)
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One line; a second one with the failure, if it failed.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { name, expects, took_ms, attempts, .. } = self;
        let detail = self.detail.as_deref().unwrap_or_default();
        let again = match attempts {
            2.. => format!(" [attempts: {attempts}]"),
            _ => String::new(),
        };
        match self.status {
            Status::Passed if detail.is_empty() => {
                write!(f, "  ok  {name:<14} {took_ms:>6} ms  {expects}{again}")
            }
            Status::Passed => {
                write!(f, "  ok  {name:<14} {took_ms:>6} ms  {expects} ({detail}){again}")
            }
            Status::Failed => {
                write!(f, "FAIL  {name:<14} {took_ms:>6} ms  {expects}{again}\n      {detail}")
            }
            Status::Skipped => write!(f, "skip  {name:<14} {:>6}     {detail}", "-"),
        }
    }
}

/// The last line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |status| self.checks.iter().filter(|check| check.status == status).count();
        let Report { calls, took_ms, name, trace_id, url, .. } = self;
        write!(f, "{} passed, {} failed", count(Status::Passed), count(Status::Failed))?;
        write!(f, ", {} skipped: {calls} calls to {url}", count(Status::Skipped))?;
        write!(f, " in {took_ms} ms, as {name}, trace {trace_id}")?;
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
    fn a_check_is_a_line_and_a_failure_one_more() {
        for (status, attempts, detail, expected) in [
            (Status::Passed, 1, None, "  ok  users              12 ms  it works"),
            (Status::Passed, 2, None, "  ok  users              12 ms  it works [attempts: 2]"),
            (Status::Passed, 1, Some("5"), "  ok  users              12 ms  it works (5)"),
            (Status::Failed, 1, Some("no"), "FAIL  users              12 ms  it works\n      no"),
            (Status::Skipped, 0, Some("no"), "skip  users               -     no"),
        ] {
            assert_eq!(outcome(status, attempts, detail).to_string(), expected);
        }
    }
}
