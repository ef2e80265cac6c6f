//! `migrate up`: applies pending migrations.

use serde::Serialize;

use super::runner::{Runner, WaitOptions, reject_invalid};
use crate::Error;
use crate::event::{Event, Report};
use crate::ledger::{Applied, Ledger, OutOfOrder, current_version, pending};
use crate::postgres::{Database, Session};
use crate::project::{Direction, Migration, Project};

/// Options of [`up`].
#[derive(Clone, Copy, Debug, Default)]
pub struct UpOptions {
    /// The version to stop at. `None` for the newest.
    pub to: Option<i64>,
    /// What to do with pending migrations that are older than applied ones.
    pub out_of_order: OutOfOrder,
    /// How long to wait for other sessions.
    pub wait: WaitOptions,
}

/// The result of [`up`].
#[derive(Debug, Serialize)]
pub struct Up {
    /// The names of the migrations that this run has applied.
    pub applied: Vec<String>,
    /// The version of the schema after the run.
    pub version: i64,
}

/// Applies all pending migrations, in order.
///
/// Each migration runs in its own transaction. If one fails, it is rolled back, the earlier ones
/// stay applied, and the next run resumes with it. If another runner is active, this one waits for
/// it and then applies what is still pending.
pub async fn up(
    project: &Project,
    database: &Database,
    options: UpOptions,
    report: Report<'_>,
) -> Result<Up, Error> {
    let to = match options.to {
        Some(version) => project.migration(version)?.version,
        None => i64::MAX,
    };
    let mut session = Session::connect(database, report).await?;
    let applied = Ledger::new(project).read(&mut session.connection).await?;
    if select(project, &applied, options.out_of_order, to)?.is_empty() {
        session.close().await;
        return Ok(Up { applied: Vec::new(), version: current_version(&applied) });
    }
    session.reject_superuser().await?;
    let mut runner = Runner::begin(session, project, options.wait, report).await?;
    let applied = runner.applied().await?;
    let migrations = select(project, &applied, options.out_of_order, to)?;
    runner.reject_unfinished(project, &applied, Direction::Up).await?;
    let mut names = Vec::new();
    let last = migrations.last().map(|migration| migration.version);
    for migration in migrations {
        runner.synchronous_commit = Some(migration.version) == last;
        let took = super::run_script(&mut runner, migration, &migration.up, Direction::Up).await?;
        report(&Event::Applied { migration: migration.name.clone(), took });
        names.push(migration.name.clone());
    }
    let version = current_version(&runner.applied().await?);
    runner.end().await;
    Ok(Up { applied: names, version })
}

/// Returns the migrations to apply, after validating the ledger and their files.
fn select<'a>(
    project: &'a Project,
    applied: &[Applied],
    out_of_order: OutOfOrder,
    to: i64,
) -> Result<Vec<&'a Migration>, Error> {
    let mut pending = pending(project, applied, out_of_order)?;
    pending.retain(|migration| migration.version <= to);
    reject_invalid(pending.iter().map(|migration| &migration.up))?;
    Ok(pending)
}
