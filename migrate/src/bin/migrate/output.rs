//! Writes results to standard output.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use migrate::Error;
use serde::Serialize;

use crate::cli::Format;

/// The version of the output of `--format json`. Incremented when a field is removed or changes its
/// meaning, not when one is added.
const FORMAT_VERSION: u8 = 1;

/// Prints the result of a command to standard output.
pub(crate) struct Printer {
    pub(crate) command: &'static str,
    pub(crate) format: Format,
}

impl Printer {
    /// Prints `text` or, with `--format json`, `data`.
    pub(crate) fn print(&self, data: &impl Serialize, text: impl Display) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Document<'a, T> {
            format: u8,
            command: &'a str,
            #[serde(flatten)]
            data: &'a T,
        }
        let text = match self.format {
            Format::Human => text.to_string(),
            Format::Json => {
                let document = Document { format: FORMAT_VERSION, command: self.command, data };
                serde_json::to_string(&document).expect("all keys are strings")
            }
        };
        let mut stdout = std::io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            // The reader has closed the pipe.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| {
                Error::Unexpected(format!("cannot write to standard output: {error}"))
            }),
        }
    }
}
