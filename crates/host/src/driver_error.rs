//! Errors of the PostgreSQL driver with the message that Spin's driver gives them.

use std::error::Error;
use std::fmt;

/// An error of the driver whose message includes its cause.
#[derive(Debug)]
pub(crate) struct DriverError(pub(crate) tokio_postgres::Error);

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&message(&self.0))
    }
}

impl Error for DriverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Returns the message followed by its cause, as the driver in Spin 3.6 (0.7.12) formats it. Newer
/// drivers leave the cause out of the message.
pub(crate) fn message(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
