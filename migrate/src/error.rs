//! What can go wrong, by what its caller can do about it: each kind has an exit code of its own.

use std::{fmt, io};

use serde::Serialize;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::statements::Statement;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing that this build foresees.
    #[error("{0}")]
    Unexpected(String),
    /// The command line, or a value or file that it names, is not right.
    #[error("{0}")]
    Usage(String),
    /// The ledger and the migrations contradict each other: nothing was done.
    #[error("{0}")]
    Integrity(String),
    /// A statement of a file failed.
    #[error("{0}")]
    Sql(Box<SqlFailure>),
    /// There are migrations to apply.
    #[error("{0} migrations are pending: run `migrate up`")]
    Pending(usize),
    /// The schema is not what the migrations make.
    #[error("{0}")]
    Drift(String),
    /// A migration is unsafe.
    #[error("{0}")]
    Lint(String),
    /// PostgreSQL does not know this user, its password, or the database, or does not permit it; or
    /// this is a place where it would do harm.
    #[error("{0}")]
    Refused(String),
    /// The database, or a lock, could not be had in time: trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// A statement that PostgreSQL did not carry out.
#[derive(Debug, Serialize)]
pub struct SqlFailure {
    /// The file that it stands in.
    pub file: String,
    /// The line in that file, from 1: that of the mistake when PostgreSQL tells, or else the
    /// statement's first.
    pub line: usize,
    /// The statement's beginning.
    pub statement: String,
    /// PostgreSQL's message.
    pub message: String,
    /// Its SQLSTATE.
    pub code: String,
    /// PostgreSQL's detail.
    pub detail: Option<String>,
    /// What may help.
    pub hint: Option<String>,
    /// What remains, and what to do next.
    pub next: String,
}

impl fmt::Display for SqlFailure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SqlFailure { file, line, message, code, statement, .. } = self;
        write!(to, "{file}:{line}: {message} ({code})\n  in: {statement}")?;
        if let Some(detail) = &self.detail {
            write!(to, "\n  detail: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(to, "\n  hint: {hint}")?;
        }
        write!(to, "\n  next: {}", self.next)
    }
}

impl Error {
    /// The exit code. Stable: a Job's failure policy decides by it. 2 is a mistake in the command
    /// line, 75 is `EX_TEMPFAIL` of sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unexpected(_) => 1,
            Error::Usage(_) => 2,
            Error::Integrity(_) => 3,
            Error::Sql(_) => 4,
            Error::Pending(_) => 5,
            Error::Drift(_) => 6,
            Error::Lint(_) => 7,
            Error::Refused(_) => 9,
            Error::Unavailable(_) => 75,
        }
    }

    /// The kind in one word, for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Unexpected(_) => "unexpected",
            Error::Usage(_) => "usage",
            Error::Integrity(_) => "integrity",
            Error::Sql(_) => "sql",
            Error::Pending(_) => "pending",
            Error::Drift(_) => "drift",
            Error::Lint(_) => "lint",
            Error::Refused(_) => "refused",
            Error::Unavailable(_) => "unavailable",
        }
    }

    /// Whether it may pass by itself.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }

    /// `statement` of a file failed; `next` says what remains and what to do.
    pub(crate) fn of_statement(
        file: &str,
        statement: &Statement<'_>,
        error: sqlx::Error,
        next: String,
    ) -> Error {
        let refusal = match postgres_error(&error) {
            Some(refusal) if !is_of_the_connection(refusal.code()) => refusal,
            // The connection went, not the statement wrong.
            _ => {
                let line = statement.line;
                let place = format!("{file}:{line}");
                return match Error::from(error) {
                    Error::Unavailable(text) => Error::Unavailable(format!("{place}: {text}")),
                    Error::Unexpected(text) => Error::Unexpected(format!("{place}: {text}")),
                    error => error,
                };
            }
        };
        let failure = SqlFailure {
            file: file.to_owned(),
            line: statement.line + lines_before(statement.text, refusal.position()),
            statement: beginning(statement.text),
            message: refusal.message().to_owned(),
            code: refusal.code().to_owned(),
            detail: refusal.detail().map(str::to_owned),
            hint: hint(refusal),
            next,
        };
        match failure.code.as_str() {
            // No permission.
            "42501" => Error::Refused(failure.to_string()),
            // Nothing is wrong with the file.
            code if in_the_way(code).is_some() => {
                Error::Unavailable(format!("{file}:{}: {}", failure.line, failure.message))
            }
            _ => Error::Sql(Box::new(failure)),
        }
    }
}

fn lines_before(text: &str, position: Option<PgErrorPosition<'_>>) -> usize {
    match position {
        Some(PgErrorPosition::Original(position)) => {
            let before = text.chars().take(position.saturating_sub(1));
            before.filter(|&character| character == '\n').count()
        }
        _ => 0,
    }
}

/// Enough of a statement to recognise it, in one line.
fn beginning(text: &str) -> String {
    const ENOUGH: usize = 120;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{} ...", &words[..end]),
        None => words,
    }
}

fn hint(refusal: &PgDatabaseError) -> Option<String> {
    let ours = match refusal.code() {
        "42704" if refusal.message().starts_with("role ") => {
            "the roles are made once, by an administrator: run `migrate bootstrap`"
        }
        "57014" if refusal.message().contains("statement timeout") => {
            "give it more time with --statement-timeout, or do it in smaller pieces"
        }
        _ => return refusal.hint().map(str::to_owned),
    };
    Some(ours.to_owned())
}

/// What PostgreSQL itself said, if it was it that said no.
pub(crate) fn postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// The SQLSTATE, if PostgreSQL gave one.
pub(crate) fn code(error: &sqlx::Error) -> Option<&str> {
    postgres_error(error).map(PgDatabaseError::code)
}

/// Connection lost, too many of them, shutting down, starting up.
fn is_of_the_connection(code: &str) -> bool {
    // 57014 is a statement that was cancelled.
    code == "53300" || ["08", "57P"].iter().any(|class| code.starts_with(class))
}

/// The connection, out of resources, or others that were in the way.
fn is_temporary(code: &str) -> bool {
    is_of_the_connection(code) || code.starts_with("53") || in_the_way(code).is_some()
}

/// In which way others were in the way, if that was it: lock not available, deadlock, serialisation
/// failure.
pub(crate) fn in_the_way(code: &str) -> Option<&'static str> {
    match code {
        "55P03" => Some("a lock was not to be had in time"),
        "40P01" => Some("it and another session waited for each other"),
        "40001" => Some("it and another transaction changed the same"),
        _ => None,
    }
}

fn is_loss(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        if let Some(refusal) = postgres_error(&error) {
            let text = format!("{} ({})", refusal.message(), refusal.code());
            return match refusal.code() {
                // PgBouncer's answer to settings that it does not pass on.
                "08P01" if refusal.message().contains("unsupported startup parameter") => {
                    Error::Refused(format!("{POOLER} (it said: {text})"))
                }
                // A statement that was prepared is not there: another session has answered.
                "26000" => Error::Refused(format!("{POOLER} (it said: {text})")),
                // Wrong user or password, no such database, no permission.
                "28P01" | "28000" | "3D000" | "42501" => Error::Refused(text),
                code if is_temporary(code) => Error::Unavailable(text),
                _ => Error::Unexpected(text),
            };
        }
        match error {
            sqlx::Error::Io(error) if is_loss(error.kind()) => Error::Unavailable(format!(
                "the connection to PostgreSQL was lost ({error}): it rolls back what was under way; \
                 run the same again"
            )),
            // Refused, timed out, a name that does not resolve (yet).
            sqlx::Error::Io(error) => Error::Unavailable(error.to_string()),
            sqlx::Error::Tls(error) => Error::Refused(format!("TLS: {error}")),
            error => Error::Unexpected(error.to_string()),
        }
    }
}

/// Why a pooler will not do.
pub(crate) const POOLER: &str = "this is a connection pooler, not PostgreSQL: the lock that keeps \
    runners apart, and the limits on how long others wait, belong to one session, and a pooler \
    hands sessions on; give the address of PostgreSQL itself";
