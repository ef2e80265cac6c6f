//! The systems under test, each a process of its own.

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
use crate::paths::{folder, root};
use crate::programs;
use crate::stage::Stage;

/// What is measured. The order is that of tables and charts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The local host: `katas up`
    Katas,
    /// The components on the real Spin
    Spin,
    /// The native peer on axum
    Axum,
    /// The peer on FastAPI: one uvicorn
    Uvicorn,
    /// The peer on FastAPI: gunicorn with eight uvicorn workers
    Gunicorn,
    /// pgbench, prepared statements: no HTTP at all
    #[value(skip)]
    PgbenchPrepared,
    /// pgbench with the statement as the components send it, parsed anew each time
    #[value(skip)]
    PgbenchWrapped,
    /// pgbench, resetting its connection first, as Spin's pool does for each request
    #[value(skip)]
    PgbenchReset,
    /// psql's \copy
    #[value(skip)]
    Copy,
    /// Pools of connections as Spin's, with nothing around them
    #[value(skip)]
    Pools,
}

impl System {
    /// Those that serve HTTP.
    pub const SERVERS: [System; 5] =
        [System::Katas, System::Spin, System::Axum, System::Uvicorn, System::Gunicorn];

    /// What it is called in tables and charts.
    pub fn label(self) -> &'static str {
        match self {
            System::Katas => "katas (local host)",
            System::Spin => "Spin",
            System::Axum => "axum, native",
            System::Uvicorn => "FastAPI, 1 uvicorn",
            System::Gunicorn => "FastAPI, gunicorn × 8",
            System::PgbenchPrepared => "pgbench, prepared",
            System::PgbenchWrapped => "pgbench, as components ask",
            System::PgbenchReset => "pgbench, as Spin asks",
            System::Copy => "psql \\copy",
            System::Pools => "pools alone",
        }
    }

    /// Whether it runs the components.
    pub fn runs_components(self) -> bool {
        matches!(self, System::Katas | System::Spin)
    }

    /// Whether what it needs can be had on this machine.
    pub fn is_available(self) -> bool {
        match self {
            System::Spin => spin::ensure_installed().is_ok(),
            System::Uvicorn | System::Gunicorn => programs::has_python(),
            _ => true,
        }
    }

    /// What asks whether the process lives: with the components it is the engine that answers.
    pub fn liveness(self) -> &'static str {
        if self.runs_components() { "/.well-known/spin/health" } else { "/health" }
    }

    /// How many connections to the database it may have.
    fn pool(self) -> usize {
        match self {
            // 8 × 15 are as many as SQLAlchemy's defaults come to.
            System::Gunicorn => 15,
            // As many as FastAPI has threads.
            System::Uvicorn => 40,
            // As many as Spin has.
            _ => 64,
        }
    }

    /// Builds or installs what it needs.
    pub fn install(self) -> anyhow::Result<()> {
        match self {
            System::Katas => programs::build_katas(),
            System::Uvicorn | System::Gunicorn => programs::install_python(),
            _ => Ok(()),
        }
    }

    /// Starts it with the product, and waits for its first answer.
    pub async fn start(self, stage: &Stage) -> anyhow::Result<Running> {
        self.start_with(stage, Application::Product, None).await
    }

    /// Starts it with an application; `cache` is another folder for the components that `katas`
    /// has compiled.
    pub async fn start_with(
        self,
        stage: &Stage,
        application: Application,
        cache: Option<&Path>,
    ) -> anyhow::Result<Running> {
        let address = free_address()?;
        let log = folder().join(format!("{}.log", file_name(self, application)));
        let start = Instant::now();
        let process = match self {
            System::Spin => Process::Spin(start_spin(stage, application, address).await?),
            _ => {
                let mut command = self.command(stage, application, address)?;
                let output = File::create(&log)?;
                command.envs(cache.map(|folder| ("XDG_CACHE_HOME", folder)));
                command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
                let (child, _) = Child::spawn(command, Signal::TERM)
                    .with_context(|| format!("{} did not start", self.label()))?;
                Process::Child(child)
            }
        };
        let process = Some(process);
        let ready = Duration::ZERO;
        let mut running = Running { system: self, application, address, process, log, ready };
        running.ready = running.wait(start).await?;
        Ok(running)
    }

    fn command(
        self,
        stage: &Stage,
        application: Application,
        address: SocketAddr,
    ) -> anyhow::Result<Command> {
        let mut command = match self {
            System::Katas => {
                let mut command = Command::new(programs::katas());
                command.args(["up", "--listen", &address.to_string()]);
                command.args(["--database-url", &stage.url()]);
                command.arg("--from").arg(application.manifest());
                command
            }
            System::Axum => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["axum-peer", &address.to_string(), &stage.url()]);
                command.args([self.pool().to_string(), stage.schema.to_string()]);
                command
            }
            System::Uvicorn => {
                let mut command = self.python("uvicorn", stage);
                command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
                command.args(["--no-access-log", "main:app"]);
                command
            }
            System::Gunicorn => {
                let mut command = self.python("gunicorn", stage);
                command.args(["--bind", &address.to_string(), "--workers", "8"]);
                command.args(["--worker-class", "uvicorn_worker.UvicornWorker", "main:app"]);
                command
            }
            other => bail!("{} is no server", other.label()),
        };
        command.envs([("CARGO_TERM_COLOR", "never")]);
        Ok(command)
    }

    fn python(self, program: &str, stage: &Stage) -> Command {
        let mut command = Command::new(programs::python(program));
        command.current_dir(root().join("bench/peers/fastapi"));
        command
            .env("DATABASE_URL", stage.url().replacen("postgres://", "postgresql+psycopg://", 1));
        command.env("POOL_SIZE", self.pool().to_string());
        command.env("REQUIRED_SCHEMA", stage.schema.to_string());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// What a system with an application is called in file names.
fn file_name(system: System, application: Application) -> String {
    let value = system.to_possible_value();
    let system = value.map_or_else(|| "other".to_owned(), |value| value.get_name().to_owned());
    match application {
        Application::Product => system,
        Application::Floor => system + "-floor",
    }
}

async fn start_spin(
    stage: &Stage,
    application: Application,
    address: SocketAddr,
) -> anyhow::Result<Spin> {
    let state = folder().join(file_name(System::Spin, application));
    std::fs::create_dir_all(&state)?;
    let log = Arc::new(|_: &str| ());
    Spin::start(&application.manifest(), &state, address, &stage.variables(), &[], log).await
}

enum Process {
    Child(Child),
    Spin(Spin),
}

/// A system that serves, until it is dropped.
pub struct Running {
    /// Which one.
    pub system: System,
    /// The application that it serves.
    pub application: Application,
    /// How long it took from the start of the process to the first answer; of `katas up`, without
    /// the build of the components that it begins with.
    pub ready: Duration,
    /// What it says.
    pub log: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl Running {
    /// What it is called in file names.
    pub fn name(&self) -> String {
        file_name(self.system, self.application)
    }

    /// Scheme, host and port.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its first process.
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

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its guest, or what stands for one, has answered.
    async fn wait(&self, start: Instant) -> anyhow::Result<Duration> {
        let url = format!("{}{}", self.base(), self.application.probe());
        let mut begun = start;
        loop {
            // `katas up` listens while it builds: whoever asked now would wait for all of that.
            while self.system == System::Katas && !self.said().contains("Database") {
                begun = Instant::now();
                ensure!(!self.has_ended(), "katas has ended: {}", self.said());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let asked = url.clone();
            let answer = tokio::task::spawn_blocking(move || ureq::get(&asked).call()).await?;
            if answer.is_ok() {
                return Ok(begun.elapsed());
            }
            if self.has_ended() || start.elapsed() > Duration::from_secs(120) {
                let said = self.said();
                let last: Vec<_> = said.lines().rev().take(5).collect();
                bail!("{} does not answer: {}", self.system.label(), last.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(Process::Child(child)) = self.process.take() {
            child.signal(Signal::TERM);
            let told = Instant::now();
            while !child.has_ended() && told.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(10));
            }
            // One that waits for its clients, say. The workers of gunicorn end with it.
            child.signal(Signal::KILL);
            // How it ends is of no interest.
            let _ = child.wait();
        }
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
