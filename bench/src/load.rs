//! Load by oha: as many connections as told, either as fast as answers come (closed loop) or at a
//! fixed rate whatever the answers do (open loop).
//!
//! At a fixed rate, the latency of a request counts from the moment at which it was due: a server
//! that stalls is charged for the requests that could not be sent meanwhile, which a closed loop
//! leaves out ("coordinated omission").

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

/// How long a probe may take: Kubernetes' default for `timeoutSeconds`. The manifests give more.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// At a time.
    pub connections: u64,
    /// Requests per second; `None` for as fast as answers come.
    pub rate: Option<f64>,
    /// For how long.
    pub duration: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Right answers per second.
    pub rate: f64,
    /// Answers that were not right, and requests without one.
    pub failed: u64,
    /// What they were, and how many of each.
    pub failures: Vec<String>,
    /// In milliseconds, at 50, 90, 99 and 99.9 %, of all answers.
    pub latency: [f64; 4],
    /// Processor time per right answer, in microseconds: of the service and of PostgreSQL. Known
    /// where somebody has looked at them.
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

/// Sends requests, and waits for the end.
pub async fn send(oha: &Path, requests: &Prepared, load: Load) -> anyhow::Result<Outcome> {
    let mut command = command(oha, load);
    command.args(["--output-format", "json", "-t", "10s"]);
    requests.add_to(&mut command);
    let report: Report = serde_json::from_slice(&run(command).await?).context("oha's report")?;
    Ok(report.outcome(requests.expected))
}

impl Report {
    fn outcome(&self, expected: &[u16]) -> Outcome {
        let (right, wrong): (Vec<_>, Vec<_>) =
            self.status_code_distribution.iter().partition(|(status, _)| expected.contains(status));
        // What was under way at the end has not failed.
        let is_failure = |error: &str| error != "aborted due to deadline";
        let errors = self.error_distribution.iter().filter(|(error, _)| is_failure(error));
        let mut failed: Vec<_> = errors.map(|(error, count)| (error.clone(), *count)).collect();
        failed.extend(wrong.iter().map(|(status, count)| (format!("status {status}"), **count)));
        let failures = failed.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        let failed = failed.iter().map(|(_, count)| count).sum();
        let right: u64 = right.iter().map(|(_, count)| **count).sum();
        let latency = ["p50", "p90", "p99", "p99.9"]
            .map(|name| self.latency_percentiles.get(name).copied().flatten().unwrap_or(0.0) * 1e3);
        Outcome { rate: right as f64 / self.summary.total, failed, failures, latency, cpu: None }
    }
}

/// What came of probing.
pub struct Probed {
    /// How long the answers with status 200 took that came in time.
    pub answered: Vec<Duration>,
    /// How many came in time with another status.
    pub refused: usize,
    /// How many probes were sent.
    pub sent: usize,
}

/// Probes a path: each probe on a connection of its own, at a fixed rate, with [`DEADLINE`].
pub async fn probe(oha: &Path, url: &str, rate: f64, duration: Duration) -> anyhow::Result<Probed> {
    let most = (rate * DEADLINE.as_secs_f64()).ceil();
    let load = Load { connections: 2 * most as u64, rate: Some(rate), duration };
    let mut command = command(oha, load);
    // `-w`: those under way at the end have their second, too.
    command.args(["--output-format", "csv", "--disable-keepalive", "-t", "1s", "-w", url]);
    let table = String::from_utf8(run(command).await?)?;
    let sent = (rate * duration.as_secs_f64()) as usize;
    probed(&table, sent)
}

/// Reads oha's table of answers. Requests without an answer are not in it.
fn probed(table: &str, sent: usize) -> anyhow::Result<Probed> {
    let mut probed = Probed { answered: vec![], refused: 0, sent };
    for line in table.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [_, _, _, _, duration, _, status] = fields.as_slice() else {
            anyhow::bail!("oha's table has the line {line:?}");
        };
        let duration = Duration::from_secs_f64(duration.parse()?);
        match *status {
            _ if duration > DEADLINE => {}
            "200" => probed.answered.push(duration),
            _ => probed.refused += 1,
        }
    }
    // The first and the last tick may both be counted.
    probed.sent = probed.sent.max(probed.answered.len() + probed.refused);
    Ok(probed)
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
    let output = command.output().await.context("oha did not start")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "oha failed: {}", complaint.trim());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expected_answers_count() {
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
    fn a_probe_without_an_answer_in_time_is_missed() {
        let table = "request-start,DNS,DNS+dialup,Response-delay,request-duration,bytes,status\n\
             0.1,0,0,0,0.005,20,200\n0.2,0,0,0,0.9,20,503\n0.3,0,0,0,1.5,20,200\n";
        let probed = probed(table, 5).unwrap();
        assert_eq!(probed.answered, [Duration::from_millis(5)]);
        assert_eq!((probed.refused, probed.sent), (1, 5));
    }
}
