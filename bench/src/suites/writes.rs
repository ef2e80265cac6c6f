//! Adding words, each in a transaction of its own that is on the disk when it is answered.

use crate::bench::Bench;
use crate::requests::Requests;
use crate::results::Recorder;

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let systems = bench.start().await?;
    let mut recorder = Recorder::default();
    let add = Requests::add()?;
    bench.saturate(&systems, &add, &[16, 64], &mut recorder).await?;
    bench.pace(&systems, &add, 64, &mut recorder).await?;
    bench.stage.clean().await?;
    Ok(recorder)
}
