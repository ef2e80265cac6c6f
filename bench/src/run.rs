//! One run: measures suites, stores their results and prints their tables.

use anyhow::Context;

use crate::bench::{Bench, Settings};
use crate::machine::Machine;
use crate::paths::folder;
use crate::results::Results;
use crate::suite::Suite;
use crate::{report, suites};

/// Runs suites, one after another.
pub async fn suites(settings: Settings, wanted: &[Suite]) -> anyhow::Result<()> {
    let bench = Bench::prepare(settings).await?;
    let machine = Machine::here(bench.stage.postgres.description())?;
    for &suite in wanted {
        let recorder = suites::run(suite, &bench).await.with_context(|| format!("{suite:?}"))?;
        let Settings { rounds, seconds, .. } = bench.settings;
        let machine = machine.clone();
        let results = Results { suite, machine, rounds, seconds, measurements: recorder.0 };
        // `report` must not publish figures of `--quick`.
        let folder = if bench.settings.quick { folder().join("quick") } else { folder() };
        report::keep(&results, &folder)?;
        let table = report::table(&results);
        bench.print(&format!("\n{} on {}\n\n{table}", suite.name(), results.machine.describe()));
    }
    bench.finish();
    Ok(())
}
