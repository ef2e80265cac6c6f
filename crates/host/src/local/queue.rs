//! Delivers the messages in the outbox while the application is served. On a cluster, that is the task
//! of the courier's Deployment.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use courier::application::Application;
use courier::delivery::Delivery;
use courier::{CancellationToken, Event, Secret, Shared, Timing, direct};
use rustix::process::Signal;
use tokio::task::JoinHandle;

use super::process::{Child, remove_secrets};
use super::{log_line, private_file};

/// The maximum number of messages that are delivered at the same time.
const CONCURRENCY: u16 = 4;

/// The time limit for a request. Every message is delivered by a short one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How messages reach the application.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub enum Queue {
    /// From the database to the application
    Direct,
    /// Through a private RabbitMQ, which must be installed
    Rabbitmq,
    /// Not at all, because a separate courier delivers them
    None,
}

/// What a courier connects.
pub(super) struct Route<'a> {
    /// The connection string of the database with the outbox.
    pub(super) database: &'a str,
    /// The address of the application.
    pub(super) application: SocketAddr,
    /// The API token, if the application requires one.
    pub(super) token: Option<&'a str>,
}

/// A running courier.
pub(super) enum Courier {
    /// A task of this process.
    Direct { stop: CancellationToken, task: JoinHandle<()> },
    /// The program `courier`, whose child is RabbitMQ.
    Rabbitmq(Child),
}

impl Courier {
    /// Starts a courier whose files are in `folder`, unless a separate one delivers the messages.
    pub(super) fn start(
        queue: Queue,
        route: &Route<'_>,
        folder: &Path,
    ) -> anyhow::Result<Option<Courier>> {
        match queue {
            Queue::Direct => Courier::start_direct(route).map(Some),
            Queue::Rabbitmq => Courier::start_program(route, folder).map(Some),
            Queue::None => Ok(None),
        }
    }

    fn start_direct(route: &Route<'_>) -> anyhow::Result<Courier> {
        let shared = Shared::new(Timing::default(), Arc::new(print_problem));
        let token = route.token.map(|token| Secret::Text(token.to_owned()));
        let url = format!("http://{}", route.application);
        let application = Application::new(&url, token, None, TIMEOUT)?;
        let delivery = Arc::new(Delivery::new(application, shared));
        let database = Secret::Text(route.database.to_owned());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            direct::run(&database, &delivery, CONCURRENCY, &stopped).await;
        });
        Ok(Courier::Direct { stop, task })
    }

    fn start_program(route: &Route<'_>, folder: &Path) -> anyhow::Result<Courier> {
        let program = std::env::current_exe()?.with_file_name("courier");
        ensure!(
            program.is_file(),
            "cannot start the courier: no program {}; run `cargo build --workspace --bin courier`",
            program.display()
        );
        private_file::create_directory(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let mut command = Command::new(program);
        remove_secrets(&mut command);
        command
            .args(["run", "--application-url", &format!("http://{}", route.application)])
            .args(["--concurrency", &CONCURRENCY.to_string(), "--private-broker"])
            .arg(folder.join("rabbitmq"))
            .arg("--database-url-file")
            .arg(secret_file(folder, "database-url", route.database)?);
        if let Some(token) = route.token {
            command.arg("--token-file").arg(secret_file(folder, "token", token)?);
        }
        // Ctrl-C in a terminal signals the whole process group; `stop` sends SIGTERM instead.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let (child, _) = Child::spawn(command, Signal::TERM).context("cannot start the courier")?;
        Ok(Courier::Rabbitmq(child))
    }

    /// Returns the reason if the courier has ended on its own.
    pub(super) async fn failed(&self) -> anyhow::Error {
        const INTERVAL: Duration = Duration::from_millis(100);
        match self {
            Courier::Direct { .. } => std::future::pending().await,
            Courier::Rabbitmq(child) => {
                while !child.has_ended() {
                    tokio::time::sleep(INTERVAL).await;
                }
                anyhow::anyhow!("the courier exited; see its output above")
            }
        }
    }

    /// Waits until the deliveries in progress have ended.
    pub(super) async fn stop(self) {
        match self {
            Courier::Direct { stop, task } => {
                stop.cancel();
                // An error means that the courier has panicked.
                let _ = task.await;
            }
            Courier::Rabbitmq(child) => {
                let wait = move || {
                    child.signal(Signal::TERM);
                    child.wait()
                };
                let _ = tokio::task::spawn_blocking(wait).await;
            }
        }
    }
}

/// Writes a secret to a file that only its owner can read. Returns its path.
fn secret_file(folder: &Path, name: &str, secret: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = folder.join(name);
    private_file::create(&path)
        .and_then(|mut file| file.write_all(secret.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn print_problem(event: &Event) {
    match event.level() {
        "error" => log_line::print(&format!("error: queue: {event}")),
        "warn" => log_line::print(&format!("warning: queue: {event}")),
        _ => {}
    }
}
