//! What the suites share: settings, systems, load and progress.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::application::Application;
use crate::load::{self, Load, Outcome};
use crate::paths::folder;
use crate::requests::{Prepared, Requests};
use crate::results::{Metric, Recorder};
use crate::stage::Stage;
use crate::systems::{Running, System};
use crate::{answers, programs, usage};

/// How words and users there are.
const ROWS: u64 = 100_000;

/// How to measure.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// How often everything is measured; each time the systems are in another order
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,

    /// How long one measurement takes
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,

    /// What to measure [default: all that this machine can run]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub systems: Vec<System>,

    /// See whether all this works, in a minute, without Python; the numbers mean nothing
    #[arg(long)]
    pub quick: bool,
}

impl Settings {
    fn resolved(mut self) -> anyhow::Result<Settings> {
        if self.quick {
            (self.rounds, self.seconds) = (1, 0.2);
        }
        for system in &self.systems {
            ensure!(system.is_available(), "{} is not on this machine", system.label());
        }
        if self.systems.is_empty() {
            self.systems = match self.quick {
                true => vec![System::Katas, System::Axum],
                false => System::SERVERS.into_iter().filter(|it| it.is_available()).collect(),
            };
        }
        self.systems.sort();
        self.systems.dedup();
        ensure!(self.rounds > 0 && self.seconds > 0.0, "there is nothing to measure");
        Ok(self)
    }

    /// How long one measurement takes.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// All of these, or only the first one when it is only about whether it works.
    pub fn some<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        if self.quick { &all[..1] } else { all }
    }
}

/// What suites measure with.
pub struct Bench {
    /// How to measure.
    pub settings: Settings,
    /// The database.
    pub stage: Stage,
    /// The load generator.
    pub oha: PathBuf,
    bar: ProgressBar,
}

/// Requests to send to some systems, with each of these numbers of connections.
pub struct Series<'a> {
    /// The systems.
    pub running: &'a [Running],
    /// The requests.
    pub requests: &'a Requests,
    /// The numbers of connections.
    pub connections: &'a [u64],
}

impl Bench {
    /// Installs and builds what the settings need, and starts the database.
    pub async fn prepare(settings: Settings) -> anyhow::Result<Bench> {
        let settings = settings.resolved()?;
        std::fs::create_dir_all(folder())?;
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:20} {pos}/{len} {msg}");
        bar.set_style(style?);
        bar.enable_steady_tick(Duration::from_millis(500));
        bar.set_message("the load generator");
        let oha = programs::oha()?;
        for system in &settings.systems {
            bar.set_message(system.label());
            system.install()?;
        }
        bar.set_message("components and database");
        let stage = Stage::prepare(if settings.quick { 2_000 } else { ROWS }).await?;
        Ok(Bench { settings, stage, oha, bar })
    }

    /// Prints lines to standard output, above the progress bar.
    pub fn print(&self, lines: &str) {
        self.bar.suspend(|| println!("{lines}"));
    }

    /// Removes the progress bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Tells that so many steps are ahead.
    pub fn expect(&self, steps: usize) {
        self.bar.inc_length(steps as u64);
    }

    /// Tells which step begins.
    pub fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.inc(1);
    }

    /// Starts all systems. They answer alike, or else this fails.
    pub async fn start(&self) -> anyhow::Result<Vec<Running>> {
        self.start_those(|_| true).await
    }

    /// The same for those of the systems that are `wanted`.
    pub async fn start_those(
        &self,
        wanted: impl Fn(System) -> bool,
    ) -> anyhow::Result<Vec<Running>> {
        let mut systems = Vec::new();
        for system in self.settings.systems.iter().filter(|it| wanted(**it)) {
            self.bar.set_message(format!("{} starts", system.label()));
            systems.push(system.start(&self.stage).await?);
        }
        if let Some((first, others)) = systems.split_first() {
            for other in others {
                let (ours, peer) = (first.base(), other.base());
                let compared = tokio::task::spawn_blocking(move || answers::compare(&ours, &peer));
                compared.await?.with_context(|| other.system.label())?;
            }
        }
        Ok(systems)
    }

    /// Starts the floor on each system that runs components. Fails unless every component of it
    /// answers as it should.
    pub async fn start_floor(&self) -> anyhow::Result<Vec<Running>> {
        let mut floor = Vec::new();
        for system in self.settings.systems.iter().filter(|it| it.runs_components()) {
            self.bar.set_message(format!("{} starts the floor", system.label()));
            let running = system.start_with(&self.stage, Application::Floor, None).await?;
            let base = running.base();
            let checked = tokio::task::spawn_blocking(move || answers::check_floor(&base));
            checked.await?.with_context(|| format!("the floor on {}", system.label()))?;
            floor.push(running);
        }
        Ok(floor)
    }

    /// The items in each round's order: each of them is first in one of the rounds.
    pub fn rounds<'s, T>(&self, items: &'s [T]) -> impl Iterator<Item = &'s T> + use<'s, T> {
        let rounds = self.settings.rounds;
        (0..rounds).flat_map(move |round| {
            items.iter().cycle().skip(round % items.len().max(1)).take(items.len())
        })
    }

    /// Has systems fill their pools: each connection to PostgreSQL costs both sides some
    /// milliseconds of hashing, once.
    pub async fn warm(
        &self,
        systems: &[Running],
        requests: &Requests,
        connections: u64,
    ) -> anyhow::Result<()> {
        for running in systems {
            self.bar.set_message(format!("{}, {} warms up", requests.name, running.system.label()));
            let load = Load { connections, rate: None, duration: self.settings.duration() };
            load::send(&self.oha, &requests.to(running)?, load).await?;
        }
        Ok(())
    }

    /// Sends requests to a system, after a moment of the same as fast as it can.
    pub async fn send(
        &self,
        running: &Running,
        requests: &Requests,
        load: Load,
    ) -> anyhow::Result<Outcome> {
        let label = running.system.label();
        self.step(&format!("{}, {} connections, {label}", requests.name, load.connections));
        let prepared = requests.to(running)?;
        let warm = Load { rate: None, duration: self.settings.duration() / 10, ..load };
        load::send(&self.oha, &prepared, warm).await?;
        if requests.writes {
            self.stage.clean().await?;
        }
        let before = self.cpu([running]).await?;
        let mut outcome = load::send(&self.oha, &prepared, load).await.with_context(|| label)?;
        let answers = outcome.rate * load.duration.as_secs_f64();
        outcome.cpu = self.cpu_since(before, [running], answers).await?;
        if outcome.failed > 0 {
            let failures = outcome.failures.join(", ");
            self.bar.suspend(|| eprintln!("{}, {label}: {failures}", requests.name));
        }
        Ok(outcome)
    }

    /// Sends requests meanwhile.
    pub fn spawn(&self, requests: Prepared, load: Load) -> JoinHandle<anyhow::Result<Outcome>> {
        let oha = self.oha.clone();
        tokio::spawn(async move { load::send(&oha, &requests, load).await })
    }

    /// The CPU time in microseconds that services together and PostgreSQL have used so far.
    pub async fn cpu(
        &self,
        services: impl IntoIterator<Item = &Running>,
    ) -> anyhow::Result<[f64; 2]> {
        let services: Vec<_> = services.into_iter().map(Running::process).collect();
        let database = self.stage.postgres.process();
        let usage = tokio::task::spawn_blocking(move || {
            let cpu = |process: Option<i32>| {
                let usage = usage::of(process.context("the process has ended")?)?;
                anyhow::Ok(usage.cpu.as_secs_f64() * 1e6)
            };
            let services = services.into_iter().map(cpu).sum::<anyhow::Result<f64>>()?;
            anyhow::Ok([services, cpu(database)?])
        });
        usage.await?
    }

    /// The same since `before`, for each of `count` answers; `None` without answers.
    pub async fn cpu_since(
        &self,
        before: [f64; 2],
        services: impl IntoIterator<Item = &Running>,
        count: f64,
    ) -> anyhow::Result<Option<[f64; 2]>> {
        let after = self.cpu(services).await?;
        Ok((count > 0.0).then(|| [0, 1].map(|which| (after[which] - before[which]) / count)))
    }

    /// A closed loop: how much each system can do, with each number of connections. In a round,
    /// all series of one system follow each other, so that they are measured under the same
    /// conditions.
    pub async fn saturate(
        &self,
        series: &[Series<'_>],
        recorder: &mut Recorder,
    ) -> anyhow::Result<()> {
        let mut systems: Vec<_> =
            series.iter().flat_map(|it| it.running).map(|it| it.system).collect();
        systems.sort();
        systems.dedup();
        for Series { running, connections, .. } in series {
            let connections = self.settings.some(connections);
            self.expect(self.settings.rounds * running.len() * connections.len());
        }
        for system in self.rounds(&systems) {
            for Series { running, requests, connections } in series {
                for running in running.iter().filter(|it| it.system == *system) {
                    for &connections in self.settings.some(connections) {
                        let duration = self.settings.duration();
                        let load = Load { connections, rate: None, duration };
                        let outcome = self.send(running, requests, load).await?;
                        record(recorder, *system, requests.name, connections, &outcome);
                    }
                }
            }
        }
        Ok(())
    }

    /// An open loop at one rate for all: half of what the slowest can do. And, for each system, at
    /// 70 % of what it can do itself. The scenarios are called `…-same` and `…-own`.
    pub async fn pace(
        &self,
        systems: &[Running],
        requests: &Requests,
        connections: u64,
        recorder: &mut Recorder,
    ) -> anyhow::Result<()> {
        let capacity = |system| recorder.capacity(system, requests.name).map(|it| it.median);
        let capacities: Vec<_> =
            systems.iter().filter_map(|it| Some((it.system, capacity(it.system)?))).collect();
        let slowest = capacities.iter().map(|it| it.1).fold(f64::INFINITY, f64::min);
        self.expect(2 * self.settings.rounds * systems.len());
        for running in self.rounds(systems) {
            let own = capacities.iter().find(|it| it.0 == running.system);
            let own = own.context("its capacity is not known")?.1;
            for (name, rate) in [("same", slowest / 2.0), ("own", 0.7 * own)] {
                let rate = rate.max(1.0);
                let duration = self.settings.duration();
                let load = Load { connections, rate: Some(rate), duration };
                let outcome = self.send(running, requests, load).await?;
                let scenario = format!("{}-{name}", requests.name);
                recorder.add(running.system, &scenario, connections, Metric::Asked, rate);
                record(recorder, running.system, &scenario, connections, &outcome);
            }
        }
        Ok(())
    }
}

/// Notes all that one measurement has found.
pub fn record(
    recorder: &mut Recorder,
    system: System,
    scenario: &str,
    parameter: u64,
    outcome: &Outcome,
) {
    let metrics = [Metric::P50, Metric::P90, Metric::P99, Metric::P999];
    for (metric, value) in metrics.into_iter().zip(outcome.latency) {
        recorder.add(system, scenario, parameter, metric, value);
    }
    record_cpu(recorder, system, scenario, parameter, outcome.cpu);
    recorder.add(system, scenario, parameter, Metric::Rate, outcome.rate);
    recorder.add(system, scenario, parameter, Metric::Failed, outcome.failed as f64);
}

/// Records the CPU time of one measurement: of the service and of PostgreSQL, for each answer.
pub fn record_cpu(
    recorder: &mut Recorder,
    system: System,
    scenario: &str,
    parameter: u64,
    cpu: Option<[f64; 2]>,
) {
    let metrics = [Metric::ServiceCpu, Metric::DatabaseCpu];
    for (metric, value) in metrics.into_iter().zip(cpu.into_iter().flatten()) {
        recorder.add(system, scenario, parameter, metric, value);
    }
}
