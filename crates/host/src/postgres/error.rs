//! Errors in the form in which Spin 3.6 returns them to the guest.

use crate::bindings::spin::postgres4_0_0::postgres::{DbError, Error, QueryError};

/// Converts an error of `execute`, or of preparing a statement. It carries the SQLSTATE.
pub(super) fn structured(error: tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    let Some(db_error) = error.as_db_error() else {
        return Error::QueryFailed(QueryError::Text(as_text));
    };
    let line = db_error.line().map(|line| line.to_string());
    let extras = [
        ("column", db_error.column()),
        ("constraint", db_error.constraint()),
        ("routine", db_error.routine()),
        ("hint", db_error.hint()),
        ("table", db_error.table()),
        ("datatype", db_error.datatype()),
        ("schema", db_error.schema()),
        ("file", db_error.file()),
        ("line", line.as_deref()),
        ("where_", db_error.where_()),
    ];
    let extras = extras.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into())));
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text,
        severity: db_error.severity().to_owned(),
        code: db_error.code().code().to_owned(),
        message: db_error.message().to_owned(),
        detail: db_error.detail().map(str::to_owned),
        extras: extras.collect(),
    }))
}

/// Converts any other error of a query. Only its text is preserved.
pub(super) fn text(error: anyhow::Error) -> Error {
    Error::QueryFailed(QueryError::Text(debug(&error)))
}

/// Formats an error with its causes, one per line, without a backtrace. Spin includes one when
/// `RUST_BACKTRACE` is set, which is of no use to a guest.
pub(super) fn debug(error: &anyhow::Error) -> String {
    let mut text = format!("{error:?}");
    text.truncate(text.find("\n\nStack backtrace:").unwrap_or(text.len()));
    text
}
