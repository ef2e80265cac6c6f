//! Concurrent reads, lists, writes and calculations, each kind on separate connections.

use crate::bench::{Bench, record, record_cpu};
use crate::load::{Load, Outcome};
use crate::requests::Requests;
use crate::results::{Metric, Recorder};
use crate::systems::RunningSystem;

/// The percentage of all requests and the number of connections of each kind.
const SHARES: [(f64, u64); 5] = [(80.0, 48), (5.0, 4), (5.0, 4), (5.0, 4), (5.0, 4)];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let (systems, floor) = (bench.start().await?, bench.start_floor().await?);
    let mut recorder = Recorder::default();
    let kinds = [
        Requests::lookup(&bench.fixture),
        Requests::list(),
        Requests::spending()?,
        Requests::add()?,
        Requests::remove(),
    ];
    let select = Requests::floor("select");
    for running in &systems {
        send(bench, running, &kinds, None).await?;
    }
    bench.warm_up(&floor, &select, 64).await?;
    bench.add_steps(bench.settings.rounds * (2 * systems.len() + floor.len()));
    for running in bench.rounds(&systems) {
        bench.step(&format!("mixed, {}", running.system.label()));
        let before = bench.cpu([running]).await?;
        let outcomes = send(bench, running, &kinds, None).await?;
        let rate: f64 = outcomes.iter().map(|outcome| outcome.rate).sum();
        let cpu = bench.cpu_since(before, [running], rate * bench.settings.seconds).await?;
        recorder.add(running.system, "all", 64, Metric::Rate, rate);
        record_cpu(&mut recorder, running.system, "all", 64, cpu);
        for floor in floor.iter().filter(|floor| floor.system == running.system) {
            let duration = bench.settings.duration();
            let load = Load { connections: 64, rate: None, duration };
            let outcome = bench.send(floor, &select, load).await?;
            record(&mut recorder, floor.system, select.name, 64, &outcome);
        }
    }
    let capacities = systems.iter().filter_map(|running| recorder.capacity(running.system, "all"));
    let slowest = capacities.map(|spread| spread.median).fold(f64::INFINITY, f64::min);
    let rate = (slowest / 2.0).max(20.0);
    for running in bench.rounds(&systems) {
        bench.step(&format!("mixed at a fixed rate, {}", running.system.label()));
        recorder.add(running.system, "same", 64, Metric::TargetRate, rate);
        for (kind, outcome) in kinds.iter().zip(send(bench, running, &kinds, Some(rate)).await?) {
            let scenario = format!("{}-same", kind.name);
            record(&mut recorder, running.system, &scenario, 64, &outcome);
        }
    }
    Ok(recorder)
}

/// Sends all kinds of requests concurrently: at a total rate, or in a closed loop.
async fn send(
    bench: &Bench,
    running: &RunningSystem,
    kinds: &[Requests; 5],
    rate: Option<f64>,
) -> anyhow::Result<Vec<Outcome>> {
    bench.fixture.clean().await?;
    let mut sending = Vec::new();
    for (requests, (share, connections)) in kinds.iter().zip(SHARES) {
        let prepared = requests.prepare(running)?;
        let rate = rate.map(|rate| rate * share / 100.0);
        let load = Load { connections, rate, duration: bench.settings.duration() };
        sending.push(bench.spawn(prepared, load));
    }
    let mut outcomes = Vec::new();
    for sent in sending {
        outcomes.push(sent.await??);
    }
    bench.fixture.clean().await?;
    Ok(outcomes)
}
