//! Inserts, each in a separate transaction that is durable before the response.

use crate::bench::{Bench, Series};
use crate::requests::Requests;
use crate::results::Recorder;

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let (systems, floor) = (bench.start().await?, bench.start_floor().await?);
    let mut recorder = Recorder::default();
    let (add, select) = (Requests::add()?, Requests::floor("select"));
    bench.warm_up(&systems, &add, 64).await?;
    bench.warm_up(&floor, &select, 64).await?;
    let series = [
        Series { running: &systems, requests: &add, connections: &[16, 64] },
        Series { running: &floor, requests: &select, connections: &[64] },
    ];
    bench.saturate(&series, &mut recorder).await?;
    bench.measure_latency(&systems, &add, 64, &mut recorder).await?;
    bench.fixture.clean().await?;
    Ok(recorder)
}
