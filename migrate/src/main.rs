//! `migrate`: the schema's command line. Data goes to standard output, progress to standard error.

mod bar;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use migrate::{Database, Environment, Error, Password, Project, SeedOptions, State};

use crate::bar::Bar;

/// Brings the schema of the database to the version that this build needs.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    /// postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,

    /// The role to act as once connected, where the server does not do that by itself
    #[arg(long, env = "MIGRATE_ROLE", global = true)]
    role: Option<String>,

    /// Seconds to wait for the database to accept a connection
    #[arg(long, default_value_t = 60, global = true, value_name = "SECONDS")]
    wait: u64,

    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done, or nothing to do
  1   something unforeseen
  2   a mistake in the command line
  3   the database and this build disagree about what was applied
  4   a migration failed, and was rolled back
  5   `status --check`: migrations are pending
  9   not permitted: user, password, rights, or no such database
  75  the database or the lock was not to be had in time: try again";

#[derive(Subcommand)]
enum Command {
    /// Apply all pending migrations, each in a transaction of its own
    Up {
        /// Seconds to wait for another `migrate` to finish
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        lock_wait: u64,
    },
    /// Show which migrations are applied and which are pending
    Status {
        /// Exit with 5 when any is pending
        #[arg(long)]
        check: bool,
    },
    /// Wait until the schema is at least as new as this build
    Wait {
        /// The version to wait for, if not this build's
        #[arg(long, value_name = "VERSION")]
        min_version: Option<i64>,
        /// Seconds to wait
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Make the roles that own, migrate and use the schema; needs an administrator
    Bootstrap {
        /// Set a role's password to the first line of a file
        #[arg(long, value_name = "ROLE=FILE", value_parser = role_and_file)]
        password: Vec<(String, PathBuf)>,
        /// Leave alone the rights that everybody has in the database
        #[arg(long)]
        shared_database: bool,
        /// What the database is for: development, test, staging, or any word in lower case. It is
        /// production unless it is marked otherwise; without this option the mark stays as it is
        #[arg(long, value_name = "NAME")]
        environment: Option<Environment>,
    },
    /// Load data for trying things out: the same everywhere, once, and never in production
    ///
    /// What is there already is not loaded again. Any number of these can run at the same time: they
    /// share the work.
    Seed {
        /// Load so many rows of each seed that scales, in place of its own number
        #[arg(long, value_name = "ROWS")]
        scale: Option<u64>,
        /// Load only the seeds of these names
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        only: Vec<String>,
        /// Show which seeds there are, and load nothing; needs no database
        #[arg(long, conflicts_with_all = ["scale", "only"])]
        list: bool,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<(), Error> {
    let report = &|line: &str| eprintln!("{line}");
    let project = Project::built_in();
    if let Command::Seed { list: true, .. } = cli.command {
        for seed in migrate::seeds(&project)? {
            let scales = if seed.scales { ", scales" } else { "" };
            println!("{:20} {}\n{:20} rows: {}{scales}", seed.name, seed.about, "", seed.rows);
        }
        return Ok(());
    }
    let url = cli.database_url.ok_or_else(|| {
        Error::Usage("no database: give --database-url or set DATABASE_URL".to_owned())
    })?;
    let mut database = Database::new(&url)?.wait(Duration::from_secs(cli.wait));
    if let Some(role) = &cli.role {
        database = database.role(role);
    }
    match cli.command {
        Command::Up { lock_wait } => {
            let up = migrate::up(&database, Duration::from_secs(lock_wait), report).await?;
            println!("the schema is at version {} ({} applied)", up.version, up.applied.len());
        }
        Command::Status { check } => {
            let migrations = migrate::status(&database, report).await?;
            for migration in &migrations {
                let state = match &migration.state {
                    State::Applied(at) => format!("applied {at}"),
                    State::Pending => "pending".to_owned(),
                    State::Ahead(at) => format!("applied {at}, unknown to this build"),
                };
                println!("{:40} {state}", migration.name);
            }
            let pending = migrations.iter().filter(|one| one.state == State::Pending).count();
            if check && pending > 0 {
                return Err(Error::Pending(pending));
            }
        }
        Command::Wait { min_version, timeout } => {
            let version = min_version.unwrap_or_else(migrate::newest);
            let timeout = Duration::from_secs(timeout);
            let reached = migrate::wait(&database, version, timeout, report).await?;
            println!("the schema is at version {reached}");
        }
        Command::Bootstrap { password, shared_database, environment } => {
            let secrets = password.iter().map(|(role, file)| secret(role, file));
            let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
            let passwords: Vec<_> =
                secrets.iter().map(|(role, password)| Password { role, password }).collect();
            migrate::bootstrap(&database, &passwords, !shared_database, report).await?;
            if let Some(environment) = &environment {
                migrate::mark(&database, environment, report).await?;
            }
            println!("the roles are in place");
        }
        Command::Seed { scale, only, list: _ } => {
            let (options, bar) = (SeedOptions { scale, only }, Bar::new());
            let tell = &|progress: migrate::SeedProgress<'_>| bar.tell(progress);
            let seeded = migrate::seed(&database, &project, &options, tell, report).await?;
            print!("{seeded}");
        }
    }
    Ok(())
}

fn role_and_file(text: &str) -> Result<(String, PathBuf), String> {
    let (role, file) = text.split_once('=').ok_or("expected ROLE=FILE")?;
    Ok((role.to_owned(), file.into()))
}

fn secret(role: &str, file: &PathBuf) -> Result<(String, String), Error> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::Usage(format!(
            "the password of {role} cannot be read from {}: {error}",
            file.display()
        ))
    })?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok((role.to_owned(), password.to_owned())),
        _ => Err(Error::Usage(format!("the password of {role} in {} is empty", file.display()))),
    }
}
