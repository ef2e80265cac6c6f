//! Load generation with oha, in a closed loop or in an open loop with a fixed rate.
//!
//! In the open loop, the latency of a request is measured from its scheduled time. Requests delayed
//! by a stalled server therefore count with their delay, which a closed loop omits ("coordinated
//! omission").

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use katas_host::local::process::die_with_parent;
use rustix::process::Signal;
use serde::Deserialize;
use tokio::process::Command;

use crate::requests::Prepared;

/// The timeout of a probe: the default of `timeoutSeconds` in Kubernetes. The manifests set higher
/// values.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// The parameters of a load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The number of concurrent connections.
    pub connections: u64,
    /// The rate in requests per second; `None` for a closed loop.
    pub rate: Option<f64>,
    /// The duration of the load.
    pub duration: Duration,
}

/// The result of a load.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Successful responses per second.
    pub rate: f64,
    /// The number of responses with an unexpected status and requests without a response.
    pub failed: u64,
    /// The failures, counted by kind.
    pub failures: Vec<String>,
    /// The latency of all responses in milliseconds: p50, p90, p99 and p99.9.
    pub latency: [f64; 4],
    /// The CPU time per successful response in microseconds, of the service and of PostgreSQL, if
    /// measured.
    pub cpu: Option<[f64; 2]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    summary: Summary,
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<u16, u64>,
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Summary {
    total: f64,
}

/// Sends requests for the duration of the load.
pub async fn send(oha: &Path, requests: &Prepared, load: Load) -> anyhow::Result<Outcome> {
    let mut command = command(oha, load);
    command.args(["--output-format", "json", "-t", "10s"]);
    requests.add_to(&mut command);
    let report: Report =
        serde_json::from_slice(&run(command).await?).context("cannot parse the report of oha")?;
    Ok(report.outcome(requests.expected))
}

impl Report {
    fn outcome(&self, expected: &[u16]) -> Outcome {
        let (successful, unexpected): (Vec<_>, Vec<_>) =
            self.status_code_distribution.iter().partition(|(status, _)| expected.contains(status));
        // Requests in flight at the end have not failed.
        let is_failure = |error: &str| error != "aborted due to deadline";
        let errors = self.error_distribution.iter().filter(|(error, _)| is_failure(error));
        let mut failed: Vec<_> = errors.map(|(error, count)| (error.clone(), *count)).collect();
        failed
            .extend(unexpected.iter().map(|(status, count)| (format!("status {status}"), **count)));
        let failures = failed.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        let failed = failed.iter().map(|(_, count)| count).sum();
        let successful: u64 = successful.iter().map(|(_, count)| **count).sum();
        let latency = ["p50", "p90", "p99", "p99.9"]
            .map(|name| self.latency_percentiles.get(name).copied().flatten().unwrap_or(0.0) * 1e3);
        Outcome {
            rate: successful as f64 / self.summary.total,
            failed,
            failures,
            latency,
            cpu: None,
        }
    }
}

/// The result of probing.
pub struct ProbeOutcome {
    /// The latencies of responses with status 200 before the deadline.
    pub latencies: Vec<Duration>,
    /// The number of responses with another status before the deadline.
    pub refused: usize,
    /// The number of probes sent.
    pub sent: usize,
}

/// Probes a path at a fixed rate with [`DEADLINE`], each probe on a new connection.
pub async fn probe(
    oha: &Path,
    url: &str,
    rate: f64,
    duration: Duration,
) -> anyhow::Result<ProbeOutcome> {
    let in_flight = (rate * DEADLINE.as_secs_f64()).ceil();
    let load = Load { connections: 2 * in_flight as u64, rate: Some(rate), duration };
    let mut command = command(oha, load);
    // `-w` waits for requests in flight at the end.
    command.args(["--output-format", "csv", "--disable-keepalive", "-t", "1s", "-w", url]);
    let table = String::from_utf8(run(command).await?)?;
    let sent = (rate * duration.as_secs_f64()) as usize;
    parse_probes(&table, sent)
}

/// Parses the CSV output of oha, which has no rows for requests without a response.
fn parse_probes(table: &str, sent: usize) -> anyhow::Result<ProbeOutcome> {
    let mut outcome = ProbeOutcome { latencies: vec![], refused: 0, sent };
    for line in table.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [_, _, _, _, duration, _, status] = fields.as_slice() else {
            anyhow::bail!("unexpected line in the output of oha: {line:?}");
        };
        let duration = Duration::from_secs_f64(duration.parse()?);
        match *status {
            _ if duration > DEADLINE => {}
            "200" => outcome.latencies.push(duration),
            _ => outcome.refused += 1,
        }
    }
    // oha may send one more request than `rate * duration`.
    outcome.sent = outcome.sent.max(outcome.latencies.len() + outcome.refused);
    Ok(outcome)
}

fn command(oha: &Path, load: Load) -> Command {
    let mut command = Command::new(oha);
    command.args(["--no-tui", "--disable-compression", "--redirect", "0"]);
    command.args(["-c", &load.connections.to_string()]);
    command.args(["-z", &format!("{}ms", load.duration.as_millis())]);
    if let Some(rate) = load.rate {
        command.args(["-q", &format!("{rate:.1}"), "--latency-correction"]);
    }
    command
}

async fn run(mut command: Command) -> anyhow::Result<Vec<u8>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    die_with_parent(command.as_std_mut(), Signal::KILL);
    let output = command.output().await.context("cannot start oha")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "oha failed: {}", stderr.trim());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_counts_only_expected_statuses_as_successful() {
        let report = r#"{
            "summary": {"total": 2.0, "requestsPerSec": 60.0},
            "latencyPercentiles": {"p50": 0.001, "p90": 0.002, "p99": 0.25, "p99.9": null},
            "statusCodeDistribution": {"200": 100, "404": 4, "503": 10},
            "errorDistribution": {"aborted due to deadline": 5, "connection closed": 1}
        }"#;
        let report: Report = serde_json::from_str(report).unwrap();
        let outcome = report.outcome(&[200, 404]);
        assert_eq!((outcome.rate, outcome.failed), (52.0, 11));
        assert_eq!(outcome.failures, ["1 × connection closed", "10 × status 503"]);
        assert_eq!(outcome.latency, [1.0, 2.0, 250.0, 0.0]);
    }

    #[test]
    fn responses_after_the_deadline_are_not_counted() {
        let table = "request-start,DNS,DNS+dialup,Response-delay,request-duration,bytes,status\n\
             0.1,0,0,0,0.005,20,200\n0.2,0,0,0,0.9,20,503\n0.3,0,0,0,1.5,20,200\n";
        let outcome = parse_probes(table, 5).unwrap();
        assert_eq!(outcome.latencies, [Duration::from_millis(5)]);
        assert_eq!((outcome.refused, outcome.sent), (1, 5));
    }
}
