//! Liveness, readiness and health while the service is saturated: by reads, by the largest bodies
//! that it accepts, by a database that has everybody wait.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::bench::Bench;
use crate::load::{self, DEADLINE, Load, Probed};
use crate::requests::{Prepared, Requests};
use crate::results::{Metric, Recorder};
use crate::statistics::quantile;
use crate::systems::Running;

/// Probes per second and path. Kubernetes sends one in several seconds, from which nobody could
/// tell a distribution.
const RATE: f64 = 100.0;

/// What saturates the service while it is probed.
pub const LOADS: [&str; 4] = ["idle", "reads", "bodies", "locked"];
/// What is probed.
pub const PROBES: [&str; 3] = ["live", "ready", "health"];
/// The shares of probes whose latency is kept.
pub const SHARES: [(f64, Metric); 7] = [
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
    let look = Requests::look(&bench.stage);
    let bodies = [Requests::nth_char_most()?, Requests::spend_most()?];
    bench.warm(&systems, &look, 128).await?;
    bench.expect(bench.settings.rounds * systems.len() * LOADS.len());
    for running in bench.rounds(&systems) {
        for name in LOADS {
            bench.step(&format!("probes, {name}, {}", running.system.label()));
            let loads = match name {
                "idle" => vec![],
                "bodies" => vec![(bodies[0].to(running)?, 16), (bodies[1].to(running)?, 16)],
                _ => vec![(look.to(running)?, 128)],
            };
            let lock = match name {
                "locked" => Some(lock(bench).await?),
                _ => None,
            };
            let probes = probe_under(bench, running, loads).await?;
            drop(lock);
            for (probe, probed) in PROBES.into_iter().zip(probes) {
                record(&mut recorder, running, &format!("{name}/{probe}"), &probed);
            }
            settle(bench, running).await?;
        }
    }
    Ok(recorder)
}

/// Has everybody who asks for a word wait until the connection is dropped.
async fn lock(bench: &Bench) -> anyhow::Result<tokio_postgres::Client> {
    let client = bench.stage.administrator().await?;
    client.batch_execute("BEGIN; LOCK TABLE katas.entry IN ACCESS EXCLUSIVE MODE").await?;
    Ok(client)
}

/// Probes all paths at once while the loads are on.
async fn probe_under(
    bench: &Bench,
    running: &Running,
    loads: Vec<(Prepared, u64)>,
) -> anyhow::Result<Vec<Probed>> {
    let duration = bench.settings.duration() * 6 / 5;
    // It is on before the first probe, and after the last one.
    let (before, after) = (duration / 5, DEADLINE);
    let sending: Vec<_> = loads
        .into_iter()
        .map(|(requests, connections)| {
            let load = Load { connections, rate: None, duration: before + duration + after };
            bench.spawn(requests, load)
        })
        .collect();
    tokio::time::sleep(before).await;
    let paths = [running.system.liveness(), "/db-check", "/health"];
    let probing: Vec<_> = paths
        .into_iter()
        .map(|path| probe(bench.oha.clone(), format!("{}{path}", running.base()), duration))
        .collect();
    let mut probed = Vec::new();
    for probe in probing {
        probed.push(probe.await??);
    }
    for sent in sending {
        sent.await??;
    }
    Ok(probed)
}

fn probe(oha: PathBuf, url: String, duration: Duration) -> JoinHandle<anyhow::Result<Probed>> {
    tokio::spawn(async move { load::probe(&oha, &url, RATE, duration).await })
}

fn record(recorder: &mut Recorder, running: &Running, scenario: &str, probed: &Probed) {
    let Probed { answered, refused, sent } = probed;
    let mut add = |metric, value| recorder.add(running.system, scenario, 0, metric, value);
    // A refusal is an answer in time, but its latency is not that of the service at work.
    let planned = sent - refused;
    for (share, metric) in SHARES {
        let latency = quantile(answered, planned, share, DEADLINE);
        add(metric, latency.as_secs_f64() * 1e3);
    }
    add(Metric::Sent, *sent as f64);
    add(Metric::Refused, *refused as f64);
    add(Metric::Missed, (planned - answered.len()) as f64);
}

/// Waits until what the load has left behind is done: the next load begins alike.
async fn settle(bench: &Bench, running: &Running) -> anyhow::Result<()> {
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
