//! The systems under test, each in a separate process.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use katas_host::local::process::Child;
use katas_host::local::spin::{self, Spin};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::fixture::Fixture;
use crate::paths::{output_directory, root};
use crate::programs;

/// A measured system. The order is that of tables and charts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The local host: `katas up`
    Katas,
    /// The components on Spin
    Spin,
    /// The native axum peer
    Axum,
    /// The FastAPI peer: one uvicorn process
    Uvicorn,
    /// The FastAPI peer: gunicorn with eight uvicorn workers
    Gunicorn,
    /// pgbench with a prepared statement, without HTTP
    #[value(skip)]
    PgbenchPrepared,
    /// pgbench with the statement of the component, parsed for each execution
    #[value(skip)]
    #[serde(rename = "pgbench-wrapped")]
    PgbenchUnprepared,
    /// pgbench with a connection reset before each execution, as in Spin's pool
    #[value(skip)]
    PgbenchReset,
    /// psql with `\copy`
    #[value(skip)]
    Copy,
    /// Connection pools of the size of Spin's, without a service
    #[value(skip)]
    Pools,
}

impl System {
    /// The systems that serve HTTP.
    pub const SERVERS: [System; 5] =
        [System::Katas, System::Spin, System::Axum, System::Uvicorn, System::Gunicorn];

    /// Returns the label in tables and charts.
    pub fn label(self) -> &'static str {
        match self {
            System::Katas => "katas (local host)",
            System::Spin => "Spin",
            System::Axum => "axum, native",
            System::Uvicorn => "FastAPI, 1 uvicorn",
            System::Gunicorn => "FastAPI, gunicorn × 8",
            System::PgbenchPrepared => "pgbench, prepared",
            System::PgbenchUnprepared => "pgbench, unprepared",
            System::PgbenchReset => "pgbench, with reset",
            System::Copy => "psql \\copy",
            System::Pools => "connection pools",
        }
    }

    /// Returns whether the system runs the components.
    pub fn runs_components(self) -> bool {
        matches!(self, System::Katas | System::Spin)
    }

    /// Returns whether the system can run on this machine.
    pub fn is_available(self) -> bool {
        match self {
            System::Spin => spin::ensure_installed().is_ok(),
            System::Uvicorn | System::Gunicorn => programs::has_python(),
            _ => true,
        }
    }

    /// Returns the path of the liveness probe. With components, the engine responds to it.
    pub fn liveness_path(self) -> &'static str {
        if self.runs_components() { "/.well-known/spin/health" } else { "/health" }
    }

    /// Returns the maximum number of database connections per process.
    fn pool_size(self) -> usize {
        match self {
            // SQLAlchemy's defaults: 5 connections and an overflow of 10 per process.
            System::Gunicorn => 15,
            // The number of threads of FastAPI.
            System::Uvicorn => 40,
            // The pool size of Spin.
            _ => 64,
        }
    }

    /// Builds or installs the system.
    pub fn install(self, must_be_fast: bool) -> anyhow::Result<()> {
        match self {
            System::Katas => programs::build_katas(must_be_fast),
            System::Uvicorn | System::Gunicorn => programs::install_python(),
            _ => Ok(()),
        }
    }

    /// Starts the system with the product, and waits for its first response.
    pub async fn start(self, fixture: &Fixture) -> anyhow::Result<RunningSystem> {
        self.start_with(fixture, Application::Product, None).await
    }

    /// Starts the system with an application. `cache` overrides the directory in which `katas` caches
    /// compiled components.
    pub async fn start_with(
        self,
        fixture: &Fixture,
        application: Application,
        cache: Option<&Path>,
    ) -> anyhow::Result<RunningSystem> {
        let address = free_address()?;
        let log = output_directory().join(format!("{}.log", file_name(self, application)));
        let start = Instant::now();
        let process = match self {
            System::Spin => Process::Spin(start_spin(fixture, application, address).await?),
            _ => {
                let mut command = self.command(fixture, application, address)?;
                let output = File::create(&log)?;
                command.envs(cache.map(|directory| ("XDG_CACHE_HOME", directory)));
                command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
                let (child, _) = Child::spawn(command, Signal::TERM)
                    .with_context(|| format!("cannot start {}", self.label()))?;
                Process::Child(child)
            }
        };
        let process = Some(process);
        let startup = Duration::ZERO;
        let mut running =
            RunningSystem { system: self, application, address, process, log, startup };
        running.startup = running.wait(start).await?;
        Ok(running)
    }

    fn command(
        self,
        fixture: &Fixture,
        application: Application,
        address: SocketAddr,
    ) -> anyhow::Result<Command> {
        let mut command = match self {
            System::Katas => {
                let mut command = Command::new(programs::katas(fixture.must_be_fast));
                command.args(["up", "--listen", &address.to_string()]);
                command.args(["--database-url", &fixture.url()]);
                command.arg("--from").arg(application.manifest());
                command
            }
            System::Axum => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["axum-peer", &address.to_string(), &fixture.url()]);
                command.args([self.pool_size().to_string(), fixture.schema.to_string()]);
                command
            }
            System::Uvicorn => {
                let mut command = self.python("uvicorn", fixture);
                command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
                command.args(["--no-access-log", "main:app"]);
                command
            }
            System::Gunicorn => {
                let mut command = self.python("gunicorn", fixture);
                command.args(["--bind", &address.to_string(), "--workers", "8"]);
                command.args(["--worker-class", "uvicorn_worker.UvicornWorker", "main:app"]);
                command
            }
            other => bail!("{} does not serve HTTP", other.label()),
        };
        command.envs([("CARGO_TERM_COLOR", "never")]);
        Ok(command)
    }

    fn python(self, program: &str, fixture: &Fixture) -> Command {
        let mut command = Command::new(programs::python(program));
        command.current_dir(root().join("bench/peers/fastapi"));
        command
            .env("DATABASE_URL", fixture.url().replacen("postgres://", "postgresql+psycopg://", 1));
        command.env("POOL_SIZE", self.pool_size().to_string());
        command.env("REQUIRED_SCHEMA", fixture.schema.to_string());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Returns the name of a system with an application in file names.
fn file_name(system: System, application: Application) -> String {
    let value = system.to_possible_value();
    let system = value.map_or_else(|| "other".to_owned(), |value| value.get_name().to_owned());
    match application {
        Application::Product => system,
        Application::Floor => system + "-floor",
    }
}

async fn start_spin(
    fixture: &Fixture,
    application: Application,
    address: SocketAddr,
) -> anyhow::Result<Spin> {
    let state = output_directory().join(file_name(System::Spin, application));
    std::fs::create_dir_all(&state)?;
    let log = Arc::new(|_: &str| ());
    Spin::start(&application.manifest(), &state, address, &fixture.variables(), &[], log).await
}

enum Process {
    Child(Child),
    Spin(Spin),
}

/// A running system, stopped when dropped.
pub struct RunningSystem {
    /// The system.
    pub system: System,
    /// The served application.
    pub application: Application,
    /// The time from the start of the process to the first response. For `katas up`, the build of the
    /// components is excluded.
    pub startup: Duration,
    /// The path of the log file.
    pub log: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl RunningSystem {
    /// Returns the name in file names.
    pub fn name(&self) -> String {
        file_name(self.system, self.application)
    }

    /// Returns the base URL.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the id of the first process.
    pub fn process(&self) -> Option<i32> {
        match self.process.as_ref()? {
            Process::Child(child) => Some(child.id()),
            Process::Spin(spin) => spin.process(),
        }
    }

    fn has_ended(&self) -> bool {
        match &self.process {
            Some(Process::Child(child)) => child.has_ended(),
            Some(Process::Spin(spin)) => spin.has_ended(),
            None => true,
        }
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for the first response and returns the time since the start.
    async fn wait(&self, start: Instant) -> anyhow::Result<Duration> {
        let url = format!("{}{}", self.base(), self.application.probe());
        let mut started = start;
        loop {
            // `katas up` listens while it builds the components. A request would wait for the build.
            while self.system == System::Katas && !self.log_text().contains("Database") {
                started = Instant::now();
                ensure!(!self.has_ended(), "katas has exited: {}", self.log_text());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let url = url.clone();
            let response = tokio::task::spawn_blocking(move || ureq::get(&url).call()).await?;
            if response.is_ok() {
                return Ok(started.elapsed());
            }
            if self.has_ended() || start.elapsed() > Duration::from_secs(120) {
                let log = self.log_text();
                let last: Vec<_> = log.lines().rev().take(5).collect();
                bail!("{} does not respond: {}", self.system.label(), last.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for RunningSystem {
    fn drop(&mut self) {
        if let Some(Process::Child(child)) = self.process.take() {
            child.signal(Signal::TERM);
            let start = Instant::now();
            while !child.has_ended() && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(10));
            }
            // A server may still wait for its clients. Workers of gunicorn exit with their parent.
            child.signal(Signal::KILL);
            // The exit status does not matter.
            let _ = child.wait();
        }
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
