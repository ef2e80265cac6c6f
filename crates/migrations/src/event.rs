//! Progress events, for a terminal or a log.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A callback that receives progress events.
pub type Report<'a> = &'a (dyn Fn(&Event) + Sync);

/// A progress event. In JSON, the field `event` has the name of the variant. [`fmt::Display`]
/// formats the event as one line of text.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The database does not accept connections yet.
    WaitingForDatabase {
        /// Why the last attempt failed.
        reason: String,
    },
    /// Another runner holds the lock.
    WaitingForLock {
        /// The session that holds it.
        holder: String,
    },
    /// This runner has acquired the lock.
    Locked {
        /// How long acquiring it took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        waited: Duration,
    },
    /// The schema is older than the version that `wait` waits for.
    WaitingForSchema {
        /// The current version.
        version: i64,
        /// The required version.
        wanted: i64,
    },
    /// A statement waits for locks that other sessions hold.
    Blocked {
        /// The file that contains the statement.
        file: String,
        /// The sessions that hold the locks.
        by: Vec<String>,
    },
    /// An attempt has been rolled back, and another one starts.
    TryingAgain {
        /// The file.
        file: String,
        /// Why the attempt failed.
        reason: String,
        /// The sessions that blocked it.
        blockers: Vec<String>,
    },
    /// A statement of a non-transactional file has finished.
    Step {
        /// The file.
        file: String,
        /// The 1-based number of the statement.
        step: usize,
        /// The number of statements in the file.
        of: usize,
        /// How long it took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        took: Duration,
    },
    /// The invalid index of an interrupted `CREATE INDEX CONCURRENTLY` has been dropped.
    Recovered {
        /// The name of the index.
        index: String,
    },
    /// An invalid index of an interrupted `REINDEX CONCURRENTLY` remains, because only a superuser
    /// may drop it.
    LeftInvalid {
        /// The name of the index.
        index: String,
    },
    /// A migration has been applied.
    Applied {
        /// The name of the migration.
        migration: String,
        /// How long it took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        took: Duration,
    },
    /// A migration has been reverted.
    Undone {
        /// The name of the migration.
        migration: String,
        /// How long it took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        took: Duration,
    },
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl fmt::Display for Event {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::WaitingForDatabase { reason } => {
                write!(to, "waiting for the database: {reason}")
            }
            Event::WaitingForLock { holder } => {
                write!(to, "waiting for the lock, held by {holder}")
            }
            Event::Locked { waited } => {
                write!(to, "acquired the lock after {} ms", waited.as_millis())
            }
            Event::WaitingForSchema { version, wanted } => {
                write!(to, "the schema is at version {version}; waiting for version {wanted}")
            }
            Event::Blocked { file, by } => write!(to, "{file} is blocked by {}", by.join(", ")),
            Event::TryingAgain { file, reason, blockers } => {
                write!(to, "{file} was rolled back: {reason}{}; retrying", blocked_by(blockers))
            }
            Event::Step { file, step, of, took } => {
                write!(to, "{file}: statement {step} of {of} done in {} ms", took.as_millis())
            }
            Event::Recovered { index } => {
                write!(to, "dropped {index}, left invalid by an interrupted run")
            }
            Event::LeftInvalid { index } => write!(
                to,
                "an interrupted run has left the invalid index {index}; drop it as a superuser"
            ),
            Event::Applied { migration, took } => {
                write!(to, "applied {migration} in {} ms", took.as_millis())
            }
            Event::Undone { migration, took } => {
                write!(to, "reverted {migration} in {} ms", took.as_millis())
            }
        }
    }
}

/// Formats the sessions that blocked an attempt. Empty if none are known.
pub(crate) fn blocked_by(blockers: &[String]) -> String {
    match blockers {
        [] => String::new(),
        _ => format!(", blocked by {}", blockers.join(", ")),
    }
}
