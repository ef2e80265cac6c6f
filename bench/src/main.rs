//! `bench`: measures the services side by side with what else could have been built.

mod answers;
mod bench;
mod load;
mod machine;
mod programs;
mod report;
mod requests;
mod results;
mod stage;
mod statistics;
mod suites;
mod systems;
mod usage;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use bench::Settings;
use suites::Suite;

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
        Command::All(settings) => bench::run(settings, Suite::ALL).await,
        Command::Reads(settings) => bench::run(settings, &[Suite::Reads]).await,
        Command::Writes(settings) => bench::run(settings, &[Suite::Writes]).await,
        Command::Mixed(settings) => bench::run(settings, &[Suite::Mixed]).await,
        Command::Probes(settings) => bench::run(settings, &[Suite::Probes]).await,
        Command::Cold(settings) => bench::run(settings, &[Suite::Cold]).await,
        Command::Scale(settings) => bench::run(settings, &[Suite::Scale]).await,
        Command::Ingest(settings) => bench::run(settings, &[Suite::Ingest]).await,
        Command::Report => report::write(),
        Command::AxumPeer { listen, url, connections, schema } => {
            let listener = tokio::net::TcpListener::bind(listen).await.context("cannot listen")?;
            axum_peer::serve(listener, &url, connections, schema).await
        }
    }
}

/// The project's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where results, tools and what is passing are kept.
fn folder() -> PathBuf {
    root().join("target/bench")
}
