//! PostgreSQL without a service: the statement of one request, sent by pgbench.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::bench::Bench;
use crate::paths::output_directory;
use crate::programs;
use crate::results::{Metric, Recorder};
use crate::systems::System;

/// The statement of the peers that reads a user.
const PLAIN: &str = "SELECT id, username, email FROM katas.person WHERE id = :id";
/// The statement of the component `users`, which returns a row even if the user does not exist.
const COMPONENT: &str = "SELECT username, email, version \
     FROM (SELECT) AS one LEFT JOIN katas.person ON id = :id";

/// The statements with which Spin's pool resets a connection in one round trip (deadpool's
/// `RecyclingMethod::Clean`).
const RESET: &str = "CLOSE ALL\\; SET SESSION AUTHORIZATION DEFAULT\\; RESET ALL\\; UNLISTEN *\\; \
     SELECT pg_advisory_unlock_all()\\; DISCARD TEMP\\; DISCARD SEQUENCES";

/// Measures the rate of PostgreSQL, if pgbench is installed.
pub async fn run(bench: &Bench, clients: u64, recorder: &mut Recorder) -> anyhow::Result<()> {
    let Some(pgbench) = programs::postgres("pgbench") else { return Ok(()) };
    let reset = format!("{RESET};\n{COMPONENT}");
    let kinds = [
        (System::PgbenchPrepared, "prepared", PLAIN),
        (System::PgbenchUnprepared, "extended", COMPONENT),
        // Only the simple protocol can send several statements at once.
        (System::PgbenchReset, "simple", &reset),
    ];
    bench.add_steps(bench.settings.rounds * kinds.len());
    for _ in 0..bench.settings.rounds {
        for (system, protocol, sql) in kinds {
            bench.step(system.label());
            let script = output_directory().join("pgbench.sql");
            fs::write(&script, format!("\\set id random(1, {})\n{sql};\n", bench.fixture.users))?;
            let mut command = Command::new(&pgbench);
            command.args(["--no-vacuum", "--jobs", "2", "--protocol", protocol]);
            command.args(["--client", &clients.to_string()]);
            command.args(["--time", &bench.settings.seconds.ceil().to_string()]);
            command.arg("--file").arg(&script).arg(bench.fixture.url());
            let output = tokio::task::spawn_blocking(|| programs::run(command)).await??;
            recorder.add(system, "user", clients, Metric::Rate, transactions(&output)?);
        }
    }
    Ok(())
}

/// Parses the line `tps = 12345.678901 (without initial connection time)`.
fn transactions(report: &str) -> anyhow::Result<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.context("no tps in the output of pgbench")
}
