//! Keyed reads, a list, and what needs no database.

use super::floor;
use crate::bench::Bench;
use crate::requests::Requests;
use crate::results::Recorder;

/// Connections with which systems are saturated: which number suits one best differs.
const CONNECTIONS: &[u64] = &[16, 64, 256];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let systems = bench.start().await?;
    let mut recorder = Recorder::default();
    let look = Requests::look(&bench.stage);
    bench.saturate(&systems, &look, CONNECTIONS, &mut recorder).await?;
    bench.pace(&systems, &look, 64, &mut recorder).await?;
    for requests in [Requests::user(&bench.stage), Requests::list(), Requests::spend()?] {
        bench.saturate(&systems, &requests, &[64], &mut recorder).await?;
    }
    floor::run(bench, 64, &mut recorder).await?;
    Ok(recorder)
}
