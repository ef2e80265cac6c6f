//! Throughput over the number of client connections, and over instances that exceed the connection
//! limit of PostgreSQL.

use std::sync::Arc;

use deadpool_postgres::{Manager, Pool};
use tokio::sync::Barrier;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::bench::{Bench, Series, record_cpu};
use crate::load::Load;
use crate::requests::Requests;
use crate::results::{Metric, Recorder};
use crate::systems::{RunningSystem, System};

/// The numbers of client connections.
const CONNECTIONS: &[u64] = &[1, 4, 16, 64, 256, 512];
/// The numbers of instances, each a connection pool without a service.
const POOLS: &[u64] = &[1, 2, 4, 8, 16];
/// The numbers of service instances.
const INSTANCES: &[u64] = &[1, 2, 4];
/// The size of a connection pool in Spin.
const POOL_SIZE: u64 = 64;
/// The connection limit of the components' role in `db/roles.sql`.
const CONNECTION_LIMIT: u32 = 80;

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let mut recorder = Recorder::default();
    let look = Requests::lookup(&bench.fixture);
    {
        let (systems, floor) = (bench.start().await?, bench.start_floor().await?);
        let select = Requests::floor("select");
        bench.warm_up(&systems, &look, 512).await?;
        bench.warm_up(&floor, &select, 512).await?;
        let series = [
            Series { running: &systems, requests: &look, connections: CONNECTIONS },
            Series { running: &floor, requests: &select, connections: CONNECTIONS },
        ];
        bench.saturate(&series, &mut recorder).await?;
    }
    bench.fixture.limit_connections(Some(CONNECTION_LIMIT)).await?;
    let measured = measure_limit(bench, &look, &mut recorder).await;
    bench.fixture.limit_connections(None).await?;
    measured.map(|()| recorder)
}

/// Measures the effect of the connection limit on pools and on instances of the service.
async fn measure_limit(
    bench: &Bench,
    look: &Requests,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for &instances in bench.settings.subset(POOLS) {
        bench.add_steps(1);
        bench.step(&format!("{instances} pools"));
        fill_pools(bench, instances, recorder).await?;
    }
    if bench.settings.systems.contains(&System::Katas) {
        for &instances in bench.settings.subset(INSTANCES) {
            bench.add_steps(1);
            bench.step(&format!("{instances} instances"));
            measure_instances(bench, look, instances, recorder).await?;
        }
    }
    Ok(())
}

/// Fills one pool per instance with connections that are all in use at once.
async fn fill_pools(bench: &Bench, instances: u64, recorder: &mut Recorder) -> anyhow::Result<()> {
    let all_tried = Arc::new(Barrier::new(usize::try_from(instances * POOL_SIZE)?));
    let mut holders = Vec::new();
    for _ in 0..instances {
        let manager = Manager::new(bench.fixture.url().parse()?, NoTls);
        let pool = Pool::builder(manager).max_size(usize::try_from(POOL_SIZE)?).build()?;
        for _ in 0..POOL_SIZE {
            let (pool, all_tried) = (pool.clone(), all_tried.clone());
            holders.push(tokio::spawn(async move {
                let connection = pool.get().await;
                all_tried.wait().await;
                connection.map(drop)
            }));
        }
    }
    let (mut granted, mut refused) = (0.0, 0.0);
    for holder in holders {
        match holder.await? {
            Ok(()) => granted += 1.0,
            Err(error) if is_too_many_connections(&error) => refused += 1.0,
            Err(error) => return Err(error.into()),
        }
    }
    recorder.add(System::Pools, "pools", instances, Metric::Connections, granted);
    recorder.add(System::Pools, "pools", instances, Metric::Refused, refused);
    Ok(())
}

fn is_too_many_connections(error: &deadpool_postgres::PoolError) -> bool {
    let deadpool_postgres::PoolError::Backend(error) = error else { return false };
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
}

/// Saturates several instances at once. Requests without a database connection fail.
async fn measure_instances(
    bench: &Bench,
    look: &Requests,
    instances: u64,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let mut running = Vec::new();
    for _ in 0..instances {
        running.push(System::Katas.start(&bench.fixture).await?);
    }
    // The first load fills the connection pools.
    saturate(bench, look, &running).await?;
    let before = bench.cpu(&running).await?;
    let (rate, failed) = saturate(bench, look, &running).await?;
    let cpu = bench.cpu_since(before, &running, rate * bench.settings.seconds).await?;
    record_cpu(recorder, System::Katas, "instances", instances, cpu);
    recorder.add(System::Katas, "instances", instances, Metric::Rate, rate);
    recorder.add(System::Katas, "instances", instances, Metric::Failed, failed);
    Ok(())
}

/// Returns the successful and failed responses per second of all instances together.
async fn saturate(
    bench: &Bench,
    look: &Requests,
    running: &[RunningSystem],
) -> anyhow::Result<(f64, f64)> {
    let mut sending = Vec::new();
    for (number, instance) in running.iter().enumerate() {
        let prepared = look.prepare_for_instance(instance, number)?;
        let load = Load { connections: POOL_SIZE, rate: None, duration: bench.settings.duration() };
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
