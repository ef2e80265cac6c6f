//! `bench`: measures the services and compares them with native and Python implementations.

mod application;
mod bench;
mod conformance;
mod fixture;
mod load;
mod machine;
mod paths;
mod programs;
mod report;
mod requests;
mod results;
mod run;
mod statistics;
mod suite;
mod suites;
mod systems;
mod usage;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use bench::Settings;
use suite::Suite;

/// Measure the services and report the results
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all suites
    All(Settings),
    /// Measure reads by key, a list, and requests without the database
    Reads(Settings),
    /// Measure each step from a constant response to a complete request handler
    Ladder(Settings),
    /// Measure inserts
    Writes(Settings),
    /// Measure concurrent reads, lists, writes and calculations
    Mixed(Settings),
    /// Measure the latency of probes while the service is saturated
    Probes(Settings),
    /// Measure startup time, memory and component sizes
    Cold(Settings),
    /// Measure throughput over the number of connections and instances
    Scale(Settings),
    /// Measure loading of CSV files
    Ingest(Settings),
    /// Write charts and tables of the last results to `docs/` and `README.md`
    Report,
    /// Run the axum peer
    #[command(hide = true)]
    AxumPeer { listen: SocketAddr, url: String, connections: usize, schema: i64 },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::All(settings) => run::run_suites(settings, Suite::ALL).await,
        Command::Reads(settings) => run::run_suites(settings, &[Suite::Reads]).await,
        Command::Ladder(settings) => run::run_suites(settings, &[Suite::Ladder]).await,
        Command::Writes(settings) => run::run_suites(settings, &[Suite::Writes]).await,
        Command::Mixed(settings) => run::run_suites(settings, &[Suite::Mixed]).await,
        Command::Probes(settings) => run::run_suites(settings, &[Suite::Probes]).await,
        Command::Cold(settings) => run::run_suites(settings, &[Suite::Cold]).await,
        Command::Scale(settings) => run::run_suites(settings, &[Suite::Scale]).await,
        Command::Ingest(settings) => run::run_suites(settings, &[Suite::Ingest]).await,
        Command::Report => report::publish(),
        Command::AxumPeer { listen, url, connections, schema } => {
            let listener = tokio::net::TcpListener::bind(listen)
                .await
                .with_context(|| format!("cannot listen on {listen}"))?;
            axum_peer::serve(listener, &url, connections, schema).await
        }
    }
}
