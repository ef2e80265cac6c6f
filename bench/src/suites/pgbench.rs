//! PostgreSQL alone: the same statement from pgbench, without HTTP and without a language.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::bench::Bench;
use crate::paths::folder;
use crate::programs;
use crate::results::{Metric, Recorder};
use crate::systems::System;

/// The statement of the peers for a user.
const PLAIN: &str = "SELECT id, username, email FROM katas.person WHERE id = :id";
/// The statement of the component `users`, which returns a row for a missing user too.
const COMPONENT: &str = "SELECT username, email, version \
     FROM (SELECT) AS one LEFT JOIN katas.person ON id = :id";

/// The reset of a connection by Spin's pool (deadpool's `RecyclingMethod::Clean`), one round trip.
const RESET: &str = "CLOSE ALL\\; SET SESSION AUTHORIZATION DEFAULT\\; RESET ALL\\; UNLISTEN *\\; \
     SELECT pg_advisory_unlock_all()\\; DISCARD TEMP\\; DISCARD SEQUENCES";

/// Measures the rate of PostgreSQL itself, if pgbench is installed.
pub async fn run(bench: &Bench, clients: u64, recorder: &mut Recorder) -> anyhow::Result<()> {
    let Some(pgbench) = programs::postgres("pgbench") else { return Ok(()) };
    let reset = format!("{RESET};\n{COMPONENT}");
    let kinds = [
        (System::PgbenchPrepared, "prepared", PLAIN),
        (System::PgbenchWrapped, "extended", COMPONENT),
        // Several statements at once can only be sent by the simple protocol.
        (System::PgbenchReset, "simple", &reset),
    ];
    bench.expect(bench.settings.rounds * kinds.len());
    for _ in 0..bench.settings.rounds {
        for (system, protocol, sql) in kinds {
            bench.step(system.label());
            let script = folder().join("pgbench.sql");
            fs::write(&script, format!("\\set id random(1, {})\n{sql};\n", bench.stage.users))?;
            let mut command = Command::new(&pgbench);
            command.args(["--no-vacuum", "--jobs", "2", "--protocol", protocol]);
            command.args(["--client", &clients.to_string()]);
            command.args(["--time", &bench.settings.seconds.ceil().to_string()]);
            command.arg("--file").arg(&script).arg(bench.stage.url());
            let said = tokio::task::spawn_blocking(|| programs::complete(command)).await??;
            recorder.add(system, "user", clients, Metric::Rate, transactions(&said)?);
        }
    }
    Ok(())
}

/// The line `tps = 12345.678901 (without initial connection time)`.
fn transactions(report: &str) -> anyhow::Result<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.context("pgbench's report has no tps")
}
