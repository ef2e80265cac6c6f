//! The smoke test. It calls every service of a deployment over HTTP, as clients do.
//!
//! The names of all test data begin with `smoke-`. The data is deleted at the end even if a check
//! fails.

mod checks;
mod cli;
mod client;
mod evidence;
mod report;
mod response;
mod tls;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use http::Uri;

pub use cli::{Arguments, main};
pub use report::{Outcome, Report, Status};

use checks::{CHECKS, Check};
use client::Client;
use evidence::Evidence;

/// Returns the names of the checks that write.
pub fn writing_checks() -> Vec<&'static str> {
    CHECKS.iter().filter(|check| check.writes).map(|check| check.name).collect()
}

/// The options of a smoke test.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URL of the deployment: scheme, host and port.
    pub url: Uri,
    /// The API token of a deployment that requires one.
    pub token: Option<String>,
    /// Whether the URL bypasses the gateway, so that Spin's built-in paths must be reachable.
    pub inside: bool,
    /// The maximum time to wait for the deployment to become ready.
    pub wait: Duration,
    /// The timeout of a request.
    pub timeout: Duration,
    /// The number of retries of a failed check.
    pub retries: u32,
    /// A PEM file of certificate authorities to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The directory for the recorded requests, the report and the cluster state.
    pub evidence: Option<PathBuf>,
    /// The namespace of the recorded cluster state.
    pub namespace: String,
}

impl Options {
    /// Returns the defaults of the command line.
    pub fn new(url: Uri) -> Options {
        Options {
            url,
            token: None,
            inside: false,
            wait: Duration::ZERO,
            timeout: Duration::from_secs(10),
            retries: 0,
            ca_file: None,
            evidence: None,
            namespace: "katas".to_owned(),
        }
    }
}

/// Runs all checks and passes each outcome to `on_outcome`.
///
/// `stop` is 0, or the number of a signal received in the meantime. After a signal, the only
/// requests are those that delete test data.
///
/// # Errors
///
/// Returns an error if the test cannot start: the CA file cannot be read, or the evidence directory
/// cannot be written.
pub fn run(
    options: &Options,
    stop: &AtomicUsize,
    on_outcome: &mut dyn FnMut(&Outcome),
) -> Result<Report, String> {
    let evidence = options.evidence.as_deref().map(Evidence::create).transpose()?;
    let mut client = Client::new(options, stop, evidence)?;
    let started_at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let start = Instant::now();

    let waited = wait_until_ready(&mut client, options.wait);
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut add = |outcome: Outcome| {
        on_outcome(&outcome);
        outcomes.push(outcome);
    };
    let (mut first_failed, mut unreachable) = (false, false);
    for (index, check) in CHECKS.iter().enumerate() {
        let reason = match stop.load(Ordering::Relaxed) {
            0 if first_failed => Some("not reachable"),
            0 if check.needs_token && options.token.is_none() => Some("no token given"),
            0 => None,
            _ => Some("interrupted"),
        };
        if let Some(reason) = reason {
            add(Outcome::skipped(check.name, check.expects, reason));
            continue;
        }
        let outcome = run_check(check, &mut client, options.retries);
        // If the first check fails, the others would all fail for the same reason.
        if index == 0 && outcome.status == Status::Failed {
            (first_failed, unreachable) = (true, client.is_unreachable());
        }
        add(outcome);
    }
    let cleanup = Instant::now();
    client.begin("cleanup");
    let left = client.clean_up();
    add(Outcome::cleanup(&left, cleanup.elapsed()));

    let failed = outcomes.iter().any(|outcome| outcome.status == Status::Failed);
    let exit_code = match stop.load(Ordering::Relaxed) {
        // The convention of shells.
        signal @ 1.. => u8::try_from(128 + signal).unwrap_or(1),
        0 if unreachable => 75,
        0 => u8::from(failed),
    };
    let mut report = Report {
        format: report::FORMAT,
        url: client.base().to_owned(),
        name: client.prefix().to_owned(),
        trace_id: client.trace_id().to_owned(),
        started_at,
        waited_ms: report::milliseconds(waited),
        took_ms: report::milliseconds(start.elapsed()),
        calls: client.calls(),
        passed: exit_code == 0,
        exit_code,
        checks: outcomes,
        left,
        evidence: None,
    };
    client.write_evidence(&options.namespace, &mut report);
    Ok(report)
}

/// Polls readiness until the deployment is ready, the time is up, or a signal arrives. Returns the
/// time spent.
fn wait_until_ready(client: &mut Client, wait: Duration) -> Duration {
    let start = Instant::now();
    client.begin("wait");
    while start.elapsed() < wait && !client.stopped() {
        if client.get("/db-check").is_ok_and(|response| response.status() == 200) {
            break;
        }
        sleep(Duration::from_millis(250).min(wait.saturating_sub(start.elapsed())));
    }
    start.elapsed()
}

/// Runs a check, with up to `retries` retries if it fails.
fn run_check(check: &'static Check, client: &mut Client, retries: u32) -> Outcome {
    let start = Instant::now();
    let mut attempts = 0;
    loop {
        attempts += 1;
        client.begin(check.name);
        let result = (check.run)(client).map_err(|failure| client.redact(&failure));
        // A check that passes has deleted its data. Failures to delete are reported at the end.
        client.clean_up();
        if result.is_ok() || attempts > retries || client.stopped() {
            let (note, took) = (client.take_note(), start.elapsed());
            return Outcome::new(check.name, check.expects, result, note, took, attempts);
        }
    }
}
