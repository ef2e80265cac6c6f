//! What can go wrong, by what its caller can do about it: each kind has an exit code of its own.

use sqlx::migrate::Migration;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::name;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing that this build foresees.
    #[error("{0}")]
    Unexpected(String),
    /// The command line, or a value it names, is not right.
    #[error("{0}")]
    Usage(String),
    /// The ledger and the migrations contradict each other: nothing was done.
    #[error("{0}")]
    Integrity(String),
    /// A statement of a migration or of a seed failed, and its transaction was rolled back.
    #[error("{migration}.sql{}: {message} ({code}){}", at(*line), hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default())]
    Sql {
        /// The name of the file, without its ending.
        migration: String,
        /// The line in its file, from 1, when PostgreSQL tells.
        line: Option<usize>,
        /// PostgreSQL's message.
        message: String,
        /// Its SQLSTATE.
        code: String,
        /// What to do.
        hint: Option<String>,
    },
    /// There are migrations to apply.
    #[error("{0} migrations are pending: run `migrate up`")]
    Pending(usize),
    /// PostgreSQL does not know this user, its password, or the database, or does not permit it.
    #[error("{0}")]
    Refused(String),
    /// The database, or the lock, could not be had in time: trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

impl Error {
    /// The exit code. Stable: a Job's failure policy decides by it. 2 is a mistake in the command
    /// line, 75 is `EX_TEMPFAIL` of sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unexpected(_) => 1,
            Error::Usage(_) => 2,
            Error::Integrity(_) => 3,
            Error::Sql { .. } => 4,
            Error::Pending(_) => 5,
            Error::Refused(_) => 9,
            Error::Unavailable(_) => 75,
        }
    }

    /// Whether it may pass by itself.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }

    /// A statement of `migration` failed.
    pub(crate) fn of_migration(migration: &Migration, error: sqlx::Error) -> Error {
        let name = name(migration.version, &migration.description);
        Error::of_file(&name, migration.sql.as_str(), error)
    }

    /// A statement failed in the file of this name, which has this text.
    pub(crate) fn of_file(name: &str, sql: &str, error: sqlx::Error) -> Error {
        let Some(refusal) = postgres_error(&error) else { return error.into() };
        let line = match refusal.position() {
            Some(PgErrorPosition::Original(position)) => {
                let before = sql.chars().take(position.saturating_sub(1));
                Some(1 + before.filter(|&character| character == '\n').count())
            }
            _ => None,
        };
        let hint = match refusal.code() {
            "42704" if refusal.message().starts_with("role ") => {
                Some("the roles are made once, by an administrator: run `migrate bootstrap`".into())
            }
            _ => refusal.hint().or(refusal.detail()).map(str::to_owned),
        };
        Error::Sql {
            migration: name.to_owned(),
            line,
            message: refusal.message().to_owned(),
            code: refusal.code().to_owned(),
            hint,
        }
    }
}

/// What PostgreSQL itself said, if it was it that said no.
pub(crate) fn postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        if let Some(refusal) = postgres_error(&error) {
            let text = format!("{} ({})", refusal.message(), refusal.code());
            return match refusal.code() {
                // Wrong user or password, no such database, no permission.
                "28P01" | "28000" | "3D000" | "42501" => Error::Refused(text),
                // Connection lost, out of resources, shutting down, starting up.
                code if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => {
                    Error::Unavailable(text)
                }
                _ => Error::Unexpected(text),
            };
        }
        match error {
            // Refused, reset, timed out, a name that does not resolve (yet).
            sqlx::Error::Io(error) => Error::Unavailable(error.to_string()),
            sqlx::Error::Tls(error) => Error::Refused(format!("TLS: {error}")),
            error => Error::Unexpected(error.to_string()),
        }
    }
}
