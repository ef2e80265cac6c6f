//! `migrate down`: reverts applied migrations.

use serde::Serialize;

use super::runner::{Runner, WaitOptions, reject_invalid};
use crate::Error;
use crate::event::{Event, Report};
use crate::ledger::{OutOfOrder, RevertTo, current_version, pending, to_revert};
use crate::postgres::{Database, Session, read_environment};
use crate::project::{Direction, Project};

/// The result of [`down`].
#[derive(Debug, Serialize)]
pub struct Down {
    /// The names of the migrations that this run has reverted.
    pub undone: Vec<String>,
    /// The version of the schema after the run.
    pub version: i64,
}

/// Reverts migrations, newest first, each in its own transaction unless its file opts out.
///
/// Reverting a migration destroys the data in its tables. A production database is therefore
/// rejected unless `production` is set.
pub async fn down(
    project: &Project,
    database: &Database,
    revert_to: RevertTo,
    production: bool,
    wait: WaitOptions,
    report: Report<'_>,
) -> Result<Down, Error> {
    if let RevertTo::Version(version @ 1..) = revert_to {
        project.migration(version)?;
    }
    let mut session = Session::connect(database, report).await?;
    session.reject_superuser().await?;
    let environment = read_environment(&mut session.connection).await?;
    if environment.is_production() && !production {
        return Err(Error::Refused(
            "refusing to revert migrations in a production database, because the data in their \
             tables would be lost; mark it with `migrate bootstrap --environment development` if \
             it is not one, or pass --production"
                .to_owned(),
        ));
    }
    let mut runner = Runner::begin(session, project, wait, report).await?;
    let applied = runner.applied().await?;
    // Validates the ledger.
    pending(project, &applied, OutOfOrder::Apply)?;
    runner.reject_unfinished(project, &applied, Direction::Down).await?;
    let scripts = to_revert(project, &applied, revert_to)?;
    reject_invalid(scripts.iter().map(|(_, script)| *script))?;
    let mut names = Vec::new();
    for (migration, script) in scripts {
        let took = super::run_script(&mut runner, migration, script, Direction::Down).await?;
        report(&Event::Undone { migration: migration.name.clone(), took });
        names.push(migration.name.clone());
    }
    let version = current_version(&runner.applied().await?);
    runner.end().await;
    Ok(Down { undone: names, version })
}
