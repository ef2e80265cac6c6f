//! The implementations of the suites.

mod cold;
mod ingest;
mod ladder;
mod mixed;
mod pgbench;
mod probes;
mod reads;
mod scale;
mod writes;

pub use ladder::STEPS;
pub use probes::{LOADS, PROBES, QUANTILES};

use crate::bench::Bench;
use crate::results::Recorder;
use crate::suite::Suite;

/// Runs a suite and returns its measurements.
pub async fn run(suite: Suite, bench: &Bench) -> anyhow::Result<Recorder> {
    match suite {
        Suite::Reads => reads::run(bench).await,
        Suite::Ladder => ladder::run(bench).await,
        Suite::Writes => writes::run(bench).await,
        Suite::Mixed => mixed::run(bench).await,
        Suite::Probes => probes::run(bench).await,
        Suite::Cold => cold::run(bench).await,
        Suite::Scale => scale::run(bench).await,
        Suite::Ingest => ingest::run(bench).await,
    }
}
