//! Applying what is pending.

use serde::Serialize;

use crate::Error;
use crate::database::Database;
use crate::event::{Event, Report};
use crate::ledger::{self, Ledger, OutOfOrder, pending};
use crate::project::{Migration, Project};
use crate::runner::{Direction, Patience, Runner, check};

/// How [`up`] goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpOptions {
    /// The version to stop at; the newest if `None`.
    pub to: Option<i64>,
    /// What to do with migrations that come late.
    pub out_of_order: OutOfOrder,
    /// How long to wait for others.
    pub patience: Patience,
}

/// What [`up`] has done.
#[derive(Debug, Serialize)]
pub struct Up {
    /// The names of the migrations that this run applied.
    pub applied: Vec<String>,
    /// The version that the schema is at now.
    pub version: i64,
}

/// Applies every pending migration, in order.
///
/// Each is a transaction of its own. When one fails it is rolled back, those before it stay, and the
/// next run goes on from there. What another runner does meanwhile is waited for and then needs no
/// doing here.
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
    let mut session = database.connect(report).await?;
    let applied = Ledger::of(project).read(&mut session.connection).await?;
    if select(project, &applied, options.out_of_order, to)?.is_empty() {
        session.close().await;
        return Ok(Up { applied: Vec::new(), version: ledger::version(&applied) });
    }
    session.refuse_superuser().await?;
    let mut runner = Runner::begin(session, project, options.patience, report).await?;
    let applied = runner.applied().await?;
    let migrations = select(project, &applied, options.out_of_order, to)?;
    runner.refuse_unfinished(project, &applied, Direction::Up).await?;
    let mut done = Vec::new();
    let last = migrations.last().map(|migration| migration.version);
    for migration in migrations {
        runner.flush = Some(migration.version) == last;
        let took = runner.run(migration, &migration.up, Direction::Up).await?;
        report(&Event::Applied { migration: migration.name.clone(), took });
        done.push(migration.name.clone());
    }
    let version = ledger::version(&runner.applied().await?);
    runner.end().await;
    Ok(Up { applied: done, version })
}

/// What is to be applied, once it has been found that it can be.
fn select<'a>(
    project: &'a Project,
    applied: &[ledger::Applied],
    out_of_order: OutOfOrder,
    to: i64,
) -> Result<Vec<&'a Migration>, Error> {
    let mut pending = pending(project, applied, out_of_order)?;
    pending.retain(|migration| migration.version <= to);
    check(pending.iter().map(|migration| &migration.up))?;
    Ok(pending)
}
