//! The command line of `smoke`, and of `katas smoke`, which runs it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::Uri;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::{Options, run};

const MANUAL: &str = "\
Test data:
  The names of all test data begin with smoke- and eight random hexadecimal digits, which the
  summary shows. The data is deleted at the end even if a check fails. No receipt is created,
  because receipts cannot be deleted.

Requests:
  Each request opens a new connection, so that requests reach all pods. All requests share a trace
  id, which the summary shows and the log lines of the services contain.

Token:
  If the deployment sets api_token, pass the token with --token-file or API_TOKEN. A further check
  then verifies that writes without it are rejected. An empty token counts as none. The token is sent
  with writes, and with reads of users and receipts, which require it if private_reads is set.

Evidence:
  calls.jsonl    every request with its response
  report.json    the output of --format json
  <name>.yaml    the pods, services, SpinApps, HTTPRoutes, Ingresses, Jobs and events of the
                 namespace, if kubectl reaches a cluster
  The token is redacted, and Secrets are not read.

Exit codes:
  0    all checks passed
  1    a check failed
  2    invalid command line, or a file in it cannot be read or written
  75   the deployment is unreachable; try again later
  130  interrupted by SIGINT, after the test data was deleted
  143  terminated by SIGTERM, after the test data was deleted

Examples:
  smoke http://127.0.0.1:3000
  smoke https://katas.example --token-file token --wait 60
  smoke http://katas.katas.svc --inside --format json --evidence evidence";

/// Check a deployment by calling every service, then delete the test data
#[derive(Args, Debug)]
#[command(
    after_long_help = MANUAL,
    after_help = "Example:\n  smoke http://127.0.0.1:3000\n\nUse --help for details and exit codes."
)]
pub struct Arguments {
    /// URL of the deployment: http(s)://HOST[:PORT]
    #[arg(value_parser = origin)]
    url: Uri,

    /// File with the token in its first line [default: the token in API_TOKEN]
    #[arg(long, env = "API_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Expect /.well-known/spin/ to be reachable, because there is no gateway
    ///
    /// By default it must be unreachable, except through a loopback address, where both pass.
    #[arg(long)]
    inside: bool,

    /// Maximum time to wait for the deployment to become ready
    #[arg(long, default_value = "0", value_parser = seconds, value_name = "SECONDS")]
    wait: Duration,

    /// Timeout of a request
    #[arg(long, default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    timeout: Duration,

    /// Number of retries of a failed check
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    retries: u32,

    /// PEM file of certificate authorities to trust in addition to the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// Record all requests, the report, and the state of the cluster in this directory
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,

    /// Namespace of the recorded cluster state
    #[arg(long, default_value = "katas", requires = "evidence")]
    namespace: String,
}

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    /// One line per check and a summary
    Human,
    /// One JSON object
    Json,
}

/// Runs the smoke test with the arguments of the command line.
pub fn main(arguments: Arguments) -> ExitCode {
    let format = arguments.format;
    let print = |line: &dyn std::fmt::Display| {
        // A closed standard output is no reason to stop.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    };
    let result = register_signals().and_then(|stop| {
        run(&arguments.options()?, &stop, &mut |outcome| {
            if format == Format::Human {
                print(outcome);
            }
        })
    });
    match result {
        Ok(report) => {
            match format {
                Format::Human => print(&report),
                Format::Json => {
                    print(&serde_json::to_string(&report).expect("the keys are strings"))
                }
            }
            ExitCode::from(report.exit_code)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns a variable that the first SIGINT or SIGTERM sets to its number. A second signal ends the
/// process immediately.
fn register_signals() -> Result<Arc<AtomicUsize>, String> {
    let (stop, signaled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        let number = usize::try_from(signal).expect("signals have small numbers");
        flag::register_conditional_shutdown(signal, 128 + signal, signaled.clone())
            .and_then(|_| flag::register(signal, signaled.clone()))
            .and_then(|_| flag::register_usize(signal, stop.clone(), number))
            .map_err(|error| format!("cannot register signal handlers: {error}"))?;
    }
    Ok(stop)
}

impl Arguments {
    fn options(self) -> Result<Options, String> {
        let token = match &self.token_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                format!("cannot read the token from {}: {error}", file.display())
            })?,
            None => std::env::var("API_TOKEN").unwrap_or_default(),
        };
        let token = token.lines().next().unwrap_or_default().to_owned();
        Ok(Options {
            url: self.url,
            token: Some(token).filter(|token| !token.is_empty()),
            inside: self.inside,
            wait: self.wait,
            timeout: self.timeout,
            retries: self.retries,
            ca_file: self.ca_file,
            evidence: self.evidence,
            namespace: self.namespace,
        })
    }
}

/// Parses a URL without a path. The paths in responses, such as `Location`, are absolute.
fn origin(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let authority = uri.authority().ok_or("expected http://HOST:PORT or https://HOST:PORT")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("expected http:// or https://".to_owned()),
    }
    if authority.as_str().contains('@') {
        return Err("credentials are not allowed in the URL; use --token-file".to_owned());
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err("path and query are not allowed; the services are at the root".to_owned());
    }
    Ok(uri)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_with_path_credentials_or_other_scheme_is_rejected() {
        for text in ["http://127.0.0.1:3000", "https://katas.example/", "http://[::1]:80"] {
            assert!(origin(text).is_ok(), "{text}");
        }
        for text in [
            "127.0.0.1:3000",
            "katas",
            "/",
            "ftp://katas.example",
            "https://katas.example/api",
            "https://katas.example/?x",
            "https://ada:secret@katas.example",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
