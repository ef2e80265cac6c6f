//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use migrate::{Database, Environment, Error, OutOfOrder, Patience, Project};

/// Brings the schema of a PostgreSQL database to the version that this build needs
///
/// Safe to start many times at once, to kill, and to start again: whatever has been done stays done,
/// and nothing is done twice. Results go to standard output, progress to standard error.
#[derive(Parser)]
#[command(version, after_long_help = MANUAL, after_help = "`--help` says more, exit codes included.")]
pub(crate) struct Cli {
    /// postgres://user:password@host:port/database
    ///
    /// The address of PostgreSQL itself, not of a pooler. Parameters as of libpq, for example
    /// ?sslmode=verify-full&sslrootcert=/path/ca.crt
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true, value_name = "URL")]
    database_url: Option<String>,

    /// A file with the URL in its first line
    #[arg(
        long,
        env = "DATABASE_URL_FILE",
        global = true,
        value_name = "FILE",
        conflicts_with = "database_url"
    )]
    database_url_file: Option<PathBuf>,

    /// The role to act as once connected, where the server does not do that by itself
    #[arg(long, env = "MIGRATE_ROLE", global = true)]
    role: Option<String>,

    /// The folder with migrations/, roles.sql, schema.sql, sweep.sql and seeds/, in place of those built in
    #[arg(long, env = "MIGRATE_SOURCE", global = true, value_name = "FOLDER")]
    pub(crate) source: Option<PathBuf>,

    /// How long to wait for the database to accept a connection
    #[arg(long, env = "MIGRATE_WAIT", default_value = "60", value_parser = seconds, global = true, value_name = "SECONDS")]
    wait: Duration,

    /// How long all of it may take; then it is rolled back, and the exit code is 75
    ///
    /// To be shorter than the activeDeadlineSeconds of a Job.
    #[arg(long, env = "MIGRATE_DEADLINE", value_parser = seconds, global = true, value_name = "SECONDS")]
    pub(crate) deadline: Option<Duration>,

    /// What standard output is for
    #[arg(long, env = "MIGRATE_FORMAT", default_value = "human", global = true)]
    pub(crate) format: Format,

    /// What standard error is for; by default people if it is a terminal, and JSON lines if not
    #[arg(long, env = "MIGRATE_LOG", global = true)]
    pub(crate) log: Option<Format>,

    /// Where to leave the outcome for Kubernetes
    #[arg(
        long,
        env = "MIGRATE_TERMINATION_LOG",
        default_value = "/dev/termination-log",
        global = true,
        value_name = "FILE"
    )]
    pub(crate) termination_log: PathBuf,

    /// Where to leave metrics for Prometheus's textfile collector
    #[arg(long, env = "MIGRATE_METRICS_FILE", global = true, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const MANUAL: &str = "\
How it goes about it:
  `up` reads the ledger, and is done without a lock when nothing is pending. Otherwise it waits for
  the lock that all runners of this database share, sqlx's own included, checks everything that can
  be checked, and applies each file in a transaction of its own. A statement that does not get its
  lock in time is rolled back and tried again, so that nobody queues behind it.
  A file that begins with the line `-- no-transaction` is run statement by statement, and goes on
  where it ended: for CREATE INDEX CONCURRENTLY.

Exit codes:
  0    done, or nothing to do
  1    something unforeseen
  2    a mistake in the command line, or in a file that it names
  3    the database and this build disagree about what was applied; nothing was done
  4    a statement failed; its transaction was rolled back
  5    `status --check`, `verify`: migrations are pending
  6    `verify`: the schema is not what the migrations make
  7    `lint`: a migration is unsafe
  9    not permitted: user, password, rights, no such database, a pooler, or a place to keep out of
  75   the database or a lock was not to be had in time: try again
  130  interrupted (SIGINT), 143 told to end (SIGTERM): what was under way was rolled back";

/// For whom output is.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// People
    Human,
    /// Programs
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Apply all pending migrations
    Up {
        /// Stop at this version
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Apply pending migrations that are older than applied ones, too
        #[arg(long)]
        out_of_order: bool,
        #[command(flatten)]
        changing: Changing,
    },
    /// Undo migrations: the newest, or as far as is said
    Down {
        /// Undo everything after this version; 0 undoes everything
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Undo so many migrations
        #[arg(long, default_value_t = 1, conflicts_with = "to", value_name = "COUNT")]
        steps: usize,
        /// Even where real data is lost
        #[arg(long)]
        production: bool,
        #[command(flatten)]
        changing: Changing,
    },
    /// Show which migrations are applied and which are pending
    Status {
        /// Exit with 5 when any is pending
        #[arg(long)]
        check: bool,
    },
    /// Show what `up` or `down` would do: the exact SQL, what each statement locks, how large that is
    ///
    /// Reads in a READ ONLY transaction and makes nothing. What is printed is SQL, with the rest in
    /// comments.
    Plan {
        /// Stop at this version
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Show what `down` would do
        #[arg(long)]
        down: bool,
        /// With --down: so many migrations
        #[arg(
            long,
            default_value_t = 1,
            requires = "down",
            conflicts_with = "to",
            value_name = "COUNT"
        )]
        steps: usize,
    },
    /// Look for what is unsafe in the SQL, with the rules of squawk (squawkhq.com/docs/rules)
    ///
    /// A finding that is meant to be is silenced in the line before, with a reason:
    /// -- squawk-ignore ban-drop-column -- nobody has read it since version 7
    Lint,
    /// Compare the schema, its rights and its roles with what the migrations make
    Verify,
    /// Print the schema, its rights and its roles as SQL: the same bytes for the same schema
    Dump,
    /// Wait until the schema is at least as new as this build
    Wait {
        /// The version to wait for, if not this build's
        #[arg(long, value_name = "VERSION")]
        min_version: Option<i64>,
        /// How long
        #[arg(long, default_value = "300", value_parser = seconds, value_name = "SECONDS")]
        timeout: Duration,
    },
    /// Note migrations as applied without running them, for a database that has its schema already
    Baseline {
        /// The last one; all of them if not given
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        #[command(flatten)]
        changing: Changing,
    },
    /// Accept edited and missing files of applied migrations: prints the SQL, runs it with --yes
    Repair {
        /// Begin this unfinished migration anew
        #[arg(long, value_name = "VERSION")]
        forget: Option<i64>,
        /// Do it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        changing: Changing,
    },
    /// Remove what nobody needs any more, in short statements: to be run now and then
    Sweep {
        /// Sweep even as a superuser
        #[arg(long, env = "MIGRATE_ALLOW_SUPERUSER")]
        allow_superuser: bool,
    },
    /// Make the files of a new migration
    New {
        /// What it is about, as in add_prices
        name: String,
        /// For statements that cannot be in a transaction
        #[arg(long)]
        no_transaction: bool,
    },
    /// Make the roles that own, migrate and use the schema; needs an administrator
    Bootstrap {
        /// Set a role's password to the first line of a file
        #[arg(long, value_name = "ROLE=FILE", value_parser = pair)]
        password: Vec<(String, String)>,
        /// Set a role's password to the value of an environment variable
        #[arg(long, value_name = "ROLE=VARIABLE", value_parser = pair)]
        password_env: Vec<(String, String)>,
        /// Let a role have this many connections, in place of what roles.sql says
        #[arg(long, value_name = "ROLE=COUNT", value_parser = limit)]
        connection_limit: Vec<(String, u16)>,
        /// Leave alone the rights that everybody has in the database
        #[arg(long)]
        shared_database: bool,
        /// What the database is for: development, test, staging, or another word in lower case
        ///
        /// It is production until it is marked otherwise, and `seed` and `down` keep out of production.
        /// Without this option a mark stays as it is.
        #[arg(long, value_name = "NAME")]
        environment: Option<Environment>,
    },
    /// Load data to try things out with: the same everywhere, once, and never in production
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
        /// Load even as a superuser, who then owns the table that says what has been loaded
        #[arg(long, env = "MIGRATE_ALLOW_SUPERUSER")]
        allow_superuser: bool,
    },
}

/// What commands that write have in common.
#[derive(Args)]
pub(crate) struct Changing {
    /// How long to wait for another runner to finish
    #[arg(long, env = "MIGRATE_LOCK_WAIT", default_value = "300", value_parser = seconds, value_name = "SECONDS")]
    lock_wait: Duration,
    /// How long a statement waits for a lock on a table before its file is rolled back
    #[arg(long, env = "MIGRATE_LOCK_TIMEOUT", default_value = "3", value_parser = seconds, value_name = "SECONDS")]
    lock_timeout: Duration,
    /// How long such a file is tried again
    #[arg(long, env = "MIGRATE_RETRY", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    retry: Duration,
    /// How long a statement may take
    #[arg(long, env = "MIGRATE_STATEMENT_TIMEOUT", default_value = "900", value_parser = seconds, value_name = "SECONDS")]
    statement_timeout: Duration,
    /// Migrate even as a superuser
    #[arg(long, env = "MIGRATE_ALLOW_SUPERUSER")]
    allow_superuser: bool,
}

impl Changing {
    pub(crate) fn patience(&self) -> Patience {
        Patience { lock: self.lock_wait, retry: self.retry }
    }
}

impl Cli {
    /// The database that is meant.
    pub(crate) fn database(&self) -> Result<Database, Error> {
        let url = match (&self.database_url, &self.database_url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => first_line("the database URL", file)?,
            (None, None) => {
                let ways = "give --database-url or --database-url-file, or set DATABASE_URL";
                return Err(Error::Usage(format!("no database: {ways}")));
            }
        };
        let mut database = Database::new(&url)?.wait(self.wait);
        if let Some(role) = &self.role {
            database = database.role(role);
        }
        if let Some(changing) = self.command.changing() {
            database = database
                .lock_timeout(changing.lock_timeout)
                .statement_timeout(changing.statement_timeout)
                .allow_superuser(changing.allow_superuser);
        }
        if let Command::Seed { allow_superuser, .. } | Command::Sweep { allow_superuser } =
            self.command
        {
            database = database.allow_superuser(allow_superuser);
        }
        Ok(database)
    }

    /// What there is to apply.
    pub(crate) async fn project(&self) -> Result<Project, Error> {
        match &self.source {
            Some(folder) => Project::read(folder).await,
            None => Ok(Project::built_in()),
        }
    }
}

impl Command {
    /// Its name, as it is typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Command::Up { .. } => "up",
            Command::Down { .. } => "down",
            Command::Status { .. } => "status",
            Command::Plan { .. } => "plan",
            Command::Lint => "lint",
            Command::Verify => "verify",
            Command::Dump => "dump",
            Command::Wait { .. } => "wait",
            Command::Baseline { .. } => "baseline",
            Command::Repair { .. } => "repair",
            Command::Sweep { .. } => "sweep",
            Command::New { .. } => "new",
            Command::Bootstrap { .. } => "bootstrap",
            Command::Seed { .. } => "seed",
        }
    }

    fn changing(&self) -> Option<&Changing> {
        match self {
            Command::Up { changing, .. }
            | Command::Down { changing, .. }
            | Command::Baseline { changing, .. }
            | Command::Repair { changing, .. } => Some(changing),
            _ => None,
        }
    }
}

/// What to do with migrations that come late.
pub(crate) fn out_of_order(apply: bool) -> OutOfOrder {
    if apply { OutOfOrder::Apply } else { OutOfOrder::Refuse }
}

/// The passwords of `--password` and `--password-env`.
pub(crate) fn passwords(
    files: &[(String, String)],
    variables: &[(String, String)],
) -> Result<Vec<(String, String)>, Error> {
    let from_files = files.iter().map(|(role, file)| {
        let password = first_line(&format!("the password of {role}"), file.as_ref())?;
        Ok((role.clone(), password))
    });
    let from_variables = variables.iter().map(|(role, variable)| match std::env::var(variable) {
        Ok(password) if !password.is_empty() => Ok((role.clone(), password)),
        _ => Err(Error::Usage(format!("the password of {role}: {variable} is not set"))),
    });
    from_files.chain(from_variables).collect()
}

/// Tools that write secrets into files end them with a new line.
fn first_line(what: &str, file: &std::path::Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::Usage(format!("{what} cannot be read from {}: {error}", file.display()))
    })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Error::Usage(format!("{what} in {} is empty", file.display()))),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (role, source) = text.split_once('=').ok_or("expected ROLE=...")?;
    Ok((role.to_owned(), source.to_owned()))
}

fn limit(text: &str) -> Result<(String, u16), String> {
    let (role, count) = pair(text)?;
    Ok((role, count.parse().map_err(|_| "expected a number of connections".to_owned())?))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    /// The commands between backticks in the documents.
    fn documented() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = [root.clone(), root.join("docs"), root.join("db/migrations")];
        let files = folders.iter().flat_map(|folder| folder.read_dir().expect("it is a folder"));
        let paths = files.map(|file| file.expect("it is a file").path());
        let texts = paths
            .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
            .map(|path| std::fs::read_to_string(path).expect("it is text"));
        let code = |text: String| {
            let spans = text.split('`').skip(1).step_by(2).map(str::to_owned);
            spans.filter(|span| span.starts_with("migrate ")).collect::<Vec<_>>()
        };
        texts.flat_map(code).collect()
    }

    #[test]
    fn the_documents_commands_are_understood() {
        let commands = documented();
        assert!(commands.len() > 10, "{commands:?}");
        for command in commands {
            match Cli::try_parse_from(command.split_whitespace()) {
                Ok(_) => {}
                // A name for what it does, without its arguments.
                Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {}
                Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
                Err(error) => panic!("{command}: {error}"),
            }
        }
    }

    #[test]
    fn every_command_is_documented() {
        let documented = documented();
        for command in Cli::command().get_subcommands() {
            let name = format!("migrate {}", command.get_name());
            assert!(documented.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_manual_lists_every_exit_code() {
        for code in ["0", "1", "2", "3", "4", "5", "6", "7", "9", "75", "130"] {
            let line = |line: &str| line.split_whitespace().next() == Some(code);
            assert!(MANUAL.lines().any(line), "{code}");
        }
    }
}
