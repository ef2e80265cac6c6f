//! Keyed reads, a list, requests that need no database, and the floor beside them.

use super::pgbench;
use crate::bench::{Bench, Series};
use crate::requests::Requests;
use crate::results::Recorder;

/// Connections with which systems are saturated: which number suits one best differs.
const CONNECTIONS: &[u64] = &[16, 64, 256];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let (systems, floor) = (bench.start().await?, bench.start_floor().await?);
    let mut recorder = Recorder::default();
    let look = Requests::look(&bench.stage);
    let others = [
        Requests::user(&bench.stage),
        Requests::list(),
        Requests::spend()?,
        Requests::nth_char()?,
        Requests::health(),
    ];
    let components = ["select", "open", "hello"].map(Requests::floor);
    let mut series = vec![Series { running: &systems, requests: &look, connections: CONNECTIONS }];
    for (running, kinds) in [(&floor, &components[..]), (&systems, &others)] {
        let one = |requests| Series { running, requests, connections: &[64] };
        series.extend(kinds.iter().map(one));
    }
    bench.warm(&systems, &look, 256).await?;
    bench.warm(&floor, &components[0], 64).await?;
    bench.saturate(&series, &mut recorder).await?;
    bench.pace(&systems, &look, 64, &mut recorder).await?;
    pgbench::run(bench, 64, &mut recorder).await?;
    Ok(recorder)
}
