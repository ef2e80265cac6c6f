//! The smoke test: every service of a deployment called once, over HTTP, as its clients call it.
//!
//! What it makes has a name that begins with `smoke-`, and is removed again, whatever fails.

mod answer;
mod checks;
mod cli;
mod client;
mod evidence;
mod report;
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

/// What is tested, and how patiently.
#[derive(Clone, Debug)]
pub struct Options {
    /// Scheme, host and port.
    pub url: Uri,
    /// What a deployment with `api_token` wants from those who change something.
    pub token: Option<String>,
    /// Whether the address is behind the gateway, where the engine's own paths are open.
    pub inside: bool,
    /// How long to wait until the deployment is ready.
    pub wait: Duration,
    /// How long a call may take.
    pub timeout: Duration,
    /// How often a check that failed is run again.
    pub retries: u32,
    /// Certificate authorities to trust beside those of the machine, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Where to write what was called and answered.
    pub evidence: Option<PathBuf>,
    /// The namespace whose state is part of the evidence.
    pub namespace: String,
}

impl Options {
    /// With the defaults of the command line.
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

/// Runs all checks; each is reported as it ends. `stop` becomes the number of a signal when one
/// comes: then nothing more is called, but to remove what was made.
///
/// # Errors
///
/// When it cannot begin: a file that is not there, a folder that cannot be written.
pub fn run(
    options: &Options,
    stop: &AtomicUsize,
    report: &mut dyn FnMut(&Outcome),
) -> Result<Report, String> {
    let evidence = options.evidence.as_deref().map(Evidence::create).transpose()?;
    let mut client = Client::new(options, stop, evidence)?;
    let started_at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let start = Instant::now();

    let waited = wait_until_ready(&mut client, options.wait);
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut told = |outcome: Outcome| {
        report(&outcome);
        outcomes.push(outcome);
    };
    let (mut unreachable, mut away) = (false, false);
    for (index, check) in CHECKS.iter().enumerate() {
        let reason = match stop.load(Ordering::Relaxed) {
            0 if unreachable => Some("not reachable"),
            0 if check.needs_token && options.token.is_none() => Some("no token was given"),
            0 => None,
            _ => Some("interrupted"),
        };
        if let Some(reason) = reason {
            told(Outcome::skipped(check, reason));
            continue;
        }
        let outcome = perform(check, &mut client, options.retries);
        // Without the first none of the others means anything.
        if index == 0 && outcome.status == Status::Failed {
            (unreachable, away) = (true, client.is_away());
        }
        told(outcome);
    }
    let cleanup = Instant::now();
    client.begin("cleanup");
    let left = client.clean();
    told(Outcome::cleanup(&left, cleanup.elapsed()));

    let failed = outcomes.iter().any(|outcome| outcome.status == Status::Failed);
    let exit_code = match stop.load(Ordering::Relaxed) {
        // As shells have it.
        signal @ 1.. => u8::try_from(128 + signal).unwrap_or(1),
        0 if away => 75,
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

/// Polls readiness until it is given, the time is up, or a signal comes. How long that took.
fn wait_until_ready(client: &mut Client, wait: Duration) -> Duration {
    let start = Instant::now();
    client.begin("wait");
    while start.elapsed() < wait && !client.stopped() {
        if client.get("/db-check").is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        sleep(Duration::from_millis(250).min(wait.saturating_sub(start.elapsed())));
    }
    start.elapsed()
}

/// A check, again if it fails and that is wanted.
fn perform(check: &'static Check, client: &mut Client, retries: u32) -> Outcome {
    let start = Instant::now();
    let mut attempts = 0;
    loop {
        attempts += 1;
        client.begin(check.name);
        let result = (check.run)(client).map_err(|failure| client.redact(&failure));
        // Where it went well, nothing is left by now. What cannot be removed is told at the end.
        client.clean();
        if result.is_ok() || attempts > retries || client.stopped() {
            return Outcome::of(check, result, client.take_note(), start.elapsed(), attempts);
        }
    }
}
