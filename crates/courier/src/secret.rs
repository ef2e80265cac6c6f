//! Connection strings and tokens, which are never logged.

use std::fmt;
use std::path::PathBuf;

use crate::Error;

/// A secret, or the file that contains it.
#[derive(Clone)]
pub enum Secret {
    /// The secret itself.
    Text(String),
    /// A file with the secret in its first line. It is read again for each connection, so that a
    /// rotated secret takes effect without a restart.
    File(PathBuf),
}

impl Secret {
    /// Returns the secret.
    pub fn read(&self) -> Result<String, Error> {
        match self {
            Secret::Text(text) => Ok(text.clone()),
            Secret::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Error::Usage(format!("cannot read {}: {error}", path.display()))
                })?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Text(_) => to.write_str("Secret(…)"),
            Secret::File(path) => write!(to, "Secret({})", path.display()),
        }
    }
}
