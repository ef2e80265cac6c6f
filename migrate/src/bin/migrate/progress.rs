//! Writes progress to standard error, as text or as JSON lines.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use migrate::{Error, Event, SeedProgress};
use serde::Serialize;

use crate::cli::Format;
use crate::progress_bar::SeedBar;

/// Reports progress, and collects statistics for the outcome.
pub(crate) struct Progress {
    format: Format,
    /// `None` if standard error is not a terminal, or the format is JSON.
    bar: Option<SeedBar>,
    stats: Mutex<RunStats>,
}

/// The statistics of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunStats {
    /// The migrations that were applied or reverted, with their durations.
    pub(crate) migrations: Vec<(String, Duration)>,
    /// The time spent waiting for the lock.
    pub(crate) lock_wait: Duration,
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
struct Seeded<'a> {
    event: &'a str,
    #[serde(flatten)]
    progress: SeedProgress<'a>,
}

#[derive(Serialize)]
struct Failed<'a> {
    event: &'a str,
    kind: &'a str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<&'a migrate::SqlFailure>,
}

impl Progress {
    /// Creates a reporter. By default, the format is human-readable on a terminal and JSON
    /// otherwise.
    pub(crate) fn new(format: Option<Format>) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let default = if is_terminal { Format::Human } else { Format::Json };
        let format = format.unwrap_or(default);
        let bar = (is_terminal && format == Format::Human).then(SeedBar::default);
        Progress { format, bar, stats: Mutex::default() }
    }

    /// Reports an event.
    pub(crate) fn event(&self, event: &Event) {
        // Only a panic while the lock is held could poison it.
        let mut stats = self.stats.lock().expect("the lock is not poisoned");
        match event {
            Event::Applied { migration, took } | Event::Undone { migration, took } => {
                stats.migrations.push((migration.clone(), *took));
            }
            Event::Locked { waited } => stats.lock_wait = *waited,
            _ => {}
        }
        // Not interesting on a terminal unless there was a wait.
        let is_immediate = matches!(event, Event::Locked { waited } if waited.as_secs() == 0);
        match self.format {
            Format::Human if is_immediate => {}
            Format::Human => line(&event.to_string()),
            Format::Json => json("info", event.to_string(), event),
        }
    }

    /// Reports the progress of a seed: continuously on a terminal, and otherwise once at the end.
    pub(crate) fn rows(&self, progress: SeedProgress<'_>) {
        let SeedProgress { seed, rows, total } = progress;
        match &self.bar {
            Some(bar) => bar.show(progress),
            None if rows < total => {}
            None => {
                let message = format!("{seed}: {rows} rows");
                match self.format {
                    Format::Human => line(&message),
                    Format::Json => json("info", message, Seeded { event: "seeded", progress }),
                }
            }
        }
    }

    /// Reports an error.
    pub(crate) fn failure(&self, error: &Error, exit_code: u8) {
        let sql = match error {
            Error::Sql(failure) => Some(&**failure),
            _ => None,
        };
        let failed = Failed { event: "failed", kind: error.kind(), exit_code, sql };
        match self.format {
            Format::Human => line(&format!("error: {error}")),
            Format::Json => json("error", error.to_string(), failed),
        }
    }

    /// Returns the statistics so far.
    pub(crate) fn stats(&self) -> RunStats {
        self.stats.lock().expect("the lock is not poisoned").clone()
    }
}

fn json(level: &str, message: String, event: impl Serialize) {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let text = serde_json::to_string(&Line { time, level, message, event });
    line(&text.expect("all keys are strings"));
}

/// Writes a line. Errors are ignored, because a closed pipe must not stop the run.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
