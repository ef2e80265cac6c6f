//! Writes events to standard error, as text or as JSON lines.

use std::io::{IsTerminal, Write};

use chrono::{SecondsFormat, Utc};
use courier::{Error, Event};
use serde::Serialize;

use crate::cli::Format;

/// Writes the log.
pub(crate) struct Log {
    format: Format,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    time: String,
    level: &'a str,
    message: String,
    #[serde(flatten)]
    event: T,
}

#[derive(Serialize)]
struct Failed {
    event: &'static str,
    exit_code: u8,
}

impl Log {
    /// Creates a log. By default, the format is human-readable on a terminal and JSON otherwise.
    pub(crate) fn new(format: Option<Format>) -> Log {
        let is_terminal = std::io::stderr().is_terminal();
        let default = if is_terminal { Format::Human } else { Format::Json };
        Log { format: format.unwrap_or(default) }
    }

    /// Writes an event.
    pub(crate) fn event(&self, event: &Event) {
        match self.format {
            Format::Human => line(&event.to_string()),
            Format::Json => json(event.level(), event.to_string(), event),
        }
    }

    /// Writes the error that ends the process.
    pub(crate) fn failure(&self, error: &Error) {
        let failed = Failed { event: "failed", exit_code: error.exit_code() };
        match self.format {
            Format::Human => line(&format!("error: {error}")),
            Format::Json => json("error", error.to_string(), failed),
        }
    }
}

fn json(level: &str, message: String, event: impl Serialize) {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let text = serde_json::to_string(&Line { time, level, message, event });
    line(&text.expect("all keys are strings"));
}

/// Writes a line. Errors are ignored, because a closed pipe must not stop deliveries.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
