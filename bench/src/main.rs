//! `bench`: measures the services side by side with what else could have been built.

mod answers;
mod application;
mod bench;
mod load;
mod machine;
mod paths;
mod programs;
mod report;
mod requests;
mod results;
mod run;
mod stage;
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

/// Measures the services, and draws what came of it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All suites, one after another
    All(Settings),
    /// Keyed reads, a list, and what needs no database
    Reads(Settings),
    /// Measure each step from a constant response to a complete request handler
    Ladder(Settings),
    /// Adding words
    Writes(Settings),
    /// Reads, lists, writes and reckoning at the same time
    Mixed(Settings),
    /// Liveness, readiness and health while the service is saturated
    Probes(Settings),
    /// From the start of the process to the first answers; memory and sizes
    Cold(Settings),
    /// From one connection to many, and from one instance to many
    Scale(Settings),
    /// Files of CSV into rows
    Ingest(Settings),
    /// Draw charts and tables of the last results into `docs/`
    Report,
    /// Serve as the peer on axum
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
        Command::All(settings) => run::suites(settings, Suite::ALL).await,
        Command::Reads(settings) => run::suites(settings, &[Suite::Reads]).await,
        Command::Ladder(settings) => run::suites(settings, &[Suite::Ladder]).await,
        Command::Writes(settings) => run::suites(settings, &[Suite::Writes]).await,
        Command::Mixed(settings) => run::suites(settings, &[Suite::Mixed]).await,
        Command::Probes(settings) => run::suites(settings, &[Suite::Probes]).await,
        Command::Cold(settings) => run::suites(settings, &[Suite::Cold]).await,
        Command::Scale(settings) => run::suites(settings, &[Suite::Scale]).await,
        Command::Ingest(settings) => run::suites(settings, &[Suite::Ingest]).await,
        Command::Report => report::write(),
        Command::AxumPeer { listen, url, connections, schema } => {
            let listener = tokio::net::TcpListener::bind(listen).await.context("cannot listen")?;
            axum_peer::serve(listener, &url, connections, schema).await
        }
    }
}
