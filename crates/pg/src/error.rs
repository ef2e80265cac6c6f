//! Database errors, classified by whether a retry may succeed.
//!
//! The host reports an error of `query` with its SQLSTATE when PostgreSQL rejects the statement
//! during planning, and as text when the statement fails during execution. Only this module parses
//! that text. Stores must not depend on it: they return expected conflicts as data, as in
//! `ON CONFLICT DO NOTHING`.

use std::fmt;

use spin_sdk::pg4::{PgError, QueryError};
use web::Problem;

/// The reason why a statement failed. The text may quote data, so it is logged but never sent to a
/// client.
#[derive(Debug, PartialEq)]
pub enum Error {
    /// The database is unreachable or overloaded. A retry may succeed.
    Unavailable(String),
    /// A table, column, function or schema does not exist: migrations are pending.
    NotMigrated(String),
    /// The statement, a type or the configuration is wrong.
    Other(String),
}

impl Error {
    /// Returns whether a retry of the request may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::NotMigrated(_))
    }

    /// Classifies an SQLSTATE (PostgreSQL documentation, appendix A).
    fn from_code(code: &str, cause: String) -> Error {
        match code {
            // Undefined table, column, function, schema.
            "42P01" | "42703" | "42883" | "3F000" => Error::NotMigrated(cause),
            // Query canceled, lock not available, deadlock detected, serialization failure,
            // read-only transaction (on a standby).
            "57014" | "55P03" | "40P01" | "40001" | "25006" => Error::Unavailable(cause),
            // Connection exception, insufficient resources, shutting down or starting up.
            _ if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => {
                Error::Unavailable(cause)
            }
            _ => Error::Other(cause),
        }
    }

    /// Classifies an English message (`lc_messages = C`).
    fn from_text(cause: String) -> Error {
        // Spin 4.0 reports its debug representation: `… code: "57014", …`.
        let code = cause.split_once("code: \"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(code) = code.map(str::to_owned) {
            return Error::from_code(&code, cause);
        }
        const TEMPORARY: &[&str] = &[
            "canceling statement due to",
            "deadlock detected",
            "could not serialize access",
            "terminating connection",
            "too many connections",
            "the database system is",
            "connection closed",
            "error communicating with the server",
            // The same two errors if the statement cannot be sent.
            "kind: Closed",
            "kind: Io",
        ];
        if TEMPORARY.iter().any(|fragment| cause.contains(fragment)) {
            Error::Unavailable(cause)
        } else {
            Error::Other(cause)
        }
    }
}

impl From<PgError> for Error {
    fn from(error: PgError) -> Error {
        match error {
            PgError::ConnectionFailed(text) => Error::Unavailable(without_backtrace(text)),
            PgError::QueryFailed(QueryError::Text(text)) => {
                Error::from_text(without_backtrace(text))
            }
            PgError::QueryFailed(QueryError::DbError(error)) => {
                Error::from_code(&error.code, format!("{} {}", error.code, error.message))
            }
            PgError::BadParameter(text)
            | PgError::ValueConversionFailed(text)
            | PgError::Other(text) => Error::Other(without_backtrace(text)),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::Other(error.to_string())
    }
}

/// Removes the backtrace that the host appends when `RUST_BACKTRACE` is set.
fn without_backtrace(mut text: String) -> String {
    if let Some(end) = text.find("\n\nStack backtrace:") {
        text.truncate(end);
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unavailable(cause) => write!(f, "database unavailable: {cause}"),
            Error::NotMigrated(cause) => write!(f, "database not migrated: {cause}"),
            Error::Other(cause) => write!(f, "database error: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

/// Returns 503 when a retry may succeed, otherwise 500.
impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error.is_temporary() {
            true => Problem::unavailable("database unavailable; try again later", error),
            false => Problem::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query_error(text: &str) -> Error {
        PgError::QueryFailed(QueryError::Text(text.to_owned())).into()
    }

    #[test]
    fn constraint_violation_is_not_temporary() {
        for message in [
            "db error: ERROR: duplicate key value violates unique constraint \"entry_word_key\"\n\
             DETAIL: Key (word)=(a) already exists.",
            "QueryFailed(DbError(DbError { as_text: \"…\", severity: \"ERROR\", code: \"23505\", … }))",
        ] {
            assert_eq!(query_error(message), Error::Other(message.to_owned()));
        }
    }

    #[test]
    fn transient_failure_is_temporary() {
        for message in [
            "db error: ERROR: canceling statement due to statement timeout",
            "db error: ERROR: canceling statement due to lock timeout",
            "db error: FATAL: terminating connection due to administrator command",
            "db error: FATAL: too many connections for role \"katas_app\"",
            "connection closed",
            "Error { kind: Closed, cause: None }",
            "… code: \"57014\" …",
        ] {
            assert!(query_error(message).is_temporary(), "{message}");
        }
        assert!(Error::from(PgError::ConnectionFailed("refused".into())).is_temporary());
        assert!(!query_error("db error: ERROR: division by zero").is_temporary());
    }

    #[test]
    fn host_backtrace_is_removed() {
        assert_eq!(
            query_error("broken\n\nStack backtrace:\n 0: main"),
            Error::Other("broken".into())
        );
    }
}
