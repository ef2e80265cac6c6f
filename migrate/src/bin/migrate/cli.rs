//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use migrate::{Database, Environment, Error, OutOfOrder, Project, Tool, WaitOptions};

/// Migrate the schema of a PostgreSQL database
///
/// Safe to run concurrently, to kill and to run again: completed work stays done, and nothing is
/// applied twice. Results go to standard output, progress to standard error.
#[derive(Parser)]
#[command(version, after_long_help = MANUAL, after_help = "`--help` prints details, exit codes and examples.")]
pub(crate) struct Cli {
    /// Database URL: postgres://user:password@host:port/database
    ///
    /// Must point to PostgreSQL itself, not to a connection pooler. Supported parameters:
    /// application_name, connect_timeout, dbname, host, hostaddr, options, password, port, sslcert,
    /// sslkey, sslmode, sslrootcert and user; for example ?sslmode=verify-full&sslrootcert=/path/ca.crt
    /// The default of sslmode is verify-full, and prefer for a server on this machine.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true, value_name = "URL")]
    database_url: Option<String>,

    /// File with the database URL in its first line
    #[arg(
        long,
        env = "DATABASE_URL_FILE",
        global = true,
        value_name = "FILE",
        conflicts_with = "database_url"
    )]
    database_url_file: Option<PathBuf>,

    /// Role to switch to after logging in, if the server does not do so itself
    #[arg(long, env = "MIGRATE_ROLE", global = true)]
    role: Option<String>,

    /// Project folder to use instead of the embedded one
    ///
    /// Contains migrations/, and optionally roles.sql, schema.sql, sweep.sql and seeds/. Migrations
    /// of other tools are refused; `migrate import` converts them.
    #[arg(long, env = "MIGRATE_SOURCE", global = true, value_name = "FOLDER")]
    pub(crate) source: Option<PathBuf>,

    /// Schemas in which to look up names without a schema, such as public [default: none]
    ///
    /// For migrations written for sqlx or another tool, which keep the server's search_path. Only
    /// list schemas in which no other user may create objects.
    #[arg(long, env = "MIGRATE_SEARCH_PATH", global = true, value_name = "SCHEMAS")]
    pub(crate) search_path: Option<String>,

    /// How long to wait until the database accepts a connection and the login
    #[arg(long, env = "MIGRATE_WAIT", default_value = "60", value_parser = parse_seconds, global = true, value_name = "SECONDS")]
    wait: Duration,

    /// Time limit for the whole run; when it is exceeded, roll back and exit with 75
    ///
    /// Set it below the activeDeadlineSeconds of a Job.
    #[arg(long, env = "MIGRATE_DEADLINE", value_parser = parse_seconds, global = true, value_name = "SECONDS")]
    pub(crate) deadline: Option<Duration>,

    /// Format of the result on standard output
    #[arg(long, env = "MIGRATE_FORMAT", default_value = "human", global = true)]
    pub(crate) format: Format,

    /// Format of the progress on standard error [default: human on a terminal, json otherwise]
    #[arg(long, env = "MIGRATE_LOG", global = true)]
    pub(crate) log: Option<Format>,

    /// File for the termination message of the container; written only if it exists
    #[arg(
        long,
        env = "MIGRATE_TERMINATION_LOG",
        default_value = "/dev/termination-log",
        global = true,
        value_name = "FILE"
    )]
    pub(crate) termination_log: PathBuf,

    /// File for metrics, to be read by Prometheus's textfile collector
    #[arg(long, env = "MIGRATE_METRICS_FILE", global = true, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const MANUAL: &str = "\
Locking:
  `up` reads the ledger, and exits without taking a lock if nothing is pending. Otherwise it waits
  for the advisory lock that all runners of this database share, including sqlx's, validates the
  ledger and the files, and applies each migration in its own transaction. A migration that does
  not get a table lock within --lock-timeout is rolled back and retried, so that other sessions do
  not queue behind it.
  A file whose first line is `-- no-transaction` runs statement by statement and can be resumed. Use
  it for CREATE INDEX CONCURRENTLY.

Exit codes:
  0    success, or nothing to do
  1    unexpected error
  2    invalid command line, or an invalid file or folder named on it
  3    the ledger and this build contradict each other; nothing was changed
  4    a statement failed; its transaction was rolled back
  5    `status --check`, `verify`, `seed`: migrations are pending
  6    `verify`: the schema differs from the expected one
  7    `lint`: a migration is unsafe
  9    not permitted: user, password, privilege, missing database, pooler, superuser, production
  75   the database or a lock was not available in time; try again
  130  interrupted (SIGINT), 143 terminated (SIGTERM); the current transaction was rolled back

Examples:
  migrate up --database-url postgres://katas_migrator:secret@localhost/katas
  migrate plan --down --steps 2
  migrate status --check --format json
  migrate import ../old/migrations --from goose --to ../new";

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// Text
    Human,
    /// JSON
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Apply pending migrations
    Up {
        /// Stop at this version
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Also apply pending migrations that are older than applied ones
        #[arg(long)]
        out_of_order: bool,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Revert applied migrations, newest first
    Down {
        /// Revert everything after this version; 0 reverts all migrations
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Number of migrations to revert
        #[arg(long, default_value_t = 1, conflicts_with = "to", value_name = "COUNT")]
        steps: usize,
        /// Allow this in a production database, where it destroys data
        #[arg(long)]
        production: bool,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// List applied and pending migrations
    Status {
        /// Exit with 5 if migrations are pending
        #[arg(long)]
        check: bool,
    },
    /// Print the SQL that `up` or `down` would run, with the locks and table sizes
    ///
    /// Reads in a READ ONLY transaction and changes nothing. The output is SQL, with the locks and
    /// sizes in comments.
    Plan {
        /// Stop at this version
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Plan `down` instead of `up`
        #[arg(long)]
        down: bool,
        /// With --down, the number of migrations to revert
        #[arg(
            long,
            default_value_t = 1,
            requires = "down",
            conflicts_with = "to",
            value_name = "COUNT"
        )]
        steps: usize,
    },
    /// Report unsafe SQL, with the rules of squawk (squawkhq.com/docs/rules); needs no database
    ///
    /// To suppress a finding, name the rule and a reason on the line above:
    /// -- squawk-ignore ban-drop-column -- unused since version 7
    Lint,
    /// Compare schema, privileges and roles with schema.sql
    Verify,
    /// Print schema, privileges and roles as SQL, byte for byte equal for equal schemas
    Dump,
    /// Wait until the schema is at least at the newest version of this build
    Wait {
        /// Version to wait for instead
        #[arg(long, value_name = "VERSION")]
        min_version: Option<i64>,
        /// How long to wait
        #[arg(long, default_value = "300", value_parser = parse_seconds, value_name = "SECONDS")]
        timeout: Duration,
    },
    /// Record migrations as applied without running them, for a database with an existing schema
    Baseline {
        /// Last migration to record [default: the newest]
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Accept edited and missing files of applied migrations: print the SQL, or run it with --yes
    Repair {
        /// Reset this unfinished migration instead
        #[arg(long, value_name = "VERSION")]
        forget: Option<i64>,
        /// Run the SQL
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Purge obsolete rows in short transactions; run this periodically
    Sweep {
        /// Allow running as a superuser
        #[arg(long, env = "MIGRATE_ALLOW_SUPERUSER")]
        allow_superuser: bool,
    },
    /// Create the files of a new migration
    New {
        /// Description in the file name, such as add_prices
        name: String,
        /// Create files that run without a transaction
        #[arg(long)]
        no_transaction: bool,
    },
    /// Convert the migrations of another tool, and write them to a new project folder
    ///
    /// Splits up and down parts into two files, keeps the version numbers, and drops the tool's
    /// markers. Fails without writing anything if a file cannot be converted without loss.
    Import {
        /// Folder with the files of the other tool
        folder: PathBuf,
        /// The other tool
        #[arg(long, default_value = "auto")]
        from: From,
        /// Project folder in which to create `migrations/` [default: print what would be written]
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
    /// Create the roles that own, migrate and use the schema; needs an administrator
    Bootstrap {
        /// Set the password of a role to the first line of a file
        #[arg(long, value_name = "ROLE=FILE", value_parser = parse_pair)]
        password: Vec<(String, String)>,
        /// Set the password of a role to the value of an environment variable
        #[arg(long, value_name = "ROLE=VARIABLE", value_parser = parse_pair)]
        password_env: Vec<(String, String)>,
        /// Override the connection limit of a role in roles.sql
        #[arg(long, value_name = "ROLE=COUNT", value_parser = parse_limit)]
        connection_limit: Vec<(String, u16)>,
        /// Keep the default privileges of PUBLIC on the database
        #[arg(long)]
        shared_database: bool,
        /// Mark the database as development, test, staging, or another lower-case word
        ///
        /// An unmarked database counts as production, which `seed` and `down` refuse. Without this
        /// option, the marker does not change.
        #[arg(long, value_name = "NAME")]
        environment: Option<Environment>,
    },
    /// Load sample data, except into a production database
    ///
    /// Loads only what is missing. Concurrent runs share the work.
    Seed {
        /// Number of rows of each scalable seed [default: the number in its file]
        #[arg(long, value_name = "ROWS")]
        scale: Option<u64>,
        /// Load only the seeds with these names
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        only: Vec<String>,
        /// List the seeds without loading them; needs no database
        #[arg(long, conflicts_with_all = ["scale", "only"])]
        list: bool,
        /// Allow running as a superuser, who then owns the table that records loaded seeds
        #[arg(long, env = "MIGRATE_ALLOW_SUPERUSER")]
        allow_superuser: bool,
    },
}

/// A value of `import --from`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum From {
    /// Recognize the tool by its files
    Auto,
    /// pressly/goose: `-- +goose Up`
    Goose,
    /// amacneil/dbmate: `-- migrate:up`
    Dbmate,
    /// rubenv/sql-migrate: `-- +migrate Up`
    SqlMigrate,
    /// golang-migrate/migrate: 1_name.up.sql
    GolangMigrate,
    /// Flyway: V1__name.sql
    Flyway,
    /// diesel: 1_name/up.sql
    Diesel,
    /// rust-db/refinery: V1__name.sql
    Refinery,
    /// Atlas: 1_name.sql and atlas.sum
    Atlas,
}

impl From {
    /// Returns the tool, or `None` to detect it.
    pub(crate) fn tool(self) -> Option<Tool> {
        Some(match self {
            From::Auto => return None,
            From::Goose => Tool::Goose,
            From::Dbmate => Tool::Dbmate,
            From::SqlMigrate => Tool::SqlMigrate,
            From::GolangMigrate => Tool::GolangMigrate,
            From::Flyway => Tool::Flyway,
            From::Diesel => Tool::Diesel,
            From::Refinery => Tool::Refinery,
            From::Atlas => Tool::Atlas,
        })
    }
}

/// The options of commands that write to the ledger.
#[derive(Args)]
pub(crate) struct WriteOptions {
    /// How long to wait for another runner to finish
    #[arg(long, env = "MIGRATE_LOCK_WAIT", default_value = "300", value_parser = parse_seconds, value_name = "SECONDS")]
    lock_wait: Duration,
    /// How long a statement waits for a table lock before its migration is rolled back
    #[arg(long, env = "MIGRATE_LOCK_TIMEOUT", default_value = "3", value_parser = parse_seconds, value_name = "SECONDS")]
    lock_timeout: Duration,
    /// How long such a migration is retried
    #[arg(long, env = "MIGRATE_RETRY", default_value = "60", value_parser = parse_seconds, value_name = "SECONDS")]
    retry: Duration,
    /// How long a statement may run
    #[arg(long, env = "MIGRATE_STATEMENT_TIMEOUT", default_value = "900", value_parser = parse_seconds, value_name = "SECONDS")]
    statement_timeout: Duration,
    /// Allow running as a superuser
    #[arg(long, env = "MIGRATE_ALLOW_SUPERUSER")]
    allow_superuser: bool,
}

impl WriteOptions {
    pub(crate) fn wait_options(&self) -> WaitOptions {
        WaitOptions { lock: self.lock_wait, retry: self.retry }
    }
}

impl Cli {
    /// Returns the database with all options applied.
    pub(crate) fn database(&self) -> Result<Database, Error> {
        let url = match (&self.database_url, &self.database_url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => first_line("the database URL", file)?,
            (None, None) => {
                let remedy = "pass --database-url or --database-url-file, or set DATABASE_URL";
                return Err(Error::Usage(format!("no database URL; {remedy}")));
            }
        };
        let mut database = Database::new(&url)?.wait(self.wait);
        if let Some(role) = &self.role {
            database = database.role(role);
        }
        if let Some(path) = &self.search_path {
            database = database.search_path(path)?;
        }
        if let Some(write) = self.command.write_options() {
            database = database
                .lock_timeout(write.lock_timeout)
                .statement_timeout(write.statement_timeout)
                .allow_superuser(write.allow_superuser);
        }
        if let Command::Seed { allow_superuser, .. } | Command::Sweep { allow_superuser } =
            self.command
        {
            database = database.allow_superuser(allow_superuser);
        }
        Ok(database)
    }

    /// Returns the project in `--source`, or the embedded one.
    pub(crate) fn project(&self) -> Result<Project, Error> {
        let project = match &self.source {
            Some(folder) => Project::read(folder)?,
            None => Project::built_in(),
        };
        Ok(Project { has_search_path: self.search_path.is_some(), ..project })
    }
}

impl Command {
    /// Returns the name of the subcommand.
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
            Command::Import { .. } => "import",
            Command::Bootstrap { .. } => "bootstrap",
            Command::Seed { .. } => "seed",
        }
    }

    /// Returns whether the command does nothing useful in a project without migrations.
    pub(crate) fn needs_migrations(&self) -> bool {
        !matches!(
            self,
            Command::New { .. }
                | Command::Import { .. }
                | Command::Bootstrap { .. }
                | Command::Seed { .. }
                | Command::Sweep { .. }
                | Command::Dump
        )
    }

    fn write_options(&self) -> Option<&WriteOptions> {
        match self {
            Command::Up { write, .. }
            | Command::Down { write, .. }
            | Command::Baseline { write, .. }
            | Command::Repair { write, .. } => Some(write),
            _ => None,
        }
    }
}

/// Converts `--out-of-order`.
pub(crate) fn out_of_order(apply: bool) -> OutOfOrder {
    if apply { OutOfOrder::Apply } else { OutOfOrder::Refuse }
}

/// Reads the passwords of `--password` and `--password-env`.
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
        _ => Err(Error::Usage(format!("no password for {role}: {variable} is not set"))),
    });
    from_files.chain(from_variables).collect()
}

/// Reads the first line of a file. Tools often write secrets with a trailing newline.
fn first_line(what: &str, file: &std::path::Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::Usage(format!("cannot read {what} from {}: {error}", file.display()))
    })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Error::Usage(format!("{what} in {} is empty", file.display()))),
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (role, source) = text.split_once('=').ok_or("expected ROLE=...")?;
    Ok((role.to_owned(), source.to_owned()))
}

fn parse_limit(text: &str) -> Result<(String, u16), String> {
    let (role, count) = parse_pair(text)?;
    Ok((role, count.parse().map_err(|_| "expected a number of connections".to_owned())?))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    /// Returns the commands in backticks in the documentation.
    fn documented() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = [root.clone(), root.join("docs"), root.join("db/migrations")];
        let files = folders.iter().flat_map(|folder| folder.read_dir().expect("the folder exists"));
        let paths = files.map(|file| file.expect("the entry is readable").path());
        let texts = paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .map(|path| std::fs::read_to_string(path).expect("the file is text"));
        let code = |text: String| {
            let spans = text.split('`').skip(1).step_by(2).map(str::to_owned);
            spans.filter(|span| span.starts_with("migrate ")).collect::<Vec<_>>()
        };
        texts.flat_map(code).collect()
    }

    #[test]
    fn documented_commands_can_be_parsed() {
        let commands = documented();
        assert!(commands.len() > 10, "{commands:?}");
        for command in commands {
            match Cli::try_parse_from(command.split_whitespace()) {
                Ok(_) => {}
                // The documentation may name a command without its arguments.
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
    fn manual_lists_every_exit_code() {
        for code in ["0", "1", "2", "3", "4", "5", "6", "7", "9", "75", "130"] {
            let line = |line: &str| line.split_whitespace().next() == Some(code);
            assert!(MANUAL.lines().any(line), "{code}");
        }
    }
}
