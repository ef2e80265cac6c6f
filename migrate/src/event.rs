//! What happens on the way, for whoever watches: a person at a terminal, or a log.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Where progress is told.
pub type Report<'a> = &'a (dyn Fn(&Event) + Sync);

/// Something that has happened. As JSON it has the name of the event as `event`; [`fmt::Display`]
/// says it in one line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The database does not answer yet.
    WaitingForDatabase {
        /// Why not.
        reason: String,
    },
    /// Another runner has the lock.
    WaitingForLock {
        /// The session that has it.
        holder: String,
    },
    /// This runner has the lock.
    Locked {
        /// How long that took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        waited: Duration,
    },
    /// The schema is not yet where one waits for it to be.
    WaitingForSchema {
        /// Where it is.
        version: i64,
        /// Where it has to be.
        wanted: i64,
    },
    /// A statement waits for locks that others have.
    Blocked {
        /// The file that it stands in.
        file: String,
        /// The sessions that it waits for.
        by: Vec<String>,
    },
    /// An attempt has been rolled back, and there will be another one.
    TryingAgain {
        /// The file.
        file: String,
        /// What PostgreSQL said.
        reason: String,
        /// The sessions that were in the way.
        blockers: Vec<String>,
    },
    /// One statement of a file that is no transaction has been done.
    Step {
        /// The file.
        file: String,
        /// Its number in the file, from 1.
        step: usize,
        /// How many there are.
        of: usize,
        /// How long it took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        took: Duration,
    },
    /// What an interrupted `CREATE INDEX CONCURRENTLY` left behind has been removed.
    Recovered {
        /// The index.
        index: String,
    },
    /// A migration has been applied.
    Applied {
        /// Its name.
        migration: String,
        /// How long it took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        took: Duration,
    },
    /// A migration has been undone.
    Undone {
        /// Its name.
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
            Event::Locked { waited } => write!(to, "got the lock after {} ms", waited.as_millis()),
            Event::WaitingForSchema { version, wanted } => {
                write!(to, "the schema is at version {version}, waiting for {wanted}")
            }
            Event::Blocked { file, by } => write!(to, "{file} waits for {}", by.join(", ")),
            Event::TryingAgain { file, reason, blockers } => {
                write!(to, "{file} was rolled back, {reason}{}; trying again", because_of(blockers))
            }
            Event::Step { file, step, of, took } => {
                write!(to, "{file}: {step} of {of} done in {} ms", took.as_millis())
            }
            Event::Recovered { index } => {
                write!(to, "removed {index}, which an earlier run had not finished")
            }
            Event::Applied { migration, took } => {
                write!(to, "applied {migration} in {} ms", took.as_millis())
            }
            Event::Undone { migration, took } => {
                write!(to, "undid {migration} in {} ms", took.as_millis())
            }
        }
    }
}

/// Who was in the way, where that is known.
pub(crate) fn because_of(blockers: &[String]) -> String {
    match blockers {
        [] => String::new(),
        _ => format!(" because of {}", blockers.join(", ")),
    }
}
