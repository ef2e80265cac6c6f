//! Files of CSV into rows: through the service, and by PostgreSQL's own `\copy`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use katas_host::local::postgres::DATABASE;

use crate::bench::{Bench, record_cpu};
use crate::paths::folder;
use crate::results::{Metric, Recorder};
use crate::systems::{Running, System};
use crate::{programs, usage};

/// How many rows the files have. The largest file is just under the 64 MiB that are accepted.
const ROWS: &[u64] = &[10_000, 100_000, 1_000_000];

/// What the same file is copied into.
const COPIED: &str = "CREATE TABLE IF NOT EXISTS public.copied \
     (day text, customer text, city text, item text)";

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let mut recorder = Recorder::default();
    let psql = programs::postgres("psql");
    let systems = bench.start_those(System::runs_components).await?;
    let client = bench.stage.administrator().await?;
    client.batch_execute(COPIED).await?;
    for &rows in bench.settings.some(ROWS) {
        let file = csv(rows)?;
        let size = fs::metadata(&file)?.len();
        bench.expect(bench.settings.rounds * (systems.len() + 1));
        for _ in 0..bench.settings.rounds {
            for running in &systems {
                bench.step(&format!("ingest, {rows} rows, {}", running.system.label()));
                client.batch_execute("CHECKPOINT").await?;
                let before = bench.cpu([running]).await?;
                let (took, most, dataset) = timed_load(running, &file).await?;
                let cpu = bench.cpu_since(before, [running], rows as f64).await?;
                tokio::task::spawn_blocking(|| ureq::delete(dataset).call())
                    .await?
                    .context("the dataset was not deleted")?;
                note(&mut recorder, running.system, rows, size, took);
                record_cpu(&mut recorder, running.system, "load", rows, cpu);
                recorder.add(running.system, "memory", rows, Metric::Bytes, most as f64);
            }
            bench.step(&format!("ingest, {rows} rows, \\copy"));
            if let Some(psql) = &psql {
                client.batch_execute("TRUNCATE public.copied; CHECKPOINT").await?;
                let before = bench.cpu([]).await?;
                let took = copy(bench, psql, &file).await?;
                let cpu = bench.cpu_since(before, [], rows as f64).await?;
                note(&mut recorder, System::Copy, rows, size, took);
                // psql has ended: what it used itself is not known.
                let [_, database] = cpu.unwrap_or_default();
                recorder.add(System::Copy, "load", rows, Metric::DatabaseCpu, database);
            }
        }
        fs::remove_file(file)?;
    }
    Ok(recorder)
}

fn note(recorder: &mut Recorder, system: System, rows: u64, size: u64, took: Duration) {
    let rate = rows as f64 / took.as_secs_f64();
    recorder.add(system, "load", rows, Metric::Rows, rate);
    recorder.add(system, "load", rows, Metric::Time, took.as_secs_f64() * 1e3);
    recorder.add(system, "load", rows, Metric::Bytes, size as f64);
}

/// A file of orders with as many rows, each a little different.
fn csv(rows: u64) -> anyhow::Result<PathBuf> {
    const ITEMS: [&str; 5] = ["socks", "shoes", "sweater", "\"coat, long\"", "hat"];
    let path = folder().join(format!("{rows}.csv"));
    let mut file = BufWriter::new(File::create(&path)?);
    writeln!(file, "day,customer,city,item")?;
    for row in 0..rows {
        let (month, day) = (row % 12 + 1, row % 28 + 1);
        let item = ITEMS[usize::try_from(row % 5)?];
        writeln!(
            file,
            "2025-{month:02}-{day:02},customer number {row},Springfield {},{item}",
            row % 97
        )?;
    }
    file.flush()?;
    Ok(path)
}

/// Loads a file. Returns how long it took, the most memory meanwhile, and the dataset's URL.
async fn timed_load(running: &Running, file: &Path) -> anyhow::Result<(Duration, u64, String)> {
    let (base, file) = (running.base(), file.to_owned());
    let loading = tokio::task::spawn_blocking(move || load(&base, &file));
    let mut most = 0;
    while !loading.is_finished() {
        if let Some(process) = running.process() {
            let now = tokio::task::spawn_blocking(move || usage::of(process)).await??.memory;
            most = most.max(now);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (took, dataset) = loading.await??;
    Ok((took, most, dataset))
}

fn load(base: &str, file: &Path) -> anyhow::Result<(Duration, String)> {
    let start = Instant::now();
    let loaded = ureq::post(format!("{base}/api/v1/datasets?name=bench"))
        .content_type("text/csv")
        .send(File::open(file)?)
        .context("the file was not loaded")?;
    let took = start.elapsed();
    let place = loaded.headers().get("location").context("no Location")?.to_str()?.to_owned();
    ensure!(place.starts_with('/'), "the Location is {place}");
    Ok((took, format!("{base}{place}")))
}

async fn copy(bench: &Bench, psql: &Path, file: &Path) -> anyhow::Result<Duration> {
    let mut command = Command::new(psql);
    let copy = format!("\\copy public.copied FROM '{}' WITH (FORMAT csv, HEADER)", file.display());
    command.args(["--no-psqlrc", "--quiet", "--command", &copy]);
    command.arg(bench.stage.postgres.administrator(DATABASE));
    let start = Instant::now();
    tokio::task::spawn_blocking(|| programs::complete(command)).await??;
    Ok(start.elapsed())
}
