//! `migrate`: the schema's command line. Data goes to standard output, progress to standard error.

mod bar;
mod cli;
mod outcome;
mod progress;

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use migrate::{Back, Database, Error, Password, Project, SeedOptions, UpOptions};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command, Format, out_of_order, passwords};
use crate::outcome::Outcome;
use crate::progress::Progress;

/// The version of what `--format json` prints: grows when something is taken away or changes its
/// meaning, not when something is added.
const FORMAT: u8 = 1;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run_and_tell(&cli));
    // A name that is being looked up cannot be stopped, and is not waited for.
    runtime.shutdown_background();
    code
}

async fn run_and_tell(cli: &Cli) -> ExitCode {
    let progress = Progress::new(cli.log);
    let start = Instant::now();
    let (result, code) = run_until_told(cli, &progress).await;
    if let Err(error) = &result {
        progress.failure(error, code);
    }
    let outcome = Outcome {
        command: cli.command.name(),
        exit_code: code,
        error: result.as_ref().err().map(Error::to_string),
        version: result.ok().flatten(),
        took: start.elapsed(),
        seen: progress.seen(),
    };
    let metrics = cli.metrics_file.as_ref().map(|path| outcome.write_metrics(path));
    // Where they cannot be written is no reason for a Job to fail.
    for error in [metrics, Some(outcome.write_message(&cli.termination_log))].into_iter().flatten()
    {
        if let Err(error) = error {
            progress
                .failure(&Error::Unexpected(format!("the outcome is not noted: {error}")), code);
        }
    }
    ExitCode::from(code)
}

/// Runs the command until it is done, a signal comes, or its time is up; with the exit code.
async fn run_until_told(cli: &Cli, progress: &Progress) -> (Result<Option<i64>, Error>, u8) {
    let database = cli.database();
    let stopped = {
        let mut running = pin!(run(cli, database.as_ref(), progress));
        tokio::select! {
            biased;
            (name, code) = told() => (format!("{name} came"), code),
            error = lost(database.as_ref().ok()) => (error.to_string(), 75),
            () = deadline(cli.deadline) => ("the deadline has passed".to_owned(), 75),
            result = &mut running => {
                let code = result.as_ref().err().map_or(0, Error::exit_code);
                return (result, code);
            }
        }
    };
    // The connection is closed by now; its session may still be at work.
    let (why, code) = stopped;
    let ended = match &database {
        Ok(database) => {
            tokio::select! {
                ended = database.end_session() => ended,
                _ = told() => Err(Error::Unavailable("a second signal came".to_owned())),
            }
        }
        Err(_) => Ok(()),
    };
    let how = match ended {
        Ok(()) => "what was under way was rolled back; run the same again to go on".to_owned(),
        Err(error) => format!("PostgreSQL ends what was under way within seconds ({error})"),
    };
    (Err(Error::Unavailable(format!("{why}: {how}"))), code)
}

/// Waits for a signal to end; its name, and the exit code that shells give it.
async fn told() -> (&'static str, u8) {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        // Then a signal ends this process as it does any other.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 143),
        _ = interrupt.recv() => ("SIGINT", 130),
    }
}

async fn lost(database: Option<&Database>) -> Error {
    match database {
        Some(database) => database.lost().await,
        None => std::future::pending().await,
    }
}

async fn deadline(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline).await,
        None => std::future::pending().await,
    }
}

/// Runs the command; the version that the schema is at afterwards, where that is known.
async fn run(
    cli: &Cli,
    database: Result<&Database, &Error>,
    progress: &Progress,
) -> Result<Option<i64>, Error> {
    let report = &|event: &migrate::Event| progress.event(event);
    let project = cli.project().await?;
    let print = Printer { command: cli.command.name(), format: cli.format };
    match &cli.command {
        Command::New { name, no_transaction } => {
            return create(cli, &project, name, !no_transaction, &print);
        }
        Command::Lint => return lint(&project, &print),
        Command::Seed { list: true, .. } => return list_seeds(&project, &print),
        _ => {}
    }
    // Its message is all there is to it.
    let database = database.map_err(|error| Error::Usage(error.to_string()))?;
    match &cli.command {
        Command::Up { to, out_of_order: late, changing } => {
            let options = UpOptions {
                to: *to,
                out_of_order: out_of_order(*late),
                patience: changing.patience(),
            };
            let up = migrate::up(&project, database, options, report).await?;
            let (version, count) = (up.version, up.applied.len());
            print.out(&up, format!("the schema is at version {version} ({count} applied)"))?;
            Ok(Some(version))
        }
        Command::Down { to, steps, production, changing } => {
            let back = to.map_or(Back::Steps(*steps), Back::To);
            let patience = changing.patience();
            let down =
                migrate::down(&project, database, back, *production, patience, report).await?;
            let (version, count) = (down.version, down.undone.len());
            print.out(&down, format!("the schema is at version {version} ({count} undone)"))?;
            Ok(Some(version))
        }
        Command::Status { check } => {
            let status = migrate::status(&project, database, report).await?;
            print.out(&status, &status)?;
            match status.pending {
                pending @ 1.. if *check => Err(Error::Pending(pending)),
                _ => Ok(Some(status.version)),
            }
        }
        Command::Plan { to, down, steps } => {
            let back = down.then(|| to.map_or(Back::Steps(*steps), Back::To));
            let to = to.filter(|_| !down);
            let plan = migrate::plan(&project, database, to, back, report).await?;
            print.out(&plan, &plan)?;
            Ok(None)
        }
        Command::Verify => {
            let verified = migrate::verify(&project, database, report).await?;
            print.out(&verified, &verified)?;
            match verified.drift.len() {
                0 => Ok(Some(verified.version)),
                count => Err(Error::Drift(format!("the schema has drifted: differences: {count}"))),
            }
        }
        Command::Dump => {
            let dump = migrate::dump(&project, database, report).await?;
            print.out(&serde_json::json!({"sql": dump}), dump.trim_end())?;
            Ok(None)
        }
        Command::Wait { min_version, timeout } => {
            let wanted = min_version.unwrap_or(project.newest());
            let version = migrate::wait(&project, database, wanted, *timeout, report).await?;
            let text = format!("the schema is at version {version}");
            print.out(&serde_json::json!({"version": version}), text)?;
            Ok(Some(version))
        }
        Command::Baseline { to, changing } => {
            let patience = changing.patience();
            let done = migrate::baseline(&project, database, *to, patience, report).await?;
            let (version, count) = (done.version, done.marked.len());
            print.out(&done, format!("{count} migrations count as applied, up to {version}"))?;
            Ok(Some(version))
        }
        Command::Repair { forget, yes, changing } => {
            let patience = changing.patience();
            let repair =
                migrate::repair(&project, database, *forget, *yes, patience, report).await?;
            print.out(&repair, &repair)?;
            Ok(None)
        }
        Command::Bootstrap {
            password,
            password_env,
            connection_limit,
            shared_database,
            environment,
        } => {
            let secrets = passwords(password, password_env)?;
            let secrets: Vec<_> =
                secrets.iter().map(|(role, password)| Password { role, password }).collect();
            let exclusive = !shared_database;
            migrate::bootstrap(&project, database, &secrets, exclusive, report).await?;
            if !connection_limit.is_empty() {
                migrate::limit_connections(database, connection_limit, report).await?;
            }
            if let Some(environment) = environment {
                migrate::mark(database, environment, report).await?;
            }
            print.out(&serde_json::json!({}), "the roles are in place")?;
            Ok(None)
        }
        Command::Sweep { .. } => {
            let swept = migrate::sweep(&project, database, report).await?;
            print.out(&swept, format!("{} rows swept", swept.rows))?;
            Ok(None)
        }
        Command::Seed { scale, only, .. } => {
            let options = SeedOptions { scale: *scale, only: only.clone() };
            let tell = &|rows: migrate::SeedProgress<'_>| progress.rows(rows);
            let seeded = migrate::seed(&project, database, &options, tell, report).await?;
            print.out(&seeded, &seeded)?;
            Ok(None)
        }
        Command::New { .. } | Command::Lint => {
            unreachable!("they need no database, and are done above")
        }
    }
}

fn create(
    cli: &Cli,
    project: &Project,
    name: &str,
    transactional: bool,
    print: &Printer,
) -> Result<Option<i64>, Error> {
    let Some(folder) = &cli.source else {
        return Err(Error::Usage("say where the files go: --source FOLDER".to_owned()));
    };
    let files = migrate::create(project, folder, name, transactional)?;
    let text = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("\n");
    print.out(&serde_json::json!({"files": files}), text)?;
    Ok(None)
}

fn lint(project: &Project, print: &Printer) -> Result<Option<i64>, Error> {
    let findings = migrate::lint(project);
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let text = if lines.is_empty() { "nothing to say".to_owned() } else { lines.join("\n") };
    print.out(&serde_json::json!({"findings": findings}), text)?;
    match findings.len() {
        0 => Ok(None),
        count => Err(Error::Lint(format!("lint has findings: {count}"))),
    }
}

fn list_seeds(project: &Project, print: &Printer) -> Result<Option<i64>, Error> {
    let seeds = migrate::seeds(project)?;
    let line = |seed: &migrate::Seed| {
        let scales = if seed.scales { ", scales" } else { "" };
        format!("{:20} {} (rows: {}{scales})", seed.name, seed.about, seed.rows)
    };
    let text = seeds.iter().map(line).collect::<Vec<_>>().join("\n");
    print.out(&serde_json::json!({"seeds": seeds}), text)?;
    Ok(None)
}

/// Standard output.
struct Printer {
    command: &'static str,
    format: Format,
}

impl Printer {
    fn out(&self, data: &impl Serialize, text: impl Display) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Document<'a, T> {
            format: u8,
            command: &'a str,
            #[serde(flatten)]
            data: &'a T,
        }
        let text = match self.format {
            Format::Human => text.to_string(),
            Format::Json => {
                let document = Document { format: FORMAT, command: self.command, data };
                serde_json::to_string(&document).expect("its keys are strings")
            }
        };
        let mut to = std::io::stdout().lock();
        match writeln!(to, "{text}").and_then(|()| to.flush()) {
            // Nobody is reading any more: then it is not needed.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| {
                Error::Unexpected(format!("standard output cannot be written: {error}"))
            }),
        }
    }
}
