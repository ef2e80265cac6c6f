//! The `courier` command. Results go to standard output, the log to standard error.

mod cli;
mod log;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use courier::amqp::Address;
use courier::dead::{self, Operation, Source};
use courier::delivery::Delivery;
use courier::rabbitmq::{self, RabbitMq};
use courier::{CancellationToken, Error, Event, Report, Secret, Shared, Timing, deliver, relay};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{Cli, Command, Dead, Format};
use crate::log::Log;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = Arc::new(Log::new(cli.log));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(execute(&cli, &log));
    // A name lookup in progress cannot be canceled. Do not wait for it.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn execute(cli: &Cli, log: &Arc<Log>) -> Result<(), Error> {
    let log = log.clone();
    let report: Report = Arc::new(move |event: &Event| log.event(event));
    let shared = Shared::new(Timing::default(), report);
    let delivery = || {
        let application = cli.application()?;
        Ok::<_, Error>(Arc::new(Delivery::new(application, shared.clone())))
    };
    match &cli.command {
        Command::Run { private_broker } => {
            let (database, broker, delivery) = (cli.database()?, cli.broker()?, delivery()?);
            if private_broker.is_some() && broker.is_some() {
                let message =
                    "--private-broker and a broker URL exclude each other; use one of them";
                return Err(Error::Usage(message.to_owned()));
            }
            let mut shutdown = Shutdown::register()?;
            // Stopped when it is dropped, after the deliveries in progress.
            let server = match private_broker {
                Some(folder) => tokio::select! {
                    server = RabbitMq::start(private(folder)?) => Some(server?),
                    signal = shutdown.signal() => {
                        shared.report(&Event::Stopping { signal });
                        shared.report(&Event::Stopped);
                        return Ok(());
                    }
                },
                None => None,
            };
            let broker = match &server {
                Some(server) => Some(Address::new(Secret::Text(server.url()), None)?),
                None => broker,
            };
            let mode = if broker.is_some() { "run" } else { "direct" };
            let run = async |stop: &CancellationToken| {
                courier::run(&database, broker.as_ref(), &delivery, cli.concurrency, stop).await;
            };
            serve(cli, &shared, mode, Some(&delivery), shutdown, run).await
        }
        Command::Relay => {
            let (database, broker) = (cli.database()?, cli.required_broker()?);
            let shutdown = Shutdown::register()?;
            let run = async |stop: &CancellationToken| {
                relay::run(&database, &broker, &shared, stop).await;
            };
            serve(cli, &shared, "relay", None, shutdown, run).await
        }
        Command::Deliver => {
            let (broker, delivery) = (cli.required_broker()?, delivery()?);
            let shutdown = Shutdown::register()?;
            let run = async |stop: &CancellationToken| {
                deliver::run(&broker, &delivery, cli.concurrency, stop).await;
            };
            serve(cli, &shared, "deliver", Some(&delivery), shutdown, run).await
        }
        Command::Dead(command) => operate(cli, command).await,
    }
}

/// Returns the options of a private broker.
fn private(folder: &Path) -> Result<rabbitmq::Options, Error> {
    let folder = std::path::absolute(folder).map_err(|error| {
        Error::Usage(format!("cannot use the directory {}: {error}", folder.display()))
    })?;
    Ok(rabbitmq::Options { folder, vhosts: Vec::new(), policies: Vec::new() })
}

/// Serves the endpoints while `run` works, until a signal arrives.
async fn serve(
    cli: &Cli,
    shared: &Arc<Shared>,
    mode: &'static str,
    delivery: Option<&Arc<Delivery>>,
    mut shutdown: Shutdown,
    run: impl AsyncFnOnce(&CancellationToken),
) -> Result<(), Error> {
    if let Some(address) = &cli.listen {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Error::Usage(format!("cannot listen on {address}: {error}")))?;
        tokio::spawn(courier::monitor::serve(listener, shared.clone()));
    }
    let application = delivery.map(|delivery| delivery.application().url().to_string());
    shared.report(&Event::Started { mode, application });
    let stop = CancellationToken::new();
    let signals = async {
        let signal = shutdown.signal().await;
        shared.report(&Event::Stopping { signal });
        stop.cancel();
        // A second signal ends the process at once. All messages are redelivered.
        let signal = shutdown.signal().await;
        Err(Error::Unavailable(format!("received a second {signal}")))
    };
    tokio::select! {
        () = run(&stop) => {}
        result = signals => return result,
    }
    shared.report(&Event::Stopped);
    Ok(())
}

/// Executes a command for dead letters.
async fn operate(cli: &Cli, command: &Dead) -> Result<(), Error> {
    let source = match cli.broker()? {
        Some(address) => Source::Broker(address),
        None => Source::Outbox(cli.database()?),
    };
    match command {
        Dead::List { format } => {
            let entries = dead::list(&source).await?;
            match format {
                Format::Json => print(&json(&entries)),
                Format::Human => {
                    for entry in &entries {
                        let time = entry.time.as_deref().unwrap_or("-");
                        print(&format!("{}  {time}  {}  {}", entry.id, entry.queue, entry.reason))?;
                    }
                    print(&format!("dead letters: {}", entries.len()))
                }
            }
        }
        Dead::Show { id } => {
            let mut entries = dead::list(&source).await?;
            entries.retain(|entry| entry.id == *id);
            match entries.as_slice() {
                [] => Err(Error::NotFound(id.clone())),
                entries => entries.iter().try_for_each(|entry| print(&json(entry))),
            }
        }
        Dead::Replay(letters) => {
            let count = dead::apply(&source, &letters.selection(), Operation::Replay).await?;
            print(&format!("dead letters replayed: {count}"))
        }
        Dead::Drop(letters) => {
            let count = dead::apply(&source, &letters.selection(), Operation::Drop).await?;
            print(&format!("dead letters dropped: {count}"))
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("all keys are strings")
}

fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // The reader has closed the pipe.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| {
            Error::Unexpected(format!("cannot write to standard output: {error}"))
        }),
    }
}

/// SIGTERM and SIGINT, from the moment of registration on. Before it, the default action applies,
/// which is none for the first process of a container.
struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

impl Shutdown {
    fn register() -> Result<Shutdown, Error> {
        let handle = |kind| {
            signal(kind).map_err(|error| {
                Error::Unexpected(format!("cannot install a signal handler: {error}"))
            })
        };
        let (terminate, interrupt) =
            (handle(SignalKind::terminate())?, handle(SignalKind::interrupt())?);
        Ok(Shutdown { terminate, interrupt })
    }

    /// Waits for the next signal. Returns its name.
    async fn signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
