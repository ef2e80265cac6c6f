//! Errors, classified by what the caller can do about them. Each kind has an exit code.

use std::{fmt, io};

use serde::Serialize;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use squawk_lexer::{TokenKind, tokenize};

use crate::sql::Statement;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An unexpected failure.
    #[error("{0}")]
    Unexpected(String),
    /// The command line is invalid, or it names an invalid value or file.
    #[error("{0}")]
    Usage(String),
    /// The ledger and the migrations contradict each other, or the runner rejects a file. That file
    /// was not applied.
    #[error("{0}")]
    Integrity(String),
    /// A statement of a file failed with an error from PostgreSQL.
    #[error("{0}")]
    Sql(Box<SqlFailure>),
    /// Migrations are pending.
    #[error("pending migrations: {0}; run `migrate up`")]
    Pending(usize),
    /// The schema differs from the one that the migrations create.
    #[error("{0}")]
    Drift(String),
    /// `lint` has findings.
    #[error("{0}")]
    Lint(String),
    /// PostgreSQL rejected the login or denied a privilege, or running here would be harmful: as a
    /// superuser, in production, through a pooler.
    #[error("{0}")]
    Refused(String),
    /// The database or a lock was not available in time. Trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// A statement that failed, and why.
#[derive(Debug, Serialize)]
pub struct SqlFailure {
    /// The file that contains the statement.
    pub file: String,
    /// The 1-based line in that file: the position that PostgreSQL reports, or else the first line
    /// of the statement.
    pub line: usize,
    /// The beginning of the statement.
    pub statement: String,
    /// PostgreSQL's message.
    pub message: String,
    /// The SQLSTATE.
    pub code: String,
    /// PostgreSQL's detail.
    pub detail: Option<String>,
    /// How to fix it: PostgreSQL's hint or a more specific one.
    pub hint: Option<String>,
    /// What has been rolled back or kept, and what to do next.
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
    /// Returns the exit code. Exit codes are stable, because the `podFailurePolicy` of a Job relies
    /// on them. 2 is clap's code for a usage error, and 75 is `EX_TEMPFAIL` of sysexits.h.
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

    /// Returns the kind as one word for the JSON log.
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

    /// Returns whether trying again later may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }

    /// Creates the error for a failed `statement` of a file. `next` is [`SqlFailure::next`].
    pub fn statement_failed(
        file: &str,
        statement: &Statement<'_>,
        error: sqlx::Error,
        next: String,
    ) -> Error {
        let cause = match postgres_error(&error) {
            Some(cause) if !is_connection_failure(cause.code()) => cause,
            // The connection failed rather than the statement.
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
        let secrets = secrets(statement.text);
        let redacted = |text: &str| redact(text, &secrets);
        let failure = SqlFailure {
            file: file.to_owned(),
            line: statement.line + newlines_before(statement.text, cause.position()),
            statement: excerpt(&redacted(statement.text)),
            message: redacted(cause.message()),
            code: cause.code().to_owned(),
            detail: cause.detail().map(redacted),
            hint: hint(cause).as_deref().map(redacted),
            next,
        };
        match failure.code.as_str() {
            // insufficient_privilege
            "42501" => Error::Refused(failure.to_string()),
            // The file is not at fault.
            code if contention(code).is_some() => {
                Error::Unavailable(format!("{file}:{}: {}", failure.line, failure.message))
            }
            _ => Error::Sql(Box::new(failure)),
        }
    }
}

fn newlines_before(text: &str, position: Option<PgErrorPosition<'_>>) -> usize {
    match position {
        Some(PgErrorPosition::Original(position)) => {
            let before = text.chars().take(position.saturating_sub(1));
            before.filter(|&character| character == '\n').count()
        }
        _ => 0,
    }
}

/// Returns the literals of a statement that may contain a secret: one that mentions a password,
/// secret, token, credential or connection string. The longest come first.
fn secrets(statement: &str) -> Vec<&str> {
    let lower = statement.to_lowercase();
    let words = ["passw", "secret", "token", "connection", "credential"];
    if !words.iter().any(|word| lower.contains(word)) {
        return Vec::new();
    }
    let mut secrets = Vec::new();
    collect_literals(statement, &mut secrets);
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// Collects the contents of the string literals, including those inside of `$$` quotes.
fn collect_literals<'a>(sql: &'a str, literals: &mut Vec<&'a str>) {
    let mut start = 0;
    for token in tokenize(sql) {
        let text = &sql[start..start + token.len as usize];
        start += text.len();
        if !matches!(token.kind, TokenKind::Literal { .. }) {
            continue;
        }
        let content = match text.strip_prefix('$') {
            Some(rest) => {
                let tag = 1 + rest.find('$').map_or(0, |end| end + 1);
                let content = &text[tag.min(text.len())..];
                collect_literals(content, literals);
                content.strip_suffix(&text[..tag.min(text.len())]).unwrap_or(content)
            }
            None => text.split_once('\'').map_or("", |(_, content)| content.trim_end_matches('\'')),
        };
        literals.extend(Some(content).filter(|content| !content.trim().is_empty()));
    }
}

fn redact(text: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "..."))
}

/// Returns the beginning of a statement on one line.
fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{} ...", &words[..end]),
        None => words,
    }
}

fn hint(cause: &PgDatabaseError) -> Option<String> {
    let hint = match cause.code() {
        "42704" if cause.message().starts_with("role ") => {
            "run `migrate bootstrap` as an administrator to create the roles"
        }
        "57014" if cause.message().contains("statement timeout") => {
            "raise --statement-timeout, or split the statement into smaller batches"
        }
        code if is_name_lookup(code, cause.message()) => {
            "a name without a schema is looked up in --search-path, which is empty by default; \
             qualify the name, or pass for example --search-path public"
        }
        _ => return cause.hint().map(str::to_owned),
    };
    Some(hint.to_owned())
}

/// Returns whether an error may be caused by the search path: no schema to create an object in, or
/// an object that does not exist and was named without its schema.
fn is_name_lookup(code: &str, message: &str) -> bool {
    let name = message.strip_suffix(" does not exist").map(|rest| {
        let rest = rest.trim_start_matches("relation ").trim_start_matches("type ");
        rest.split('(').next().unwrap_or(rest)
    });
    match code {
        // invalid_schema_name
        "3F000" => message.starts_with("no schema has been selected"),
        // undefined_table, undefined_function, undefined_object
        "42P01" | "42883" => name.is_some_and(|name| !name.contains('.')),
        "42704" => message.starts_with("type ") && name.is_some_and(|name| !name.contains('.')),
        _ => false,
    }
}

/// Returns the error as PostgreSQL sent it, if it came from PostgreSQL.
pub(crate) fn postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Returns the SQLSTATE, if the error came from PostgreSQL.
pub(crate) fn code(error: &sqlx::Error) -> Option<&str> {
    postgres_error(error).map(PgDatabaseError::code)
}

/// Returns whether a SQLSTATE means that the connection was lost or not accepted: connection
/// exceptions, too many connections, a server that starts up or shuts down.
fn is_connection_failure(code: &str) -> bool {
    // Not all of class 08: 08P01 is a protocol violation, which a retry does not fix. Not all of
    // class 57: 57014 is a canceled statement.
    let is_in = |class: &&str| code.starts_with(class);
    code == "53300" || code != "08P01" && ["08", "57P"].iter().any(is_in)
}

/// Returns whether a SQLSTATE means a connection failure, insufficient resources, or contention.
fn is_temporary(code: &str) -> bool {
    is_connection_failure(code) || code.starts_with("53") || contention(code).is_some()
}

/// Describes the SQLSTATEs that are caused by concurrent transactions: `lock_not_available`,
/// `deadlock_detected` and `serialization_failure`.
pub(crate) fn contention(code: &str) -> Option<&'static str> {
    match code {
        "55P03" => Some("lock timeout"),
        "40P01" => Some("deadlock with another session"),
        "40001" => Some("serialization failure: a concurrent transaction changed the same rows"),
        _ => None,
    }
}

fn is_connection_loss(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn unreachable_server(error: &io::Error) -> String {
    match error.kind() {
        // NotFound: no socket file.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            format!("{error}; is the server running?")
        }
        // The kind of a failed lookup is private to the standard library.
        _ if error.to_string().starts_with("failed to lookup address") => {
            format!("{error}; check the host of the database URL")
        }
        _ => error.to_string(),
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        if let Some(cause) = postgres_error(&error) {
            let text = format!("{} ({})", cause.message(), cause.code());
            return match cause.code() {
                // PgBouncer's response to settings that it does not forward.
                "08P01" if cause.message().contains("unsupported startup parameter") => {
                    Error::Refused(format!("{POOLER_NOT_SUPPORTED} (server error: {text})"))
                }
                // A prepared statement does not exist, because a pooler has switched sessions.
                "26000" => Error::Refused(format!("{POOLER_NOT_SUPPORTED} (server error: {text})")),
                "28P01" => Error::Refused(format!(
                    "{text}; check the user and the password of the database URL"
                )),
                // The role does not exist or may not log in, or pg_hba.conf rejects it.
                "28000" => Error::Refused(format!(
                    "{text}; check the user of the database URL, and pg_hba.conf on the server"
                )),
                "3D000" => Error::Refused(format!(
                    "{text}; create the database, or correct its name in the database URL"
                )),
                // An invalid value of the setting `role`.
                "22023" if cause.message().starts_with("role ") => {
                    Error::Refused(format!("{text}; check --role"))
                }
                "42501" => Error::Refused(format!(
                    "{text}; connect as the migration role (`migrate bootstrap` creates it) or \
                     another role with this privilege"
                )),
                code if is_temporary(code) => Error::Unavailable(text),
                _ => Error::Unexpected(text),
            };
        }
        match error {
            sqlx::Error::Io(error) if is_connection_loss(error.kind()) => {
                Error::Unavailable(format!(
                    "the connection to PostgreSQL was lost: {error}; the current transaction is \
                 rolled back; run the same command again"
                ))
            }
            // Connection refused, timed out, or the name does not resolve yet.
            sqlx::Error::Io(error) => Error::Unavailable(unreachable_server(&error)),
            sqlx::Error::Tls(error) => Error::Refused(format!(
                "TLS: {error}; for a private certificate authority, add sslrootcert=FILE to the \
                 database URL; for a trusted network without TLS, add sslmode=disable"
            )),
            error => Error::Unexpected(error.to_string()),
        }
    }
}

/// The message for a connection through a pooler.
pub(crate) const POOLER_NOT_SUPPORTED: &str = "connected to a connection pooler: the advisory lock \
    and the timeouts belong to one server session, which a pooler shares between clients; connect \
    to PostgreSQL directly";

/// Why an attempt to run a file or a statement failed.
pub(crate) enum AttemptError {
    /// Concurrent transactions interfered. The attempt was rolled back, and may succeed later.
    Contended { reason: String, blockers: Vec<String> },
    /// Trying again does not help.
    Fatal(Error),
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> AttemptError {
        AttemptError::Fatal(error)
    }
}

impl From<sqlx::Error> for AttemptError {
    fn from(error: sqlx::Error) -> AttemptError {
        match code(&error).and_then(contention) {
            Some(reason) => {
                AttemptError::Contended { reason: reason.to_owned(), blockers: Vec::new() }
            }
            None => AttemptError::Fatal(error.into()),
        }
    }
}

impl From<AttemptError> for Error {
    fn from(error: AttemptError) -> Error {
        match error {
            AttemptError::Contended { reason, .. } => Error::Unavailable(reason),
            AttemptError::Fatal(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_redacted_if_the_statement_may_contain_a_secret() {
        for (sql, expected) in [
            ("ALTER ROLE a PASSWORD 'p1'", "ALTER ROLE a PASSWORD '...'"),
            ("create user a password E'p\\'1'", "create user a password E'...'"),
            ("ALTER ROLE a PASSWORD 'p1", "ALTER ROLE a PASSWORD '..."),
            ("DO $x$ BEGIN ALTER ROLE a PASSWORD 'p1'; END $x$", "DO $x$...$x$"),
            (
                "CREATE SUBSCRIPTION s CONNECTION 'host=h' PUBLICATION p",
                "CREATE SUBSCRIPTION s CONNECTION '...' PUBLICATION p",
            ),
            ("SELECT 'p1'", "SELECT 'p1'"),
        ] {
            assert_eq!(redact(sql, &secrets(sql)), expected, "{sql}");
        }
        let body = secrets("DO $$ BEGIN ALTER ROLE a PASSWORD 'p1'; END $$");
        assert_eq!(
            redact("syntax error at or near \"'p1'\"", &body),
            "syntax error at or near \"'...'\""
        );
    }
}
