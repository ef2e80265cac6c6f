//! From the start of the process to the first answers; memory and sizes.

use std::fs;
use std::time::{Duration, Instant};

use katas_host::manifest::Example;

use crate::application::Application;
use crate::bench::Bench;
use crate::load::Load;
use crate::paths::folder;
use crate::requests::Requests;
use crate::results::{Metric, Recorder};
use crate::systems::{Running, System};
use crate::usage;

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let mut recorder = Recorder::default();
    let Bench { settings, stage, .. } = bench;
    bench.expect(settings.rounds * settings.systems.len());
    for round in 0..settings.rounds {
        for offset in 0..settings.systems.len() {
            let system = settings.systems[(round + offset) % settings.systems.len()];
            bench.step(&format!("cold, {}", system.label()));
            if system == System::Katas {
                uncompiled(bench, &mut recorder).await?;
            }
            let running = system.start(stage).await?;
            add(&mut recorder, system, "ready", Metric::Time, milliseconds(running.ready));
            if system.runs_components() {
                first_calls(bench, &running, &mut recorder).await?;
            }
            memory_of(bench, &running, &mut recorder).await?;
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

/// The first start after a build, on a machine that has compiled none of the components yet.
async fn uncompiled(bench: &Bench, recorder: &mut Recorder) -> anyhow::Result<()> {
    let cache = folder().join("cache");
    if cache.exists() {
        fs::remove_dir_all(&cache)?;
    }
    let ready =
        System::Katas.start_with(&bench.stage, Application::Product, Some(&cache)).await?.ready;
    add(recorder, System::Katas, "uncompiled", Metric::Time, milliseconds(ready));
    Ok(())
}

/// The first request to each component since the process began, and the median of later ones.
async fn first_calls(
    bench: &Bench,
    running: &Running,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for (id, component) in &bench.stage.manifest.component {
        let Some(example) = component.examples().iter().find(|it| is_harmless(it)) else {
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

/// Whether a call leaves nothing behind.
fn is_harmless(example: &Example) -> bool {
    let computes = ["/api/v1/spending", "/api/v1/nth-char"].contains(&example.path.as_str());
    computes || example.method == "GET"
}

fn url(base: &str, example: &Example) -> String {
    // What another call would have made is not there. To say so is the same work.
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

/// Resident memory: after the first answers, and the most while it is under load.
async fn memory_of(
    bench: &Bench,
    running: &Running,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let Some(process) = running.process() else { return Ok(()) };
    let look = Requests::look(&bench.stage).to(running)?;
    let idle = tokio::task::spawn_blocking(move || usage::of(process)).await??.memory;
    let load = Load { connections: 128, rate: None, duration: bench.settings.duration() };
    let sending = bench.spawn(look, load);
    let mut most = idle;
    while !sending.is_finished() {
        let now = tokio::task::spawn_blocking(move || usage::of(process)).await??.memory;
        most = most.max(now);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sending.await??;
    for (scenario, bytes) in [("memory/idle", idle as f64), ("memory/loaded", most as f64)] {
        add(recorder, running.system, scenario, Metric::Bytes, bytes);
    }
    Ok(())
}

/// The size of each component.
fn sizes(bench: &Bench, recorder: &mut Recorder) -> anyhow::Result<()> {
    let manifest = &bench.stage.manifest;
    for (id, component) in &manifest.component {
        let size = fs::metadata(manifest.root.join(component.source()))?.len();
        add(recorder, System::Katas, &format!("{id}/size"), Metric::Bytes, size as f64);
    }
    Ok(())
}
