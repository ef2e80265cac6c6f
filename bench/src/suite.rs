//! The names of the suites.

use serde::{Deserialize, Serialize};

/// A suite.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Keyed reads, a list, and what needs no database.
    Reads,
    /// The steps from a constant response to a complete request handler.
    Ladder,
    /// Adding words.
    Writes,
    /// All of that at the same time.
    Mixed,
    /// Probes under load.
    Probes,
    /// Starts, memory, sizes.
    Cold,
    /// Connections and instances.
    Scale,
    /// Files of CSV.
    Ingest,
}

impl Suite {
    /// In the order in which they run, and stand in the report.
    pub const ALL: &[Suite] = &[
        Suite::Reads,
        Suite::Ladder,
        Suite::Writes,
        Suite::Mixed,
        Suite::Probes,
        Suite::Cold,
        Suite::Scale,
        Suite::Ingest,
    ];

    /// What it is called in commands and file names.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Reads => "reads",
            Suite::Ladder => "ladder",
            Suite::Writes => "writes",
            Suite::Mixed => "mixed",
            Suite::Probes => "probes",
            Suite::Cold => "cold",
            Suite::Scale => "scale",
            Suite::Ingest => "ingest",
        }
    }
}
