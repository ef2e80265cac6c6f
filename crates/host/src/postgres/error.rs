//! Errors as Spin 3.6 tells them to the guest.

use std::error::Error as _;
use std::fmt;

use crate::bindings::spin::postgres::postgres::{DbError, Error, QueryError};

/// A statement that was refused before it ran, or an `execute` that failed: with the SQLSTATE.
pub(super) fn structured(error: tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    let Some(refusal) = error.as_db_error() else {
        return Error::QueryFailed(QueryError::Text(as_text));
    };
    let line = refusal.line().map(|line| line.to_string());
    let extras = [
        ("column", refusal.column()),
        ("constraint", refusal.constraint()),
        ("routine", refusal.routine()),
        ("hint", refusal.hint()),
        ("table", refusal.table()),
        ("datatype", refusal.datatype()),
        ("schema", refusal.schema()),
        ("file", refusal.file()),
        ("line", line.as_deref()),
        ("where_", refusal.where_()),
    ];
    let extras = extras.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into())));
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text,
        severity: refusal.severity().to_owned(),
        code: refusal.code().code().to_owned(),
        message: refusal.message().to_owned(),
        detail: refusal.detail().map(str::to_owned),
        extras: extras.collect(),
    }))
}

/// Anything else that goes wrong with a query: its words, and nothing more.
pub(super) fn text(error: anyhow::Error) -> Error {
    Error::QueryFailed(QueryError::Text(debug(&error)))
}

/// An error with its causes, a line each. Spin adds its own backtrace when `RUST_BACKTRACE` is set,
/// which is of no use to a guest.
pub(super) fn debug(error: &anyhow::Error) -> String {
    let mut text = format!("{error:?}");
    text.truncate(text.find("\n\nStack backtrace:").unwrap_or(text.len()));
    text
}

/// One line with its cause, as the driver in Spin 3.6 (0.7.12) wrote it. Newer ones leave the cause
/// to be asked for.
pub(super) fn flat(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// An error that reads like [`flat`].
#[derive(Debug)]
pub(super) struct Flat(pub(super) tokio_postgres::Error);

impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&flat(&self.0))
    }
}

impl std::error::Error for Flat {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
