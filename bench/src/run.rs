//! A run: measures suites, stores their results and prints their tables.

use anyhow::Context;

use crate::bench::{Bench, Settings};
use crate::machine::Machine;
use crate::paths::output_directory;
use crate::results::Results;
use crate::suite::Suite;
use crate::{report, suites};

/// Runs suites one after another.
pub async fn run_suites(settings: Settings, selected: &[Suite]) -> anyhow::Result<()> {
    let bench = Bench::prepare(settings).await?;
    let machine = Machine::current(bench.fixture.postgres.description())?;
    for &suite in selected {
        let recorder =
            suites::run(suite, &bench).await.with_context(|| format!("suite {}", suite.name()))?;
        let Settings { rounds, seconds, .. } = bench.settings;
        let machine = machine.clone();
        let results = Results { suite, machine, rounds, seconds, measurements: recorder.0 };
        // `report` must not publish results of `--quick`.
        let directory = match bench.settings.quick {
            true => output_directory().join("quick"),
            false => output_directory(),
        };
        report::store(&results, &directory)?;
        let tables = report::tables(&results);
        bench.print(&format!("\n{} on {}\n\n{tables}", suite.name(), results.machine.describe()));
    }
    bench.finish();
    Ok(())
}
