//! The read-only commands. They do not take the advisory lock.

mod catalog;
mod dump;
mod scripts;
mod status;
mod verify;

use sqlx::PgConnection;

use crate::Error;
use crate::event::Report;
use crate::ledger::{Applied, Ledger};
use crate::postgres::{Database, Session};
use crate::project::Project;
pub use dump::{dump, write_dump};
pub use scripts::{ScriptsToRun, scripts_to_run};
pub use status::{MigrationStatus, State, Status, status, wait};
pub use verify::{Difference, Verification, compare, verify};

/// Fails if migrations of the project are pending. Unlike [`status()`], validates nothing.
pub async fn ensure_migrated(
    connection: &mut PgConnection,
    project: &Project,
) -> Result<(), Error> {
    let applied = Ledger::new(project).read(connection).await?;
    let is_done = |version| applied.iter().any(|row| row.version == version && row.success);
    let versions = project.migrations.iter().map(|migration| migration.version);
    match versions.filter(|&version| !is_done(version)).count() {
        0 => Ok(()),
        pending => Err(Error::Pending(pending)),
    }
}

/// Connects and reads the ledger.
async fn connect(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<(Session, Vec<Applied>), Error> {
    let mut session = Session::connect(database, report).await?;
    let applied = Ledger::new(project).read(&mut session.connection).await?;
    Ok((session, applied))
}
