//! The commands that write to the ledger, while holding the advisory lock.

mod baseline;
mod down;
mod repair;
mod runner;
mod steps;
mod transaction;
mod up;

use std::time::{Duration, Instant};

use crate::Error;
use crate::project::{Direction, Migration, Script};
pub use baseline::{Baseline, baseline};
pub use down::{Down, down};
pub use repair::{Fix, Repair, repair};
use runner::Runner;
pub use runner::WaitOptions;
pub use up::{Up, UpOptions, up};

/// Runs one script of a migration, and returns how long it took.
async fn run_script(
    runner: &mut Runner<'_>,
    migration: &Migration,
    script: &Script,
    direction: Direction,
) -> Result<Duration, Error> {
    let start = Instant::now();
    match script.transactional {
        true => runner.run_in_transaction(migration, script, direction).await?,
        false => runner.run_step_by_step(migration, script, direction).await?,
    }
    let took = start.elapsed();
    runner.reset_session().await?;
    Ok(took)
}
