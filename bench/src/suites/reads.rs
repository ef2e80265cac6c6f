//! Reads by key, a list, requests without the database, and the floor for comparison.

use super::pgbench;
use crate::bench::{Bench, Series};
use crate::requests::Requests;
use crate::results::Recorder;

/// The numbers of connections at saturation. The best number differs between systems.
const CONNECTIONS: &[u64] = &[16, 64, 256];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let (systems, floor) = (bench.start().await?, bench.start_floor().await?);
    let mut recorder = Recorder::default();
    let look = Requests::lookup(&bench.fixture);
    let others = [
        Requests::user(&bench.fixture),
        Requests::list(),
        Requests::spending()?,
        Requests::nth_char()?,
        Requests::health(),
    ];
    let components = ["select", "open", "hello"].map(Requests::floor);
    let mut series = vec![Series { running: &systems, requests: &look, connections: CONNECTIONS }];
    for (running, kinds) in [(&floor, &components[..]), (&systems, &others)] {
        let one = |requests| Series { running, requests, connections: &[64] };
        series.extend(kinds.iter().map(one));
    }
    bench.warm_up(&systems, &look, 256).await?;
    bench.warm_up(&floor, &components[0], 64).await?;
    bench.saturate(&series, &mut recorder).await?;
    bench.measure_latency(&systems, &look, 64, &mut recorder).await?;
    pgbench::run(bench, 64, &mut recorder).await?;
    Ok(recorder)
}
