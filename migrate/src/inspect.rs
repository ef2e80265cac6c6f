//! The commands that only look: they take no lock and write nothing.

use crate::database::Database;
use crate::event::Report;
use crate::ledger::{self, Ledger, OutOfOrder, pending};
use crate::plan::{Plan, describe};
use crate::project::Project;
use crate::session::Session;
use crate::verify::{Verified, compare};
use crate::{Error, down::Back, down::select, dump::write_dump};

/// What `up` would do, or, with `back`, what `down` would: the exact SQL, and for each statement what
/// it locks and how large that is now.
pub async fn plan(
    project: &Project,
    database: &Database,
    to: Option<i64>,
    back: Option<Back>,
    report: Report<'_>,
) -> Result<Plan, Error> {
    let to = match to {
        Some(version) => project.migration(version)?.version,
        None => i64::MAX,
    };
    let (mut session, applied) = look(project, database, report).await?;
    let scripts: Vec<_> = match back {
        Some(back) => select(project, &applied, back)?,
        None => pending(project, &applied, OutOfOrder::Refuse)?
            .into_iter()
            .filter(|migration| migration.version <= to)
            .map(|migration| (migration, &migration.up))
            .collect(),
    };
    let plan = describe(&mut session.connection, &scripts).await?;
    session.close().await;
    Ok(plan)
}

/// Compares the schema with what the migrations make of an empty database: with the project's
/// `schema.sql`. A database that is at another version has nothing to be compared with.
pub async fn verify(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<Verified, Error> {
    let (mut session, applied) = look(project, database, report).await?;
    match pending(project, &applied, OutOfOrder::Apply)?.len() {
        0 => {}
        pending => return Err(Error::Pending(pending)),
    }
    let version = ledger::version(&applied);
    if version > project.newest() {
        return Err(Error::Integrity(format!(
            "the database is at version {version}, which is newer than this build, at {}: only a \
             build of that version knows what it should be",
            project.newest()
        )));
    }
    let verified = compare(&mut session.connection, project, version).await?;
    session.close().await;
    Ok(verified)
}

/// The schema as SQL, the same bytes for the same schema.
pub async fn dump(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<String, Error> {
    let (mut session, applied) = look(project, database, report).await?;
    let dump = write_dump(&mut session.connection, project, ledger::version(&applied)).await?;
    session.close().await;
    Ok(dump)
}

async fn look(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<(Session, Vec<ledger::Applied>), Error> {
    let mut session = database.connect(report).await?;
    let applied = Ledger::of(project).read(&mut session.connection).await?;
    Ok((session, applied))
}
