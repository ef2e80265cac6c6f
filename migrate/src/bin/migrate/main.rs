//! The `migrate` command. Results go to standard output, progress to standard error.

mod cli;
mod commands;
mod outcome;
mod output;
mod progress;
mod progress_bar;

use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use migrate::{Database, Error};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Cli;
use crate::outcome::Outcome;
use crate::progress::Progress;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run_and_record(&cli));
    // A name lookup in progress cannot be canceled. Do not wait for it.
    runtime.shutdown_background();
    code
}

/// Runs the command, and records its outcome for Kubernetes and Prometheus.
async fn run_and_record(cli: &Cli) -> ExitCode {
    let progress = Progress::new(cli.log);
    let start = Instant::now();
    let (result, code) = run_until_stopped(cli, &progress).await;
    if let Err(error) = &result {
        progress.failure(error, code);
    }
    let outcome = Outcome {
        command: cli.command.name(),
        exit_code: code,
        error: result.as_ref().err().map(Error::to_string),
        version: result.ok().flatten(),
        took: start.elapsed(),
        stats: progress.stats(),
    };
    let metrics = cli.metrics_file.as_ref().map(|path| outcome.write_metrics(path));
    // A failure to record the outcome must not make the Job fail.
    for error in [metrics, Some(outcome.write_message(&cli.termination_log))].into_iter().flatten()
    {
        if let Err(error) = error {
            progress
                .failure(&Error::Unexpected(format!("cannot record the outcome: {error}")), code);
        }
    }
    ExitCode::from(code)
}

/// Runs the command until it ends, a signal arrives, the server becomes unreachable, or the
/// deadline passes. Returns the result with the exit code.
async fn run_until_stopped(cli: &Cli, progress: &Progress) -> (Result<Option<i64>, Error>, u8) {
    let database = cli.database();
    let stopped = {
        let mut running = pin!(commands::run(cli, database.as_ref(), progress));
        tokio::select! {
            biased;
            (name, code) = shutdown_signal() => (format!("received {name}"), code),
            error = unreachable(database.as_ref().ok()) => (error.to_string(), 75),
            () = deadline(cli.deadline) => ("deadline exceeded".to_owned(), 75),
            result = &mut running => {
                let code = result.as_ref().err().map_or(0, Error::exit_code);
                return (result, code);
            }
        }
    };
    // The connection is closed by now, but its server process may still be running.
    let (reason, code) = stopped;
    let ended = match &database {
        Ok(database) => {
            tokio::select! {
                ended = database.end_session() => ended,
                _ = shutdown_signal() => {
                    Err(Error::Unavailable("received a second signal".to_owned()))
                }
            }
        }
        Err(_) => Ok(()),
    };
    let consequence = match ended {
        Ok(()) => "the current transaction was rolled back; run the same command again to resume"
            .to_owned(),
        Err(error) => {
            format!("PostgreSQL rolls back the current transaction within seconds ({error})")
        }
    };
    (Err(Error::Unavailable(format!("{reason}: {consequence}"))), code)
}

/// Waits for SIGTERM or SIGINT. Returns the name of the signal and 128 plus its number, the
/// conventional exit code.
async fn shutdown_signal() -> (&'static str, u8) {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        // Without handlers, the default action of the signals ends this process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 143),
        _ = interrupt.recv() => ("SIGINT", 130),
    }
}

async fn unreachable(database: Option<&Database>) -> Error {
    match database {
        Some(database) => database.unreachable().await,
        None => std::future::pending().await,
    }
}

async fn deadline(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline).await,
        None => std::future::pending().await,
    }
}
