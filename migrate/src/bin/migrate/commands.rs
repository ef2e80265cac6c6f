//! Runs one command, and prints its result.

use std::path::Path;

use migrate::{Database, Error, Password, Project, RevertTo, SeedOptions, UpOptions};

use crate::cli::{Cli, Command, out_of_order, passwords};
use crate::output::Printer;
use crate::progress::Progress;

/// Runs the command. Returns the version of the schema afterwards, if it is known.
pub(crate) async fn run(
    cli: &Cli,
    database: Result<&Database, &Error>,
    progress: &Progress,
) -> Result<Option<i64>, Error> {
    let report = &|event: &migrate::Event| progress.event(event);
    let printer = Printer { command: cli.command.name(), format: cli.format };
    if let Command::Import { folder, from, to } = &cli.command {
        return import(folder, from.tool(), to.as_deref(), &printer);
    }
    let project = cli.project()?;
    match &cli.command {
        Command::New { name, no_transaction } => {
            return create(cli, &project, name, !no_transaction, &printer);
        }
        Command::Lint if !project.migrations.is_empty() => return lint(&project, &printer),
        Command::Seed { list: true, .. } => return list_seeds(&project, &printer),
        _ => {}
    }
    if project.migrations.is_empty() && cli.command.needs_migrations() {
        return Err(no_migrations(cli));
    }
    // `Error` is not `Clone`. An error here is always a usage error.
    let database = database.map_err(|error| Error::Usage(error.to_string()))?;
    match &cli.command {
        Command::Up { to, out_of_order: apply_late, write } => {
            let options = UpOptions {
                to: *to,
                out_of_order: out_of_order(*apply_late),
                wait: write.wait_options(),
            };
            let up = migrate::up(&project, database, options, report).await?;
            let (version, count) = (up.version, up.applied.len());
            printer.print(&up, format!("the schema is at version {version} ({count} applied)"))?;
            Ok(Some(version))
        }
        Command::Down { to, steps, production, write } => {
            let revert_to = to.map_or(RevertTo::Steps(*steps), RevertTo::Version);
            let wait = write.wait_options();
            let down =
                migrate::down(&project, database, revert_to, *production, wait, report).await?;
            let (version, count) = (down.version, down.undone.len());
            printer
                .print(&down, format!("the schema is at version {version} ({count} reverted)"))?;
            Ok(Some(version))
        }
        Command::Status { check } => {
            let status = migrate::status(&project, database, report).await?;
            printer.print(&status, &status)?;
            match status.pending {
                pending @ 1.. if *check => Err(Error::Pending(pending)),
                _ => Ok(Some(status.version)),
            }
        }
        Command::Plan { to, down, steps } => {
            let revert_to = down.then(|| to.map_or(RevertTo::Steps(*steps), RevertTo::Version));
            let to = to.filter(|_| !down);
            let plan = migrate::plan(&project, database, to, revert_to, report).await?;
            printer.print(&plan, &plan)?;
            Ok(None)
        }
        Command::Verify => {
            let verification = migrate::verify(&project, database, report).await?;
            printer.print(&verification, &verification)?;
            match verification.drift.len() {
                0 => Ok(Some(verification.version)),
                count => Err(Error::Drift(format!(
                    "the schema has drifted; differences on standard output: {count}"
                ))),
            }
        }
        Command::Dump => {
            let dump = migrate::dump(&project, database, report).await?;
            printer.print(&serde_json::json!({"sql": dump}), dump.trim_end())?;
            Ok(None)
        }
        Command::Wait { min_version, timeout } => {
            let wanted = min_version.unwrap_or(project.newest());
            let version = migrate::wait(&project, database, wanted, *timeout, report).await?;
            let text = format!("the schema is at version {version}");
            printer.print(&serde_json::json!({"version": version}), text)?;
            Ok(Some(version))
        }
        Command::Baseline { to, write } => {
            let wait = write.wait_options();
            let baseline = migrate::baseline(&project, database, *to, wait, report).await?;
            let (version, count) = (baseline.version, baseline.marked.len());
            let text = format!("recorded as applied up to version {version}; migrations: {count}");
            printer.print(&baseline, text)?;
            Ok(Some(version))
        }
        Command::Repair { forget, yes, write } => {
            let wait = write.wait_options();
            let repair = migrate::repair(&project, database, *forget, *yes, wait, report).await?;
            printer.print(&repair, &repair)?;
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
                migrate::set_environment(database, environment, report).await?;
            }
            printer.print(&serde_json::json!({}), "the roles are up to date")?;
            Ok(None)
        }
        Command::Sweep { .. } => {
            let sweep = migrate::sweep(&project, database, report).await?;
            printer.print(&sweep, format!("{} rows purged", sweep.rows))?;
            Ok(None)
        }
        Command::Seed { scale, only, .. } => {
            let options = SeedOptions { scale: *scale, only: only.clone() };
            let on_progress = &|rows: migrate::SeedProgress<'_>| progress.rows(rows);
            let seeds = migrate::seed(&project, database, &options, on_progress, report).await?;
            printer.print(&seeds, &seeds)?;
            Ok(None)
        }
        Command::New { .. } | Command::Lint | Command::Import { .. } => {
            unreachable!("handled above, because they need no database")
        }
    }
}

/// Returns the error for a project without migrations, which is more often a wrong folder than a new
/// project.
fn no_migrations(cli: &Cli) -> Error {
    let folder = cli.source.clone().unwrap_or_default();
    Error::Usage(format!(
        "there are no migrations in {}; create one with `migrate new NAME --source {}`",
        folder.join("migrations").display(),
        folder.display()
    ))
}

fn import(
    folder: &Path,
    tool: Option<migrate::Tool>,
    to: Option<&Path>,
    printer: &Printer,
) -> Result<Option<i64>, Error> {
    let import = migrate::import(folder, tool, to)?;
    printer.print(&import, &import)?;
    Ok(None)
}

fn create(
    cli: &Cli,
    project: &Project,
    name: &str,
    transactional: bool,
    printer: &Printer,
) -> Result<Option<i64>, Error> {
    let Some(folder) = &cli.source else {
        return Err(Error::Usage("no target folder; pass --source FOLDER".to_owned()));
    };
    let files = migrate::create(project, folder, name, transactional)?;
    let text = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("\n");
    printer.print(&serde_json::json!({"files": files}), text)?;
    Ok(None)
}

fn lint(project: &Project, printer: &Printer) -> Result<Option<i64>, Error> {
    let findings = migrate::lint(project);
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let text = if lines.is_empty() { "no findings".to_owned() } else { lines.join("\n") };
    printer.print(&serde_json::json!({"findings": findings}), text)?;
    match findings.len() {
        0 => Ok(None),
        count => Err(Error::Lint(format!(
            "lint findings: {count}; fix the files, or suppress each finding with a reason"
        ))),
    }
}

fn list_seeds(project: &Project, printer: &Printer) -> Result<Option<i64>, Error> {
    let seeds = migrate::seeds(project)?;
    let line = |seed: &migrate::Seed| {
        let scales = if seed.scales { ", scalable" } else { "" };
        format!("{:20} {} (rows: {}{scales})", seed.name, seed.about, seed.rows)
    };
    let text = seeds.iter().map(line).collect::<Vec<_>>().join("\n");
    printer.print(&serde_json::json!({"seeds": seeds}), text)?;
    Ok(None)
}
