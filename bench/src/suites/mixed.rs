//! Reads, lists, writes and reckoning at the same time, each on connections of its own.

use crate::bench::{Bench, record, record_cpu};
use crate::load::{Load, Outcome};
use crate::requests::Requests;
use crate::results::{Metric, Recorder};
use crate::systems::Running;

/// Which part of all requests each kind is, in percent, and how many connections send it.
const SHARES: [(f64, u64); 5] = [(80.0, 48), (5.0, 4), (5.0, 4), (5.0, 4), (5.0, 4)];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let (systems, floor) = (bench.start().await?, bench.start_floor().await?);
    let mut recorder = Recorder::default();
    let kinds = [
        Requests::look(&bench.stage),
        Requests::list(),
        Requests::spend()?,
        Requests::add()?,
        Requests::remove(),
    ];
    let select = Requests::floor("select");
    for running in &systems {
        send(bench, running, &kinds, None).await?;
    }
    bench.warm(&floor, &select, 64).await?;
    bench.expect(bench.settings.rounds * (2 * systems.len() + floor.len()));
    for running in bench.rounds(&systems) {
        bench.step(&format!("mixed, {}", running.system.label()));
        let before = bench.cpu([running]).await?;
        let outcomes = send(bench, running, &kinds, None).await?;
        let rate: f64 = outcomes.iter().map(|it| it.rate).sum();
        let cpu = bench.cpu_since(before, [running], rate * bench.settings.seconds).await?;
        recorder.add(running.system, "all", 64, Metric::Rate, rate);
        record_cpu(&mut recorder, running.system, "all", 64, cpu);
        for floor in floor.iter().filter(|it| it.system == running.system) {
            let duration = bench.settings.duration();
            let load = Load { connections: 64, rate: None, duration };
            let outcome = bench.send(floor, &select, load).await?;
            record(&mut recorder, floor.system, select.name, 64, &outcome);
        }
    }
    let capacities = systems.iter().filter_map(|it| recorder.capacity(it.system, "all"));
    let slowest = capacities.map(|it| it.median).fold(f64::INFINITY, f64::min);
    let rate = (slowest / 2.0).max(20.0);
    for running in bench.rounds(&systems) {
        bench.step(&format!("mixed at a rate, {}", running.system.label()));
        recorder.add(running.system, "same", 64, Metric::Asked, rate);
        for (kind, outcome) in kinds.iter().zip(send(bench, running, &kinds, Some(rate)).await?) {
            let scenario = format!("{}-same", kind.name);
            record(&mut recorder, running.system, &scenario, 64, &outcome);
        }
    }
    Ok(recorder)
}

/// Sends all kinds at once: at a rate that they share, or as fast as answers come.
async fn send(
    bench: &Bench,
    running: &Running,
    kinds: &[Requests; 5],
    rate: Option<f64>,
) -> anyhow::Result<Vec<Outcome>> {
    bench.stage.clean().await?;
    let mut sending = Vec::new();
    for (requests, (share, connections)) in kinds.iter().zip(SHARES) {
        let prepared = requests.to(running)?;
        let rate = rate.map(|rate| rate * share / 100.0);
        let load = Load { connections, rate, duration: bench.settings.duration() };
        sending.push(bench.spawn(prepared, load));
    }
    let mut outcomes = Vec::new();
    for sent in sending {
        outcomes.push(sent.await??);
    }
    bench.stage.clean().await?;
    Ok(outcomes)
}
