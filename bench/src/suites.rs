//! The suites: what each of them measures.

mod cold;
mod floor;
mod ingest;
mod mixed;
mod probes;
mod reads;
mod scale;
mod writes;

pub use probes::{LOADS, PROBES, SHARES};

use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::results::Recorder;

/// A suite.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Keyed reads, a list, and what needs no database.
    Reads,
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
            Suite::Writes => "writes",
            Suite::Mixed => "mixed",
            Suite::Probes => "probes",
            Suite::Cold => "cold",
            Suite::Scale => "scale",
            Suite::Ingest => "ingest",
        }
    }

    /// Measures.
    pub async fn run(self, bench: &Bench) -> anyhow::Result<Recorder> {
        match self {
            Suite::Reads => reads::run(bench).await,
            Suite::Writes => writes::run(bench).await,
            Suite::Mixed => mixed::run(bench).await,
            Suite::Probes => probes::run(bench).await,
            Suite::Cold => cold::run(bench).await,
            Suite::Scale => scale::run(bench).await,
            Suite::Ingest => ingest::run(bench).await,
        }
    }
}
