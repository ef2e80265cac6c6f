//! Loading of CSV files through the service, compared with psql's `\copy`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use katas_host::local::postgres::DATABASE;

use crate::bench::{Bench, record_cpu};
use crate::paths::output_directory;
use crate::results::{Metric, Recorder};
use crate::systems::{RunningSystem, System};
use crate::{programs, usage};

/// The numbers of rows. The largest file is just below the limit of 64 MiB.
const ROWS: &[u64] = &[10_000, 100_000, 1_000_000];

/// Creates the target table of `\copy`.
const CREATE_COPY_TARGET: &str = "CREATE TABLE IF NOT EXISTS public.copied \
     (day text, customer text, city text, item text)";

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let mut recorder = Recorder::default();
    let psql = programs::postgres("psql");
    let systems = bench.start_matching(System::runs_components).await?;
    let client = bench.fixture.administrator().await?;
    client.batch_execute(CREATE_COPY_TARGET).await?;
    for &rows in bench.settings.subset(ROWS) {
        let file = create_csv(rows)?;
        let size = fs::metadata(&file)?.len();
        bench.add_steps(bench.settings.rounds * (systems.len() + 1));
        for _ in 0..bench.settings.rounds {
            for running in &systems {
                bench.step(&format!("ingest, {rows} rows, {}", running.system.label()));
                client.batch_execute("CHECKPOINT").await?;
                let before = bench.cpu([running]).await?;
                let (elapsed, peak, dataset) = timed_load(running, &file).await?;
                let cpu = bench.cpu_since(before, [running], rows as f64).await?;
                tokio::task::spawn_blocking(|| ureq::delete(dataset).call())
                    .await?
                    .context("cannot delete the dataset")?;
                record_load(&mut recorder, running.system, rows, size, elapsed);
                record_cpu(&mut recorder, running.system, "load", rows, cpu);
                recorder.add(running.system, "memory", rows, Metric::Bytes, peak as f64);
            }
            bench.step(&format!("ingest, {rows} rows, \\copy"));
            if let Some(psql) = &psql {
                client.batch_execute("TRUNCATE public.copied; CHECKPOINT").await?;
                let before = bench.cpu([]).await?;
                let elapsed = copy(bench, psql, &file).await?;
                let cpu = bench.cpu_since(before, [], rows as f64).await?;
                record_load(&mut recorder, System::Copy, rows, size, elapsed);
                // The CPU time of psql is unknown because it has exited.
                let [_, database] = cpu.unwrap_or_default();
                recorder.add(System::Copy, "load", rows, Metric::DatabaseCpu, database);
            }
        }
        fs::remove_file(file)?;
    }
    Ok(recorder)
}

fn record_load(recorder: &mut Recorder, system: System, rows: u64, size: u64, elapsed: Duration) {
    let rate = rows as f64 / elapsed.as_secs_f64();
    recorder.add(system, "load", rows, Metric::Rows, rate);
    recorder.add(system, "load", rows, Metric::Time, elapsed.as_secs_f64() * 1e3);
    recorder.add(system, "load", rows, Metric::Bytes, size as f64);
}

/// Creates a CSV file of distinct orders.
fn create_csv(rows: u64) -> anyhow::Result<PathBuf> {
    const ITEMS: [&str; 5] = ["socks", "shoes", "sweater", "\"coat, long\"", "hat"];
    let path = output_directory().join(format!("{rows}.csv"));
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

/// Loads a file, and returns the duration, the peak memory and the URL of the dataset.
async fn timed_load(
    running: &RunningSystem,
    file: &Path,
) -> anyhow::Result<(Duration, u64, String)> {
    let (base, file) = (running.base(), file.to_owned());
    let loading = tokio::task::spawn_blocking(move || load(&base, &file));
    let mut peak = 0;
    while !loading.is_finished() {
        if let Some(process) = running.process() {
            let current =
                tokio::task::spawn_blocking(move || usage::of_process_tree(process)).await??.memory;
            peak = peak.max(current);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (elapsed, dataset) = loading.await??;
    Ok((elapsed, peak, dataset))
}

fn load(base: &str, file: &Path) -> anyhow::Result<(Duration, String)> {
    let start = Instant::now();
    let response = ureq::post(format!("{base}/api/v1/datasets?name=bench"))
        .content_type("text/csv")
        .send(File::open(file)?)
        .context("cannot load the file")?;
    let elapsed = start.elapsed();
    let location = response
        .headers()
        .get("location")
        .context("response without Location header")?
        .to_str()?
        .to_owned();
    ensure!(location.starts_with('/'), "unexpected Location header: {location}");
    Ok((elapsed, format!("{base}{location}")))
}

async fn copy(bench: &Bench, psql: &Path, file: &Path) -> anyhow::Result<Duration> {
    let mut command = Command::new(psql);
    let copy = format!("\\copy public.copied FROM '{}' WITH (FORMAT csv, HEADER)", file.display());
    command.args(["--no-psqlrc", "--quiet", "--command", &copy]);
    command.arg(bench.fixture.postgres.administrator(DATABASE));
    let start = Instant::now();
    tokio::task::spawn_blocking(|| programs::run(command)).await??;
    Ok(start.elapsed())
}
