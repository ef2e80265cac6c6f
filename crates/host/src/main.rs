//! `katas`: the laptop's command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use katas_host::local::build;
use katas_host::local::postgres::Source;
use katas_host::local::up::{self, Engine};
use katas_host::manifest::Manifest;
use tokio::task::block_in_place;

/// Runs the application on this machine, with nothing else installed.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the components, start a PostgreSQL, migrate it, and serve, until Ctrl-C
    Up(Up),
    /// Build the components and do no more
    Build {
        /// The manifest [default: spin.toml here or in a folder above]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Call every service of a deployment once, and remove what that made
    Smoke(smoke::Arguments),
}

#[derive(Args)]
struct Up {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Use this database, postgres://user:password@host:port/database, and start none
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,

    /// Migrate that database as somebody else, who has the rights for it
    #[arg(long, env = "MIGRATE_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    migrate_database_url: Option<String>,

    /// Delete the database of our own and begin with an empty one
    #[arg(long, conflicts_with = "database_url")]
    fresh: bool,

    /// Load data for trying things out into the database of our own, once
    #[arg(long, conflicts_with = "database_url")]
    seed: bool,

    /// What runs the components
    #[arg(long, value_enum, default_value_t = Engine::Katas)]
    engine: Engine,

    /// Use the PostgreSQL that comes with katas, whatever is installed
    #[arg(long)]
    bundled_postgres: bool,

    /// Where the database of our own is kept [default: .katas beside the manifest]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// The manifest [default: spin.toml here or in a folder above]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(arguments) => run_up(arguments).await,
        Command::Build { from } => run_build(from).await,
        Command::Smoke(arguments) => return block_in_place(|| smoke::main(arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_up(arguments: Up) -> anyhow::Result<()> {
    let manifest = manifest(arguments.from)?;
    let beside = manifest.parent().context("the manifest is in no folder")?.join(".katas");
    let options = up::Options {
        state: std::path::absolute(arguments.state.unwrap_or(beside))?,
        manifest,
        listen: arguments.listen,
        database_url: arguments.database_url,
        migrate_url: arguments.migrate_database_url,
        fresh: arguments.fresh,
        seed: arguments.seed,
        source: if arguments.bundled_postgres { Source::Bundled } else { Source::Any },
        engine: arguments.engine,
    };
    up::run(options, &report).await
}

async fn run_build(from: Option<PathBuf>) -> anyhow::Result<()> {
    build::components(&Manifest::read(&manifest(from)?)?, &report).await
}

fn manifest(from: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = match from {
        Some(path) => path,
        None => up::find_manifest(&std::env::current_dir()?)?,
    };
    Ok(std::path::absolute(path)?)
}

/// A step, as cargo tells its own.
fn report(what: &str, which: &str) {
    eprintln!("{what:>12} {which}");
}
