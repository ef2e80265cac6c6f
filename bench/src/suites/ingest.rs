//! Loading and reading of CSV files through the service, compared with psql's `\copy`.

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

/// Empties the tables of datasets.
const TRUNCATE_DATASETS: &str = "TRUNCATE katas.dataset, katas.dataset_row CASCADE; CHECKPOINT";

/// Returns the size of the tables of datasets on disk, with indexes and TOAST.
const DATASETS_SIZE: &str = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class \
     WHERE relnamespace = 'katas'::regnamespace AND relname LIKE 'dataset%' AND relkind = 'r'";

const COPY_TARGET_SIZE: &str = "SELECT pg_total_relation_size('public.copied')";

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
                client.batch_execute(TRUNCATE_DATASETS).await?;
                let before = bench.cpu([running]).await?;
                let (elapsed, peak, dataset) = timed_load(running, &file).await?;
                let cpu = bench.cpu_since(before, [running], rows as f64).await?;
                record_load(&mut recorder, running.system, rows, size, elapsed);
                record_cpu(&mut recorder, running.system, "load", rows, cpu);
                recorder.add(running.system, "memory", rows, Metric::Bytes, peak as f64);
                let stored: i64 = client.query_one(DATASETS_SIZE, &[]).await?.get(0);
                recorder.add(running.system, "stored", rows, Metric::Bytes, stored as f64);
                let base = running.base();
                let (export, spending) =
                    tokio::task::spawn_blocking(move || read(&base, &dataset)).await??;
                record_rate(&mut recorder, running.system, "export", rows, export);
                record_rate(&mut recorder, running.system, "run", rows, spending);
            }
            bench.step(&format!("ingest, {rows} rows, \\copy"));
            if let Some(psql) = &psql {
                client.batch_execute("TRUNCATE public.copied; CHECKPOINT").await?;
                let before = bench.cpu([]).await?;
                let from = format!("FROM '{}' WITH (FORMAT csv, HEADER)", file.display());
                let elapsed = copy(bench, psql, &from).await?;
                let cpu = bench.cpu_since(before, [], rows as f64).await?;
                record_load(&mut recorder, System::Copy, rows, size, elapsed);
                // The CPU time of psql is unknown because it has exited.
                let [_, database] = cpu.unwrap_or_default();
                recorder.add(System::Copy, "load", rows, Metric::DatabaseCpu, database);
                let stored: i64 = client.query_one(COPY_TARGET_SIZE, &[]).await?.get(0);
                recorder.add(System::Copy, "stored", rows, Metric::Bytes, stored as f64);
                let elapsed = copy(bench, psql, "TO '/dev/null' WITH (FORMAT csv, HEADER)").await?;
                record_rate(&mut recorder, System::Copy, "export", rows, elapsed);
            }
        }
        fs::remove_file(file)?;
    }
    Ok(recorder)
}

fn record_load(recorder: &mut Recorder, system: System, rows: u64, size: u64, elapsed: Duration) {
    record_rate(recorder, system, "load", rows, elapsed);
    recorder.add(system, "load", rows, Metric::Time, elapsed.as_secs_f64() * 1e3);
    recorder.add(system, "load", rows, Metric::Bytes, size as f64);
}

fn record_rate(
    recorder: &mut Recorder,
    system: System,
    scenario: &str,
    rows: u64,
    elapsed: Duration,
) {
    recorder.add(system, scenario, rows, Metric::Rows, rows as f64 / elapsed.as_secs_f64());
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

/// Exports a dataset and applies a kata to it. Returns the durations.
fn read(base: &str, dataset: &str) -> anyhow::Result<(Duration, Duration)> {
    let start = Instant::now();
    let exported = ureq::get(format!("{dataset}/rows")).header("accept", "text/csv").call();
    let mut body = exported.context("cannot export the dataset")?.into_body().into_reader();
    std::io::copy(&mut body, &mut std::io::sink())?;
    let export = start.elapsed();
    let prices = r#"{"costs":{"socks":5,"shoes":60,"sweater":30}}"#;
    let list = ureq::put(format!("{base}/api/v1/price-lists/bench"));
    list.content_type("application/json").send(prices).context("cannot store the prices")?;
    let start = Instant::now();
    let spending = r#"{"kata":"spending","item_column":"item","group_by":"city","price_list":"bench","tax":0.09}"#;
    let run = ureq::post(format!("{dataset}/runs")).content_type("application/json");
    run.send(spending).context("cannot apply the kata")?;
    Ok((export, start.elapsed()))
}

/// Copies from or to a file.
async fn copy(bench: &Bench, psql: &Path, direction: &str) -> anyhow::Result<Duration> {
    let mut command = Command::new(psql);
    let copy = format!("\\copy public.copied {direction}");
    command.args(["--no-psqlrc", "--quiet", "--command", &copy]);
    command.arg(bench.fixture.postgres.administrator(DATABASE));
    let start = Instant::now();
    tokio::task::spawn_blocking(|| programs::run(command)).await??;
    Ok(start.elapsed())
}
