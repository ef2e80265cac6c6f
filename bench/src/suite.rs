//! The suites and their names.

use serde::{Deserialize, Serialize};

/// A group of scenarios that is measured and reported together.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Reads by key, a list, and requests without the database.
    Reads,
    /// The steps from a constant response to a complete request handler.
    Ladder,
    /// Inserts.
    Writes,
    /// Concurrent reads, lists, writes and calculations.
    Mixed,
    /// Probes under load.
    Probes,
    /// Startup time, memory and component sizes.
    Cold,
    /// Throughput over connections and instances.
    Scale,
    /// Loading of CSV files.
    Ingest,
}

impl Suite {
    /// All suites, in the order of execution and of the report.
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

    /// Returns the name of the suite in commands and file names.
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
