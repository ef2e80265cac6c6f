//! The database to migrate, and how to connect to it.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use crate::backoff::Backoff;
use crate::{Error, Report};

/// One attempt to connect: a server that is there answers well within it.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A database, as whom, and how patiently.
#[derive(Clone, Debug)]
pub struct Database {
    options: PgConnectOptions,
    wait: Duration,
}

impl Database {
    /// The database of a `postgres://` URL, which has to answer at once.
    pub fn new(url: &str) -> Result<Database, Error> {
        // Whatever is wrong with it, the password must not be quoted.
        let invalid = |reason: &str| {
            let form = "postgres://user:password@host:port/database";
            Error::Usage(format!("the database URL is not valid: {reason} (expected {form})"))
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(invalid("it is of another kind"));
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| match error {
            sqlx::Error::Configuration(reason) => invalid(&reason.to_string()),
            _ => invalid("it cannot be read"),
        })?;
        let options = options
            .application_name(concat!("migrate/", env!("CARGO_PKG_VERSION")))
            // One connection, each statement once: nothing to cache, nothing for a pooler to mix up.
            .statement_cache_capacity(0)
            .disable_statement_logging()
            .options([
                // Names in migrations are qualified; one that is not must not land anywhere.
                ("search_path", ""),
                ("TimeZone", "UTC"),
                // Behind a DDL statement that waits for its lock, everybody else waits too.
                ("lock_timeout", "3s"),
                ("statement_timeout", "15min"),
                ("idle_in_transaction_session_timeout", "60s"),
                // Without it, a Job that is killed leaves its lock to a server process that notices
                // only when its statement ends.
                ("client_connection_check_interval", "2s"),
            ]);
        Ok(Database { options, wait: Duration::ZERO })
    }

    /// Waits up to this long for the database to accept a connection.
    pub fn wait(self, wait: Duration) -> Database {
        Database { wait, ..self }
    }

    /// Acts as this role once connected.
    pub fn role(self, role: &str) -> Database {
        Database { options: self.options.options([("role", role)]), ..self }
    }

    /// Where it is, without who asks: fit for people and logs.
    pub fn address(&self) -> String {
        let name = self.options.get_database().unwrap_or(self.options.get_username());
        format!("{}:{}/{name}", self.options.get_host(), self.options.get_port())
    }

    /// Connects, patiently when what stands in the way may pass.
    pub(crate) async fn connect(&self, report: Report<'_>) -> Result<PgConnection, Error> {
        let mut backoff =
            Backoff::new(Duration::from_millis(100), Duration::from_secs(2), self.wait);
        let mut told = String::new();
        loop {
            let error = match tokio::time::timeout(ATTEMPT, self.options.connect()).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => Error::from(error),
                Err(_) => Error::Unavailable(format!("no answer within {} s", ATTEMPT.as_secs())),
            };
            let reason = format!("{}: {error}", self.address());
            if !error.is_temporary() {
                return Err(match error {
                    Error::Refused(_) => Error::Refused(reason),
                    _ => Error::Unexpected(reason),
                });
            }
            if told != reason && !self.wait.is_zero() {
                report(&format!("waiting for the database: {reason}"));
                told.clone_from(&reason);
            }
            if !backoff.pause().await {
                return Err(Error::Unavailable(reason));
            }
        }
    }
}
