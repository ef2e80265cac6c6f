//! Events, for a terminal or a log.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A callback that receives events.
pub type Report = Arc<dyn Fn(&Event) + Send + Sync>;

/// A server to which the courier keeps a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// PostgreSQL.
    Database,
    /// The broker, for publishing.
    Publisher,
    /// The broker, for consuming.
    Consumer,
}

/// An event. In JSON, the field `event` has the name of the variant. [`fmt::Display`] formats the
/// event as one line of text.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The courier has started.
    Started {
        /// The subcommand, and `direct` without a broker.
        mode: &'static str,
        /// The URL of the application.
        application: Option<String>,
    },
    /// A connection has been opened.
    Connected {
        /// The server.
        peer: Peer,
    },
    /// A connection could not be opened, or has been lost.
    Disconnected {
        /// The server.
        peer: Peer,
        /// Why.
        reason: String,
        /// The time until the next attempt.
        retry_in_seconds: f64,
    },
    /// The application is unavailable. All deliveries pause.
    Paused {
        /// The queue of the message that was sent.
        queue: &'static str,
        /// Why the application did not accept it.
        reason: String,
    },
    /// The application accepts requests again.
    Resumed {
        /// How long the pause was.
        seconds: f64,
    },
    /// The application has been unavailable for so long that the messages were returned to the
    /// broker.
    Released {
        /// How long the pause has been so far.
        seconds: f64,
    },
    /// The application failed to process a message, which will be sent again.
    Retrying {
        /// The queue.
        queue: &'static str,
        /// The `message_id`.
        id: Option<String>,
        /// The number of attempts so far.
        tries: u32,
        /// The response.
        reason: String,
    },
    /// A message has been moved to the dead letters.
    DeadLettered {
        /// The queue.
        queue: &'static str,
        /// The `message_id`.
        id: Option<String>,
        /// Why.
        reason: String,
    },
    /// The broker did not accept a message, which stays in the outbox.
    NotPublished {
        /// The queue.
        queue: &'static str,
        /// Why.
        reason: String,
    },
    /// Parts of stalled runs have been queued again.
    Requeued {
        /// The number of parts.
        parts: i64,
    },
    /// A signal has arrived. Deliveries in progress finish.
    Stopping {
        /// The name of the signal.
        signal: &'static str,
    },
    /// The courier has stopped.
    Stopped,
}

impl Event {
    /// Returns the level in the log.
    pub fn level(&self) -> &'static str {
        match self {
            Event::DeadLettered { .. } => "error",
            Event::Disconnected { .. }
            | Event::NotPublished { .. }
            | Event::Paused { .. }
            | Event::Released { .. }
            | Event::Requeued { .. }
            | Event::Retrying { .. } => "warn",
            _ => "info",
        }
    }
}

impl Peer {
    /// All peers.
    pub const ALL: [Peer; 3] = [Peer::Database, Peer::Publisher, Peer::Consumer];

    /// Returns the value of the label `peer`.
    pub fn label(self) -> &'static str {
        match self {
            Peer::Database => "database",
            Peer::Publisher => "publisher",
            Peer::Consumer => "consumer",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Peer::Database => "the database",
            Peer::Publisher => "the broker (publisher)",
            Peer::Consumer => "the broker (consumer)",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { mode, application: Some(application) } => {
                write!(to, "{mode}: delivering to {application}")
            }
            Event::Started { mode, application: None } => write!(to, "{mode}: started"),
            Event::Connected { peer } => write!(to, "connected to {peer}"),
            Event::Disconnected { peer, reason, retry_in_seconds } => {
                write!(to, "not connected to {peer}: {reason}; retrying in {retry_in_seconds:.1} s")
            }
            Event::Paused { queue, reason } => write!(to, "paused: {queue}: {reason}"),
            Event::Resumed { seconds } => write!(to, "resumed after {seconds:.1} s"),
            Event::Released { seconds } => {
                write!(to, "returned all messages to the broker after a pause of {seconds:.0} s")
            }
            Event::Retrying { queue, id, tries, reason } => {
                write!(to, "{queue}: attempt {tries} of message {} failed: {reason}", name(id))
            }
            Event::DeadLettered { queue, id, reason } => {
                write!(to, "{queue}: message {} is a dead letter: {reason}", name(id))
            }
            Event::NotPublished { queue, reason } => {
                write!(to, "{queue}: not published: {reason}; the message stays in the outbox")
            }
            Event::Requeued { parts } => write!(to, "queued {parts} parts of stalled runs again"),
            Event::Stopping { signal } => {
                write!(to, "received {signal}; finishing deliveries in progress")
            }
            Event::Stopped => to.write_str("stopped"),
        }
    }
}

fn name(id: &Option<String>) -> &str {
    id.as_deref().unwrap_or("without message_id")
}
