//! Infrastructure of the suites: settings, running systems, load and progress.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::application::Application;
use crate::fixture::Fixture;
use crate::load::{self, Load, Outcome};
use crate::paths::output_directory;
use crate::requests::{Prepared, Requests};
use crate::results::{Metric, Recorder};
use crate::systems::{RunningSystem, System};
use crate::{conformance, programs, usage};

/// The number of words and of users in the database.
const ROWS: u64 = 100_000;

/// Options of a benchmark run.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Number of rounds; the order of the systems changes with each round
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,

    /// Duration of one measurement in seconds
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,

    /// Systems to measure [default: all that are available]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub systems: Vec<System>,

    /// Check that the suites work, in about a minute and without Python; the results are meaningless
    #[arg(long)]
    pub quick: bool,
}

impl Settings {
    fn resolved(mut self) -> anyhow::Result<Settings> {
        if self.quick {
            (self.rounds, self.seconds) = (1, 0.1);
        }
        for system in &self.systems {
            ensure!(system.is_available(), "{} is not installed", system.label());
        }
        if self.systems.is_empty() {
            self.systems = match self.quick {
                true => vec![System::Katas, System::Axum],
                false => {
                    System::SERVERS.into_iter().filter(|system| system.is_available()).collect()
                }
            };
        }
        self.systems.sort();
        self.systems.dedup();
        ensure!(
            self.rounds > 0 && self.seconds > 0.0,
            "--rounds and --seconds must be greater than 0"
        );
        Ok(self)
    }

    /// Returns the duration of one measurement.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Returns all items, or only the first one with `--quick`.
    pub fn subset<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        if self.quick { &all[..1] } else { all }
    }
}

/// The environment of a suite.
pub struct Bench {
    /// The options of the run.
    pub settings: Settings,
    /// The database that all systems share.
    pub fixture: Fixture,
    /// The path of the load generator oha.
    pub oha: PathBuf,
    bar: ProgressBar,
}

/// Requests to send to several systems with several numbers of connections.
pub struct Series<'a> {
    /// The systems.
    pub running: &'a [RunningSystem],
    /// The requests.
    pub requests: &'a Requests,
    /// The numbers of connections.
    pub connections: &'a [u64],
}

impl Bench {
    /// Installs and builds the selected systems and starts the database.
    pub async fn prepare(settings: Settings) -> anyhow::Result<Bench> {
        let settings = settings.resolved()?;
        std::fs::create_dir_all(output_directory())?;
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:20} {pos}/{len} {msg}");
        bar.set_style(style?);
        bar.enable_steady_tick(Duration::from_millis(500));
        bar.set_message("installing the load generator");
        let must_be_fast = !settings.quick;
        let oha = programs::oha(must_be_fast)?;
        for system in &settings.systems {
            bar.set_message(format!("installing {}", system.label()));
            system.install(must_be_fast)?;
        }
        bar.set_message("building the components and starting the database");
        let rows = if must_be_fast { ROWS } else { 2_000 };
        let fixture = Fixture::prepare(rows, must_be_fast).await?;
        Ok(Bench { settings, fixture, oha, bar })
    }

    /// Prints lines to standard output, above the progress bar.
    pub fn print(&self, lines: &str) {
        self.bar.suspend(|| println!("{lines}"));
    }

    /// Removes the progress bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Adds steps to the length of the progress bar.
    pub fn add_steps(&self, steps: usize) {
        self.bar.inc_length(steps as u64);
    }

    /// Shows the next step in the progress bar.
    pub fn step(&self, name: &str) {
        self.bar.set_message(name.to_owned());
        self.bar.inc(1);
    }

    /// Starts all systems. Fails if their responses differ.
    pub async fn start(&self) -> anyhow::Result<Vec<RunningSystem>> {
        self.start_matching(|_| true).await
    }

    /// Starts the systems for which `filter` returns true. Fails if their responses differ.
    pub async fn start_matching(
        &self,
        filter: impl Fn(System) -> bool,
    ) -> anyhow::Result<Vec<RunningSystem>> {
        let mut systems = Vec::new();
        for system in self.settings.systems.iter().filter(|system| filter(**system)) {
            self.bar.set_message(format!("starting {}", system.label()));
            systems.push(system.start(&self.fixture).await?);
        }
        if let Some((first, others)) = systems.split_first() {
            for other in others {
                let (reference, peer) = (first.base(), other.base());
                let compared =
                    tokio::task::spawn_blocking(move || conformance::compare(&reference, &peer));
                compared.await?.with_context(|| other.system.label())?;
            }
        }
        Ok(systems)
    }

    /// Starts the floor on each system that runs components. Fails if one of its components returns
    /// an unexpected response.
    pub async fn start_floor(&self) -> anyhow::Result<Vec<RunningSystem>> {
        let mut floor = Vec::new();
        for system in self.settings.systems.iter().filter(|system| system.runs_components()) {
            self.bar.set_message(format!("starting the floor on {}", system.label()));
            let running = system.start_with(&self.fixture, Application::Floor, None).await?;
            let base = running.base();
            let checked = tokio::task::spawn_blocking(move || conformance::check_floor(&base));
            checked.await?.with_context(|| format!("the floor on {}", system.label()))?;
            floor.push(running);
        }
        Ok(floor)
    }

    /// Returns the items once per round, rotated by one position in each round.
    pub fn rounds<'s, T>(&self, items: &'s [T]) -> impl Iterator<Item = &'s T> + use<'s, T> {
        let rounds = self.settings.rounds;
        (0..rounds).flat_map(move |round| {
            items.iter().cycle().skip(round % items.len().max(1)).take(items.len())
        })
    }

    /// Sends load to fill the connection pools: authentication of each PostgreSQL connection costs
    /// both sides some milliseconds of hashing.
    pub async fn warm_up(
        &self,
        systems: &[RunningSystem],
        requests: &Requests,
        connections: u64,
    ) -> anyhow::Result<()> {
        for running in systems {
            self.bar.set_message(format!(
                "{}, warming up {}",
                requests.name,
                running.system.label()
            ));
            let load = Load { connections, rate: None, duration: self.settings.duration() };
            load::send(&self.oha, &requests.prepare(running)?, load).await?;
        }
        Ok(())
    }

    /// Sends requests to a system, after a short closed-loop warm-up with the same requests.
    pub async fn send(
        &self,
        running: &RunningSystem,
        requests: &Requests,
        load: Load,
    ) -> anyhow::Result<Outcome> {
        let label = running.system.label();
        self.step(&format!("{}, {} connections, {label}", requests.name, load.connections));
        let prepared = requests.prepare(running)?;
        let warm_up = Load { rate: None, duration: self.settings.duration() / 10, ..load };
        load::send(&self.oha, &prepared, warm_up).await?;
        if requests.writes {
            self.fixture.clean().await?;
        }
        let before = self.cpu([running]).await?;
        let mut outcome = load::send(&self.oha, &prepared, load).await.with_context(|| label)?;
        let responses = outcome.rate * load.duration.as_secs_f64();
        outcome.cpu = self.cpu_since(before, [running], responses).await?;
        if outcome.failed > 0 {
            let failures = outcome.failures.join(", ");
            self.bar.suspend(|| eprintln!("{}, {label}: {failures}", requests.name));
        }
        Ok(outcome)
    }

    /// Sends requests in a background task.
    pub fn spawn(&self, requests: Prepared, load: Load) -> JoinHandle<anyhow::Result<Outcome>> {
        let oha = self.oha.clone();
        tokio::spawn(async move { load::send(&oha, &requests, load).await })
    }

    /// Returns the CPU time used so far in microseconds: the sum of `services`, and PostgreSQL.
    pub async fn cpu(
        &self,
        services: impl IntoIterator<Item = &RunningSystem>,
    ) -> anyhow::Result<[f64; 2]> {
        let services: Vec<_> = services.into_iter().map(RunningSystem::process).collect();
        let database = self.fixture.postgres.process();
        let usage = tokio::task::spawn_blocking(move || {
            let cpu = |process: Option<i32>| {
                let usage = usage::of_process_tree(process.context("the process has ended")?)?;
                anyhow::Ok(usage.cpu.as_secs_f64() * 1e6)
            };
            let services = services.into_iter().map(cpu).sum::<anyhow::Result<f64>>()?;
            anyhow::Ok([services, cpu(database)?])
        });
        usage.await?
    }

    /// Returns the CPU time since `before` divided by `count`, or `None` if `count` is 0.
    pub async fn cpu_since(
        &self,
        before: [f64; 2],
        services: impl IntoIterator<Item = &RunningSystem>,
        count: f64,
    ) -> anyhow::Result<Option<[f64; 2]>> {
        let after = self.cpu(services).await?;
        Ok((count > 0.0).then(|| [0, 1].map(|index| (after[index] - before[index]) / count)))
    }

    /// Measures capacity in a closed loop, for each series and number of connections. In a round, all
    /// series of a system follow each other, so that they are measured under the same conditions.
    pub async fn saturate(
        &self,
        series: &[Series<'_>],
        recorder: &mut Recorder,
    ) -> anyhow::Result<()> {
        let mut systems: Vec<_> =
            series.iter().flat_map(|series| series.running).map(|running| running.system).collect();
        systems.sort();
        systems.dedup();
        for Series { running, connections, .. } in series {
            let connections = self.settings.subset(connections);
            self.add_steps(self.settings.rounds * running.len() * connections.len());
        }
        for system in self.rounds(&systems) {
            for Series { running, requests, connections } in series {
                for running in running.iter().filter(|running| running.system == *system) {
                    for &connections in self.settings.subset(connections) {
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

    /// Measures latency in an open loop: at half of the slowest system's capacity for all systems
    /// (scenario `…-same`), and at 70 % of each system's capacity (scenario `…-own`).
    pub async fn measure_latency(
        &self,
        systems: &[RunningSystem],
        requests: &Requests,
        connections: u64,
        recorder: &mut Recorder,
    ) -> anyhow::Result<()> {
        let capacity =
            |system| recorder.capacity(system, requests.name).map(|spread| spread.median);
        let capacities: Vec<_> = systems
            .iter()
            .filter_map(|running| Some((running.system, capacity(running.system)?)))
            .collect();
        let slowest =
            capacities.iter().map(|(_, capacity)| *capacity).fold(f64::INFINITY, f64::min);
        self.add_steps(2 * self.settings.rounds * systems.len());
        for running in self.rounds(systems) {
            let own = capacities.iter().find(|(system, _)| *system == running.system);
            let (_, own) = own.context("the capacity was not measured")?;
            for (name, rate) in [("same", slowest / 2.0), ("own", 0.7 * own)] {
                let rate = rate.max(1.0);
                let duration = self.settings.duration();
                let load = Load { connections, rate: Some(rate), duration };
                let outcome = self.send(running, requests, load).await?;
                let scenario = format!("{}-{name}", requests.name);
                recorder.add(running.system, &scenario, connections, Metric::TargetRate, rate);
                record(recorder, running.system, &scenario, connections, &outcome);
            }
        }
        Ok(())
    }
}

/// Records the outcome of one measurement.
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

/// Records the CPU time per response of one measurement: of the service and of PostgreSQL.
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
