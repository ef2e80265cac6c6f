//! What can go wrong with a statement, sorted by what the caller can do about it.
//!
//! The host reports a failed `query` in two ways: with the SQLSTATE when PostgreSQL refuses to plan
//! it, and as a mere text when it fails while it runs. The text is read here, and nowhere else, and
//! only for what has no better way. Code should not need it: expected conflicts are data
//! (`ON CONFLICT DO NOTHING RETURNING …`).

use std::fmt;

use spin_sdk::pg4::{PgError, QueryError};

/// Why a statement failed. Its text is for the log, never for a client: it may quote data.
#[derive(Debug, PartialEq)]
pub enum Error {
    /// The database cannot be reached, or has too much to do: later it may work.
    Unavailable(String),
    /// The statement speaks of tables, columns or functions that are not there (yet).
    NotMigrated(String),
    /// A constraint, by its name in the migration, does not allow it.
    Constraint {
        /// The constraint's name.
        name: String,
        /// The whole message.
        cause: String,
    },
    /// A mistake in the statement, the types or the configuration: ours.
    Other(String),
}

impl Error {
    /// Whether the same request may work later, without anybody changing the code.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::NotMigrated(_))
    }

    /// By SQLSTATE (PostgreSQL documentation, appendix A).
    fn by_code(code: &str, constraint: Option<&str>, cause: String) -> Error {
        match (code, constraint) {
            (_, Some(name)) if code.starts_with("23") => {
                Error::Constraint { name: name.to_owned(), cause }
            }
            // Undefined table, column, function, schema.
            ("42P01" | "42703" | "42883" | "3F000", _) => Error::NotMigrated(cause),
            // Timed out or cancelled, locked, deadlock, serialisation, a standby.
            ("57014" | "55P03" | "40P01" | "40001" | "25006", _) => Error::Unavailable(cause),
            // Connection lost, out of resources, shutting down or starting up.
            _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
                Error::Unavailable(cause)
            }
            _ => Error::Other(cause),
        }
    }

    /// By the words of an English message (`lc_messages = C`).
    fn by_text(cause: String) -> Error {
        // Spin 4.0 quotes its own structure: `… code: "23505", …`.
        if let Some(code) = after(&cause, "code: \"", '"') {
            let code = code.to_owned();
            let constraint = after(&cause, "(\"constraint\", \"", '"').map(str::to_owned);
            return Error::by_code(&code, constraint.as_deref(), cause);
        }
        if let Some(name) = after(&cause, " constraint \"", '"') {
            return Error::Constraint { name: name.to_owned(), cause };
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
            // The same two, when a statement cannot even be sent.
            "kind: Closed",
            "kind: Io",
        ];
        if TEMPORARY.iter().any(|words| position(&cause, words).is_some()) {
            Error::Unavailable(cause)
        } else {
            Error::Other(cause)
        }
    }
}

/// Where `words` begin in `text`. The standard library's search is faster and 2 KB larger.
fn position(text: &str, words: &str) -> Option<usize> {
    text.as_bytes().windows(words.len()).position(|window| window == words.as_bytes())
}

/// The text between `before` and the next `end`.
fn after<'a>(text: &'a str, before: &str, end: char) -> Option<&'a str> {
    let start = position(text, before)? + before.len();
    text.get(start..)?.split(end).next()
}

impl From<PgError> for Error {
    fn from(error: PgError) -> Error {
        match error {
            PgError::ConnectionFailed(text) => Error::Unavailable(without_backtrace(text)),
            PgError::QueryFailed(QueryError::Text(text)) => Error::by_text(without_backtrace(text)),
            PgError::QueryFailed(QueryError::DbError(error)) => {
                let constraint = error.extras.iter().find(|(name, _)| name == "constraint");
                let cause = format!("{} {}", error.code, error.message);
                Error::by_code(&error.code, constraint.map(|(_, name)| name.as_str()), cause)
            }
            PgError::BadParameter(text)
            | PgError::ValueConversionFailed(text)
            | PgError::Other(text) => Error::Other(without_backtrace(text)),
        }
    }
}

/// The host adds its own stack when RUST_BACKTRACE is set; it says nothing about the failure.
fn without_backtrace(mut text: String) -> String {
    if let Some(end) = position(&text, "\n\nStack backtrace:") {
        text.truncate(end);
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unavailable(cause) => write!(f, "database unavailable: {cause}"),
            Error::NotMigrated(cause) => write!(f, "database not migrated: {cause}"),
            Error::Constraint { cause, .. } | Error::Other(cause) => write!(f, "database: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Error {
        PgError::QueryFailed(QueryError::Text(text.to_owned())).into()
    }

    #[test]
    fn a_violated_constraint_is_named_however_it_is_told() {
        let spin_3 = "db error: ERROR: duplicate key value violates unique constraint \
                      \"entry_word_key\"\nDETAIL: Key (word)=(a) already exists.";
        let spin_4 = "QueryFailed(DbError(DbError { as_text: \"…\", severity: \"ERROR\", \
                      code: \"23505\", message: \"…\", detail: None, \
                      extras: [(\"constraint\", \"entry_word_key\")] }))";
        for told in [spin_3, spin_4] {
            let Error::Constraint { name, .. } = text(told) else { panic!("{told}") };
            assert_eq!(name, "entry_word_key");
        }
    }

    #[test]
    fn what_may_pass_is_temporary() {
        for told in [
            "db error: ERROR: canceling statement due to statement timeout",
            "db error: ERROR: canceling statement due to lock timeout",
            "db error: FATAL: terminating connection due to administrator command",
            "db error: FATAL: too many connections for role \"katas_app\"",
            "connection closed",
            "Error { kind: Closed, cause: None }",
            "… code: \"57014\" …",
        ] {
            assert!(text(told).is_temporary(), "{told}");
        }
        assert!(Error::from(PgError::ConnectionFailed("refused".into())).is_temporary());
        assert!(!text("db error: ERROR: division by zero").is_temporary());
    }

    #[test]
    fn the_hosts_stack_is_not_logged() {
        assert_eq!(text("broken\n\nStack backtrace:\n 0: main"), Error::Other("broken".into()));
    }
}
