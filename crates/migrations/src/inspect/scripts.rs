//! The scripts that a run would execute.

use sqlx::PgConnection;

use super::connect;
use crate::Error;
use crate::event::Report;
use crate::ledger::{OutOfOrder, RevertTo, pending, to_revert};
use crate::postgres::{Database, Session};
use crate::project::{Migration, Project, Script};

/// The scripts that a run would execute, and the connection on which they were determined.
pub struct ScriptsToRun<'a> {
    /// The migrations, in the order of their execution, each with the script that would run.
    pub scripts: Vec<(&'a Migration, &'a Script)>,
    session: Session,
}

impl ScriptsToRun<'_> {
    /// Returns the connection.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.session.connection
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.session.close().await;
    }
}

/// Connects, and returns the scripts that `up` would run, up to version `to`, or with `revert_to` those
/// that `down` would run.
pub async fn scripts_to_run<'a>(
    project: &'a Project,
    database: &Database,
    to: Option<i64>,
    revert_to: Option<RevertTo>,
    report: Report<'_>,
) -> Result<ScriptsToRun<'a>, Error> {
    let to = match to {
        Some(version) => project.migration(version)?.version,
        None => i64::MAX,
    };
    let (session, applied) = connect(project, database, report).await?;
    let scripts = match revert_to {
        Some(revert_to) => to_revert(project, &applied, revert_to)?,
        None => pending(project, &applied, OutOfOrder::Refuse)?
            .into_iter()
            .filter(|migration| migration.version <= to)
            .map(|migration| (migration, &migration.up))
            .collect(),
    };
    Ok(ScriptsToRun { scripts, session })
}
