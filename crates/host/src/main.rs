//! `katas`: the command-line tool for local development.

use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, ExitCode};

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use katas_host::local::build;
use katas_host::local::postgres::PostgresInstall;
use katas_host::local::queue::Queue;
use katas_host::local::up::{self, ConnectionString, Engine};
use katas_host::manifest::Manifest;
use rustix::process::{Resource, getrlimit, setrlimit};

/// The soft limit on open files: enough for the connections of clients and of 16 database pools.
const OPEN_FILES: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  katas up
  katas build
  katas new notes --field title:text:1..200
  katas smoke http://127.0.0.1:3000";

const UP_EXAMPLES: &str = "\
Examples:
  katas up
  katas up --watch
  katas up --listen 8080 --fresh --seed
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
        /// Application manifest, or its directory [default: spin.toml in this directory or the nearest
        /// parent]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Print an example call for every route
    #[command(after_help = "Example:\n  katas examples --base http://127.0.0.1:8080")]
    Examples {
        /// Address of the application
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
        base: String,
        /// Application manifest, or its directory [default: spin.toml in this directory or the nearest
        /// parent]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Add a component to this repository
    #[command(disable_help_flag = true)]
    New(Forwarded),
    /// Check a deployment by calling every service, then delete the test data
    #[command(disable_help_flag = true)]
    Smoke(Forwarded),
}

/// The command line of another binary.
#[derive(Args)]
struct Forwarded {
    /// The arguments of the binary, including `--help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

#[derive(Args)]
#[command(after_help = UP_EXAMPLES)]
struct Up {
    /// Listen address; port 0 selects a free port. Without an address: 127.0.0.1
    #[arg(
        long,
        default_value = "127.0.0.1:3000",
        value_name = "[ADDRESS:]PORT",
        value_parser = parse_listen
    )]
    listen: SocketAddr,

    /// Let other machines call the application without an API token
    #[arg(long)]
    insecure_listen: bool,

    /// Use an existing database instead of the local one:
    /// postgres://user:password@host:port/database [env: DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,

    /// Read the connection string of the existing database from a file
    #[arg(long, value_name = "FILE", conflicts_with = "database_url")]
    database_url_file: Option<PathBuf>,

    /// Connection string for the migrations [env: MIGRATE_DATABASE_URL] [default: the one of the
    /// database]
    #[arg(long, value_name = "URL")]
    migrate_database_url: Option<String>,

    /// Read the connection string for the migrations from a file
    #[arg(long, value_name = "FILE", conflicts_with = "migrate_database_url")]
    migrate_database_url_file: Option<PathBuf>,

    /// Create the schema in an existing database even if it contains objects of other applications
    #[arg(long)]
    shared_database: bool,

    /// Delete the local database and start with an empty one
    #[arg(long, conflicts_with_all = ["database_url", "database_url_file"])]
    fresh: bool,

    /// Load sample data into the local database, unless it is already loaded
    #[arg(long, conflicts_with_all = ["database_url", "database_url_file"])]
    seed: bool,

    /// How messages reach the application
    #[arg(long, value_enum, default_value_t = Queue::Direct)]
    queue: Queue,

    /// When a file changes, build the application again and serve the new version
    #[arg(long)]
    watch: bool,

    /// Runtime for the components
    #[arg(long, value_enum, default_value_t = Engine::Katas)]
    engine: Engine,

    /// Use the bundled PostgreSQL even if one is installed; its timeouts never fire
    #[arg(long)]
    bundled_postgres: bool,

    /// Directory of the local database [default: .katas next to the manifest]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Application manifest, or its directory [default: spin.toml in this directory or the nearest
    /// parent]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Up(arguments) => run_up(arguments).await,
        Command::Build { from } => run_build(from).await,
        Command::Examples { base, from } => print_examples(&base, from),
        Command::New(Forwarded { arguments }) => run_binary("scaffold", &arguments).await,
        Command::Smoke(Forwarded { arguments }) => run_binary("smoke", &arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_up(arguments: Up) -> anyhow::Result<()> {
    raise_open_files_limit();
    let manifest = manifest_path(arguments.from)?;
    let default = manifest.parent().context("the manifest has no parent directory")?.join(".katas");
    let database_url = connection_string(
        (arguments.database_url, "--database-url"),
        (arguments.database_url_file, "--database-url-file"),
        "DATABASE_URL",
    )?;
    let migrate_url = connection_string(
        (arguments.migrate_database_url, "--migrate-database-url"),
        (arguments.migrate_database_url_file, "--migrate-database-url-file"),
        "MIGRATE_DATABASE_URL",
    )?;
    for (given, option) in [(arguments.fresh, "--fresh"), (arguments.seed, "--seed")] {
        ensure!(
            !given || database_url.is_none(),
            "{option} applies to the local database, but DATABASE_URL selects another one; unset \
             DATABASE_URL"
        );
    }
    let options = up::Options {
        state: std::path::absolute(arguments.state.unwrap_or(default))?,
        manifest,
        listen: arguments.listen,
        insecure_listen: arguments.insecure_listen,
        database_url,
        migrate_url,
        shared_database: arguments.shared_database,
        fresh: arguments.fresh,
        seed: arguments.seed,
        install: match arguments.bundled_postgres {
            true => PostgresInstall::Bundled,
            false => PostgresInstall::Any,
        },
        engine: arguments.engine,
        queue: arguments.queue,
        watch: arguments.watch,
    };
    up::run(options, &report).await
}

/// Returns the connection string from an option, from the file that another option names, or from
/// an environment variable.
fn connection_string(
    (url, option): (Option<String>, &'static str),
    (file, file_option): (Option<PathBuf>, &'static str),
    variable: &'static str,
) -> anyhow::Result<Option<ConnectionString>> {
    if let Some(url) = url {
        return Ok(Some(ConnectionString { url, origin: option }));
    }
    if let Some(file) = file {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {file_option} {}", file.display()))?;
        let url = text.trim().to_owned();
        return Ok(Some(ConnectionString { url, origin: file_option }));
    }
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    Ok(url.map(|url| ConnectionString { url, origin: variable }))
}

/// Parses `PORT` or `ADDRESS:PORT`; the address may be `localhost`.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match (host, port.parse()) {
        ("" | "localhost", Ok(port)) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        _ => text.parse().map_err(|_| {
            "expected a port or an IP address and a port, such as 3000 or 127.0.0.1:3000".to_owned()
        }),
    }
}

/// Raises the soft limit on open files. The usual 1024 is too low for the connections of clients
/// ([`katas_host::Limits`]) and of the database pools together.
fn raise_open_files_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // After an error, the server accepts fewer connections at a time.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

async fn run_build(from: Option<PathBuf>) -> anyhow::Result<()> {
    build::components(&Manifest::read(&manifest_path(from)?)?, &report).await
}

/// Replaces this process with a binary of the repository, which is built on first use, because serving
/// does not need it. Returns only on an error.
async fn run_binary(name: &str, arguments: &[OsString]) -> anyhow::Result<()> {
    let manifest = manifest_path(None).context("run this command in a clone of the repository")?;
    let root = manifest.parent().context("the manifest has no parent directory")?;
    let binary = build::binary(root, name).await?;
    let error = process::Command::new(&binary).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", binary.display()))
}

fn print_examples(base: &str, from: Option<PathBuf>) -> anyhow::Result<()> {
    let manifest = Manifest::read(&manifest_path(from)?)?;
    let routes = up::routes(&manifest, base.trim_end_matches('/'))?;
    // An error means that standard output is closed.
    let _ = std::io::stdout().write_all(routes.as_bytes());
    Ok(())
}

fn manifest_path(from: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = match from {
        // Spin accepts the directory too.
        Some(path) if path.is_dir() => path.join("spin.toml"),
        Some(path) => path,
        None => up::find_manifest(&std::env::current_dir()?)?,
    };
    Ok(std::path::absolute(path)?)
}

/// Prints a step in cargo's format.
fn report(verb: &str, object: &str) {
    // An error means that standard error is closed.
    let _ = writeln!(std::io::stderr(), "{verb:>12} {object}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_address_may_be_a_port_or_localhost() {
        for (text, expected) in [
            ("3000", "127.0.0.1:3000"),
            (":3000", "127.0.0.1:3000"),
            ("localhost:3000", "127.0.0.1:3000"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(parse_listen(text).unwrap().to_string(), expected);
        }
        for text in ["", "localhost", "127.0.0.1", "::1", "host.example:80", "65536", "3000/"] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
    }
}
