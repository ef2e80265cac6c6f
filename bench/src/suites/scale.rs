//! From one connection to many, and from one instance to more than PostgreSQL grants.

use std::sync::Arc;

use deadpool_postgres::{Manager, Pool};
use tokio::sync::Barrier;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::bench::{Bench, Series, record_cpu};
use crate::load::Load;
use crate::requests::Requests;
use crate::results::{Metric, Recorder};
use crate::systems::{Running, System};

/// How many connections clients keep.
const CONNECTIONS: &[u64] = &[1, 4, 16, 64, 256, 512];
/// How many instances there are, where each is nothing but its pool.
const POOLS: &[u64] = &[1, 2, 4, 8, 16];
/// How many instances there are, each a whole one.
const INSTANCES: &[u64] = &[1, 2, 4];
/// The connections of one pool in Spin.
const POOL: u64 = 64;
/// What `db/roles.sql` grants the components' role.
pub const GRANTED: u32 = 80;

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let mut recorder = Recorder::default();
    let look = Requests::look(&bench.stage);
    {
        let (systems, floor) = (bench.start().await?, bench.start_floor().await?);
        let select = Requests::floor("select");
        bench.warm(&systems, &look, 512).await?;
        bench.warm(&floor, &select, 512).await?;
        let series = [
            Series { running: &systems, requests: &look, connections: CONNECTIONS },
            Series { running: &floor, requests: &select, connections: CONNECTIONS },
        ];
        bench.saturate(&series, &mut recorder).await?;
    }
    bench.stage.limit_connections(Some(GRANTED)).await?;
    let limited = limited(bench, &look, &mut recorder).await;
    bench.stage.limit_connections(None).await?;
    limited.map(|()| recorder)
}

/// What a limit does, first to pools alone, then to instances of the service.
async fn limited(bench: &Bench, look: &Requests, recorder: &mut Recorder) -> anyhow::Result<()> {
    for &instances in bench.settings.some(POOLS) {
        bench.expect(1);
        bench.step(&format!("{instances} pools"));
        pools(bench, instances, recorder).await?;
    }
    if bench.settings.systems.contains(&System::Katas) {
        for &instances in bench.settings.some(INSTANCES) {
            bench.expect(1);
            bench.step(&format!("{instances} instances"));
            self::instances(bench, look, instances, recorder).await?;
        }
    }
    Ok(())
}

/// Fills real pools, one for each instance, with connections that are all in use at once.
async fn pools(bench: &Bench, instances: u64, recorder: &mut Recorder) -> anyhow::Result<()> {
    let all_tried = Arc::new(Barrier::new(usize::try_from(instances * POOL)?));
    let mut users = Vec::new();
    for _ in 0..instances {
        let manager = Manager::new(bench.stage.url().parse()?, NoTls);
        let pool = Pool::builder(manager).max_size(usize::try_from(POOL)?).build()?;
        for _ in 0..POOL {
            let (pool, all_tried) = (pool.clone(), all_tried.clone());
            users.push(tokio::spawn(async move {
                let connection = pool.get().await;
                all_tried.wait().await;
                connection.map(drop)
            }));
        }
    }
    let (mut granted, mut refused) = (0.0, 0.0);
    for user in users {
        match user.await? {
            Ok(()) => granted += 1.0,
            Err(error) if is_too_many(&error) => refused += 1.0,
            Err(error) => return Err(error.into()),
        }
    }
    recorder.add(System::Pools, "pools", instances, Metric::Connections, granted);
    recorder.add(System::Pools, "pools", instances, Metric::Refused, refused);
    Ok(())
}

fn is_too_many(error: &deadpool_postgres::PoolError) -> bool {
    let deadpool_postgres::PoolError::Backend(error) = error else { return false };
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
}

/// Saturates several instances at once; what they cannot get a connection for they refuse.
async fn instances(
    bench: &Bench,
    look: &Requests,
    instances: u64,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let mut running = Vec::new();
    for _ in 0..instances {
        running.push(System::Katas.start(&bench.stage).await?);
    }
    // First to fill their pools.
    saturate(bench, look, &running).await?;
    let before = bench.cpu(&running).await?;
    let (rate, failed) = saturate(bench, look, &running).await?;
    let cpu = bench.cpu_since(before, &running, rate * bench.settings.seconds).await?;
    record_cpu(recorder, System::Katas, "instances", instances, cpu);
    recorder.add(System::Katas, "instances", instances, Metric::Rate, rate);
    recorder.add(System::Katas, "instances", instances, Metric::Failed, failed);
    Ok(())
}

/// Right and other answers per second of all instances together.
async fn saturate(
    bench: &Bench,
    look: &Requests,
    running: &[Running],
) -> anyhow::Result<(f64, f64)> {
    let mut sending = Vec::new();
    for (number, instance) in running.iter().enumerate() {
        let prepared = look.to_number(instance, number)?;
        let load = Load { connections: POOL, rate: None, duration: bench.settings.duration() };
        sending.push(bench.spawn(prepared, load));
    }
    let (mut rate, mut failed) = (0.0, 0.0);
    for sent in sending {
        let outcome = sent.await??;
        rate += outcome.rate;
        failed += outcome.failed as f64 / bench.settings.seconds;
    }
    Ok((rate, failed))
}
