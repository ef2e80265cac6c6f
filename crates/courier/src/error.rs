//! Errors, classified by what the caller can do about them. Each kind has an exit code.

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An unexpected failure.
    #[error("{0}")]
    Unexpected(String),
    /// The command line is invalid, or it names an invalid value or file.
    #[error("{0}")]
    Usage(String),
    /// There is no dead letter with this id.
    #[error("no dead letter with the id {0}; `courier dead list` lists them")]
    NotFound(String),
    /// The database or the broker rejected the login or denied a privilege.
    #[error("{0}")]
    Refused(String),
    /// The database, the broker or the application is not available. Trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// Returns the exit code. Where the meaning is the same, so is the code of `migrate`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unexpected(_) => 1,
            Error::Usage(_) => 2,
            Error::NotFound(_) => 4,
            Error::Refused(_) => 9,
            Error::Unavailable(_) => 75,
        }
    }
}
