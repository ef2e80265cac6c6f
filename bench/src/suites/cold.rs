//! Startup time, memory and component sizes.

use std::fs;
use std::time::{Duration, Instant};

use katas_host::manifest::Example;

use crate::application::Application;
use crate::bench::Bench;
use crate::load::Load;
use crate::paths::output_directory;
use crate::requests::Requests;
use crate::results::{Metric, Recorder};
use crate::systems::{RunningSystem, System};
use crate::usage;

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let mut recorder = Recorder::default();
    let Bench { settings, fixture, .. } = bench;
    bench.add_steps(settings.rounds * settings.systems.len());
    for round in 0..settings.rounds {
        for offset in 0..settings.systems.len() {
            let system = settings.systems[(round + offset) % settings.systems.len()];
            bench.step(&format!("cold, {}", system.label()));
            if system == System::Katas {
                startup_without_cache(bench, &mut recorder).await?;
            }
            let running = system.start(fixture).await?;
            add(&mut recorder, system, "ready", Metric::Time, milliseconds(running.startup));
            if system.runs_components() {
                first_requests(bench, &running, &mut recorder).await?;
            }
            measure_memory(bench, &running, &mut recorder).await?;
        }
    }
    sizes(bench, &mut recorder)?;
    Ok(recorder)
}

fn add(recorder: &mut Recorder, system: System, scenario: &str, metric: Metric, value: f64) {
    recorder.add(system, scenario, 0, metric, value);
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Measures the first startup after a build, with an empty cache of compiled components.
async fn startup_without_cache(bench: &Bench, recorder: &mut Recorder) -> anyhow::Result<()> {
    let cache = output_directory().join("cache");
    if cache.exists() {
        fs::remove_dir_all(&cache)?;
    }
    let startup =
        System::Katas.start_with(&bench.fixture, Application::Product, Some(&cache)).await?.startup;
    add(recorder, System::Katas, "uncompiled", Metric::Time, milliseconds(startup));
    Ok(())
}

/// Measures the first request to each component since the start of the process, and the median of
/// later requests.
async fn first_requests(
    bench: &Bench,
    running: &RunningSystem,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for (id, component) in &bench.fixture.manifest.component {
        let Some(example) = component.examples().iter().find(|example| is_read_only(example))
        else {
            continue;
        };
        let (url, body) = (url(&running.base(), example), example.body.clone());
        let times = tokio::task::spawn_blocking(move || calls(&url, body.as_deref())).await??;
        let (first, mut later) = (times[0], times[1..].to_vec());
        later.sort();
        let later = later[later.len() / 2];
        let system = running.system;
        add(recorder, system, &format!("{id}/first"), Metric::Time, milliseconds(first));
        add(recorder, system, &format!("{id}/later"), Metric::Time, milliseconds(later));
    }
    Ok(())
}

/// Returns whether a call leaves no data behind.
fn is_read_only(example: &Example) -> bool {
    let is_calculation = ["/api/v1/spending", "/api/v1/nth-char"].contains(&example.path.as_str());
    is_calculation || example.method == "GET"
}

fn url(base: &str, example: &Example) -> String {
    // Ids of resources that other examples create are unknown here. A 404 takes the same work.
    let path = example.path.split('/').map(|segment| match segment.starts_with('$') {
        true => "00000000-0000-4000-8000-000000000000",
        false => segment,
    });
    format!("{base}{}", path.collect::<Vec<_>>().join("/"))
}

fn calls(url: &str, body: Option<&str>) -> anyhow::Result<Vec<Duration>> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let call = || {
        let start = Instant::now();
        let mut response = match body {
            Some(body) => agent.post(url).content_type("application/json").send(body)?,
            None => agent.get(url).call()?,
        };
        response.body_mut().read_to_vec()?;
        Ok(start.elapsed())
    };
    (0..21).map(|_| call()).collect()
}

/// Measures resident memory after the first responses, and its peak under load.
async fn measure_memory(
    bench: &Bench,
    running: &RunningSystem,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let Some(process) = running.process() else { return Ok(()) };
    let look = Requests::lookup(&bench.fixture).prepare(running)?;
    let idle = tokio::task::spawn_blocking(move || usage::of_process_tree(process)).await??.memory;
    let load = Load { connections: 128, rate: None, duration: bench.settings.duration() };
    let sending = bench.spawn(look, load);
    let mut peak = idle;
    while !sending.is_finished() {
        let current =
            tokio::task::spawn_blocking(move || usage::of_process_tree(process)).await??.memory;
        peak = peak.max(current);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sending.await??;
    for (scenario, bytes) in [("memory/idle", idle as f64), ("memory/loaded", peak as f64)] {
        add(recorder, running.system, scenario, Metric::Bytes, bytes);
    }
    Ok(())
}

/// Records the size of each component.
fn sizes(bench: &Bench, recorder: &mut Recorder) -> anyhow::Result<()> {
    let manifest = &bench.fixture.manifest;
    for (id, component) in &manifest.component {
        let size = fs::metadata(manifest.root.join(component.source()))?.len();
        add(recorder, System::Katas, &format!("{id}/size"), Metric::Bytes, size as f64);
    }
    Ok(())
}
