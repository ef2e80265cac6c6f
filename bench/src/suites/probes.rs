//! Liveness, readiness and health while the service is saturated by reads, by the largest accepted
//! bodies, or by requests that wait for a database lock.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::bench::Bench;
use crate::load::{self, DEADLINE, Load, ProbeOutcome};
use crate::requests::{Prepared, Requests};
use crate::results::{Metric, Recorder};
use crate::statistics::quantile;
use crate::systems::RunningSystem;

/// Probes per second and path. The rate of Kubernetes, one probe in several seconds, would not show a
/// distribution.
const RATE: f64 = 100.0;

/// The loads during which the service is probed.
pub const LOADS: [&str; 4] = ["idle", "reads", "bodies", "locked"];
/// The probes.
pub const PROBES: [&str; 3] = ["live", "ready", "health"];
/// The recorded quantiles of the latency of probes.
pub const QUANTILES: [(f64, Metric); 7] = [
    (0.5, Metric::P50),
    (0.75, Metric::P75),
    (0.9, Metric::P90),
    (0.95, Metric::P95),
    (0.99, Metric::P99),
    (0.999, Metric::P999),
    (1.0, Metric::Max),
];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let systems = bench.start().await?;
    let mut recorder = Recorder::default();
    let look = Requests::lookup(&bench.fixture);
    let bodies = [Requests::largest_nth_char()?, Requests::largest_spending()?];
    bench.warm_up(&systems, &look, 128).await?;
    bench.add_steps(bench.settings.rounds * systems.len() * LOADS.len());
    for running in bench.rounds(&systems) {
        for name in LOADS {
            bench.step(&format!("probes, {name}, {}", running.system.label()));
            let loads = match name {
                "idle" => vec![],
                "bodies" => {
                    vec![(bodies[0].prepare(running)?, 16), (bodies[1].prepare(running)?, 16)]
                }
                _ => vec![(look.prepare(running)?, 128)],
            };
            let lock = match name {
                "locked" => Some(lock_entries(bench).await?),
                _ => None,
            };
            let outcomes = probe_under(bench, running, loads).await?;
            drop(lock);
            for (probe, outcome) in PROBES.into_iter().zip(outcomes) {
                record(&mut recorder, running, &format!("{name}/{probe}"), &outcome);
            }
            settle(bench, running).await?;
        }
    }
    Ok(recorder)
}

/// Locks the entries, so that lookups wait until the connection is dropped.
async fn lock_entries(bench: &Bench) -> anyhow::Result<tokio_postgres::Client> {
    let client = bench.fixture.administrator().await?;
    client.batch_execute("BEGIN; LOCK TABLE katas.entry IN ACCESS EXCLUSIVE MODE").await?;
    Ok(client)
}

/// Probes all paths concurrently while the loads are sent.
async fn probe_under(
    bench: &Bench,
    running: &RunningSystem,
    loads: Vec<(Prepared, u64)>,
) -> anyhow::Result<Vec<ProbeOutcome>> {
    let duration = bench.settings.duration() * 6 / 5;
    // The load starts before the first probe and ends after the last one.
    let (before, after) = (duration / 5, DEADLINE);
    let sending: Vec<_> = loads
        .into_iter()
        .map(|(requests, connections)| {
            let load = Load { connections, rate: None, duration: before + duration + after };
            bench.spawn(requests, load)
        })
        .collect();
    tokio::time::sleep(before).await;
    let paths = [running.system.liveness_path(), "/db-check", "/health"];
    let probing: Vec<_> = paths
        .into_iter()
        .map(|path| probe(bench.oha.clone(), format!("{}{path}", running.base()), duration))
        .collect();
    let mut outcomes = Vec::new();
    for probe in probing {
        outcomes.push(probe.await??);
    }
    for sent in sending {
        sent.await??;
    }
    Ok(outcomes)
}

fn probe(
    oha: PathBuf,
    url: String,
    duration: Duration,
) -> JoinHandle<anyhow::Result<ProbeOutcome>> {
    tokio::spawn(async move { load::probe(&oha, &url, RATE, duration).await })
}

fn record(
    recorder: &mut Recorder,
    running: &RunningSystem,
    scenario: &str,
    outcome: &ProbeOutcome,
) {
    let ProbeOutcome { latencies, refused, sent } = outcome;
    let mut add = |metric, value| recorder.add(running.system, scenario, 0, metric, value);
    // Other statuses are in time, but their latency says nothing about normal operation.
    let counted = sent - refused;
    for (share, metric) in QUANTILES {
        let latency = quantile(latencies, counted, share, DEADLINE);
        add(metric, latency.as_secs_f64() * 1e3);
    }
    add(Metric::Sent, *sent as f64);
    add(Metric::Refused, *refused as f64);
    add(Metric::Missed, (counted - latencies.len()) as f64);
}

/// Waits until the system has recovered from a load.
async fn settle(bench: &Bench, running: &RunningSystem) -> anyhow::Result<()> {
    let url = format!("{}/db-check", running.base());
    let ready = move || {
        let start = std::time::Instant::now();
        while ureq::get(&url).call().is_err() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    tokio::task::spawn_blocking(ready).await?;
    tokio::time::sleep(bench.settings.duration() / 10).await;
    Ok(())
}
