//! The command line, of `smoke` and of `katas smoke`.

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
What it does:
  Calls every service once, as docs/API.md promises it, and removes what it made, whatever fails. All
  of that has a name that begins with smoke- and the same eight digits, which are told at the end. No
  receipt is made: it could not be removed. Each call is a connection of its own, so that all pods
  get some, and the services' log lines have the trace id that is told at the end.

The token:
  Where the deployment has an api_token, give it by --token-file or in API_TOKEN. Then it is also
  tested that nothing can be changed without it. An empty one is none.

The evidence:
  calls.jsonl has every call with its answer, report.json what --format json prints, and, where there
  is a kubectl that reaches a cluster, one YAML file each has the pods, services, SpinApps,
  HTTPRoutes, Ingresses, Jobs and events of the namespace. The token is in none of them; Secrets are
  not read.

Exit codes:
  0    all checks passed
  1    a check failed
  2    a mistake in the command line, or in a file that it names
  75   nothing answered in time: try again
  130  interrupted (SIGINT), 143 told to end (SIGTERM): what was made is removed before";

/// Calls every service of a deployment once, and removes what it made
#[derive(Args, Debug)]
#[command(after_long_help = MANUAL, after_help = "`--help` says more, exit codes included.")]
pub struct Arguments {
    /// Where the deployment is: http:// or https://, host and port
    #[arg(value_parser = origin)]
    url: Uri,

    /// A file with the token in its first line [or, without a file: API_TOKEN]
    #[arg(long, env = "API_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Expect the engine's own paths to be open: there is no gateway in between
    ///
    /// Without it they have to be closed, unless the address is a loopback one, where either will
    /// do.
    #[arg(long)]
    inside: bool,

    /// How long to wait until the deployment is ready, before the first check
    #[arg(long, default_value = "0", value_parser = seconds, value_name = "SECONDS")]
    wait: Duration,

    /// How long a call may take
    #[arg(long, default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    timeout: Duration,

    /// How often a check that failed is run again
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    retries: u32,

    /// Certificate authorities to trust beside those of the machine, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// What standard output is for
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// Write what was called and answered, and the state of the cluster, into this folder
    #[arg(long, value_name = "FOLDER")]
    evidence: Option<PathBuf>,

    /// The namespace whose state is part of the evidence
    #[arg(long, default_value = "katas", requires = "evidence")]
    namespace: String,
}

/// For whom output is.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    /// People
    Human,
    /// Programs
    Json,
}

/// Runs what the command line says.
pub fn main(arguments: Arguments) -> ExitCode {
    let format = arguments.format;
    let print = |line: &dyn std::fmt::Display| {
        // Nobody may be reading any more: then it is not needed.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    };
    let result = listen().and_then(|stop| {
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
                    print(&serde_json::to_string(&report).expect("its keys are strings"))
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

/// What becomes the number of the first signal to end; a second one ends this process at once.
fn listen() -> Result<Arc<AtomicUsize>, String> {
    let (stop, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        let number = usize::try_from(signal).expect("signals have small numbers");
        flag::register_conditional_shutdown(signal, 128 + signal, told.clone())
            .and_then(|_| flag::register(signal, told.clone()))
            .and_then(|_| flag::register_usize(signal, stop.clone(), number))
            .map_err(|error| format!("signals are not heard: {error}"))?;
    }
    Ok(stop)
}

impl Arguments {
    fn options(self) -> Result<Options, String> {
        let token = match &self.token_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                format!("the token cannot be read from {}: {error}", file.display())
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

/// An address without a path: what the services answer with is absolute.
fn origin(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let authority = uri.authority().ok_or("expected http://HOST:PORT or https://HOST:PORT")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("expected http:// or https://".to_owned()),
    }
    if authority.as_str().contains('@') {
        return Err("no user and password here: they would be told to everybody".to_owned());
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err("no path and no query: the services answer at the root".to_owned());
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
    fn an_address_is_a_scheme_a_host_and_perhaps_a_port() {
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
