//! Standard error: for a person, or as lines of JSON for a log.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use migrate::{Error, Event, SeedProgress};
use serde::Serialize;

use crate::bar::Bar;
use crate::cli::Format;

/// Tells what happens, and keeps what the outcome needs of it.
pub(crate) struct Progress {
    format: Format,
    /// Where there is a terminal to draw on.
    bar: Option<Bar>,
    seen: Mutex<Seen>,
}

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The migrations that were applied or undone, and how long each took.
    pub(crate) migrations: Vec<(String, Duration)>,
    /// How long the lock was waited for.
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
    /// In this format, or in the one that fits where standard error goes to.
    pub(crate) fn new(format: Option<Format>) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let fitting = if is_terminal { Format::Human } else { Format::Json };
        let format = format.unwrap_or(fitting);
        let bar = (is_terminal && format == Format::Human).then(Bar::default);
        Progress { format, bar, seen: Mutex::default() }
    }

    pub(crate) fn event(&self, event: &Event) {
        // Only a panic while it is locked could poison it, and there is none.
        let mut seen = self.seen.lock().expect("it is not poisoned");
        match event {
            Event::Applied { migration, took } | Event::Undone { migration, took } => {
                seen.migrations.push((migration.clone(), *took));
            }
            Event::Locked { waited } => seen.lock_wait = *waited,
            _ => {}
        }
        // Of no interest to a person who did not have to wait.
        let is_quick = matches!(event, Event::Locked { waited } if waited.as_secs() == 0);
        match self.format {
            Format::Human if is_quick => {}
            Format::Human => line(&event.to_string()),
            Format::Json => json("info", event.to_string(), event),
        }
    }

    /// Shows how far a seed is: all the time to who watches, and to a log once it is there.
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

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("it is not poisoned").clone()
    }
}

fn json(level: &str, message: String, event: impl Serialize) {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let text = serde_json::to_string(&Line { time, level, message, event });
    line(&text.expect("its keys are strings"));
}

/// Nobody may be reading any more, and that is no reason to stop.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
