//! `katas`: the command-line tool for local development.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use katas_host::local::build;
use katas_host::local::postgres::PostgresInstall;
use katas_host::local::up::{self, Engine};
use katas_host::manifest::Manifest;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::block_in_place;

/// Enough for the connections of clients and for 16 pools.
const OPEN_FILES: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  katas up
  katas build
  katas smoke http://127.0.0.1:3000";

const UP_EXAMPLES: &str = "\
Examples:
  katas up
  katas up --listen 127.0.0.1:8080 --fresh --seed
  katas up --database-url postgres://ada:secret@localhost/katas";

/// Run the application on this machine
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the components, start and migrate PostgreSQL, and serve until Ctrl-C
    Up(Up),
    /// Build the components
    #[command(after_help = "Example:\n  katas build --from ../other/spin.toml")]
    Build {
        /// Application manifest [default: spin.toml in this directory or the nearest parent]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Check a deployment by calling every service, then delete the test data
    Smoke(smoke::Arguments),
}

#[derive(Args)]
#[command(after_help = UP_EXAMPLES)]
struct Up {
    /// Listen address; port 0 selects a free port
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Use an existing database instead of the local one:
    /// postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,

    /// Connection string for the migrations [default: the one of --database-url]
    #[arg(long, env = "MIGRATE_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    migrate_database_url: Option<String>,

    /// Delete the local database and start with an empty one
    #[arg(long, conflicts_with = "database_url")]
    fresh: bool,

    /// Load sample data into the local database, unless it is already loaded
    #[arg(long, conflicts_with = "database_url")]
    seed: bool,

    /// Runtime for the components
    #[arg(long, value_enum, default_value_t = Engine::Katas)]
    engine: Engine,

    /// Use the bundled PostgreSQL even if one is installed
    #[arg(long)]
    bundled_postgres: bool,

    /// Directory of the local database [default: .katas next to the manifest]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Application manifest [default: spin.toml in this directory or the nearest parent]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Up(arguments) => run_up(arguments).await,
        Command::Build { from } => run_build(from).await,
        Command::Smoke(arguments) => return block_in_place(|| smoke::main(arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_up(arguments: Up) -> anyhow::Result<()> {
    raise_open_files_limit();
    let manifest = manifest_path(arguments.from)?;
    let default = manifest.parent().context("the manifest has no parent directory")?.join(".katas");
    let options = up::Options {
        state: std::path::absolute(arguments.state.unwrap_or(default))?,
        manifest,
        listen: arguments.listen,
        database_url: arguments.database_url,
        migrate_url: arguments.migrate_database_url,
        fresh: arguments.fresh,
        seed: arguments.seed,
        install: match arguments.bundled_postgres {
            true => PostgresInstall::Bundled,
            false => PostgresInstall::Any,
        },
        engine: arguments.engine,
    };
    up::run(options, &report).await
}

/// Raises the soft limit on open files. The usual 1024 is less than the connections of clients
/// ([`katas_host::Limits`]) and of the database pools together.
fn raise_open_files_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // Without it, connections are refused earlier.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

async fn run_build(from: Option<PathBuf>) -> anyhow::Result<()> {
    build::components(&Manifest::read(&manifest_path(from)?)?, &report).await
}

fn manifest_path(from: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = match from {
        Some(path) => path,
        None => up::find_manifest(&std::env::current_dir()?)?,
    };
    Ok(std::path::absolute(path)?)
}

/// Prints a step in the format of cargo.
fn report(verb: &str, object: &str) {
    eprintln!("{verb:>12} {object}");
}
