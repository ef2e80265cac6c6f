//! Undoing what has been applied.

use serde::Serialize;

use crate::Error;
use crate::database::Database;
use crate::environment;
use crate::event::{Event, Report};
use crate::ledger::{self, Applied, OutOfOrder, pending};
use crate::project::{Migration, Project, Script};
use crate::runner::{Direction, Patience, Runner, check};

/// How far to go back.
#[derive(Clone, Copy, Debug)]
pub enum Back {
    /// To this version, which stays; 0 undoes everything.
    To(i64),
    /// So many migrations.
    Steps(usize),
}

/// What [`down`] has done.
#[derive(Debug, Serialize)]
pub struct Down {
    /// The names of the migrations that this run undid.
    pub undone: Vec<String>,
    /// The version that the schema is at now.
    pub version: i64,
}

/// Undoes migrations, the newest first, each in a transaction of its own unless its file says
/// otherwise. What their tables held is lost, so a database that may hold real data is refused unless
/// `production` says that this is meant.
pub async fn down(
    project: &Project,
    database: &Database,
    back: Back,
    production: bool,
    patience: Patience,
    report: Report<'_>,
) -> Result<Down, Error> {
    if let Back::To(version @ 1..) = back {
        project.migration(version)?;
    }
    let mut session = database.connect(report).await?;
    session.refuse_superuser().await?;
    let environment = environment::read(&mut session.connection).await?;
    if environment.is_production() && !production {
        return Err(Error::Refused(
            "this database is in production, as far as anybody has said, and undoing a migration \
             loses what its tables hold: if it is not, its owner runs `migrate bootstrap --environment \
             development`; if it is meant, say --production"
                .to_owned(),
        ));
    }
    let mut runner = Runner::begin(session, project, patience, report).await?;
    let applied = runner.applied().await?;
    // Whatever is wrong between the ledger and the files comes first.
    pending(project, &applied, OutOfOrder::Apply)?;
    runner.refuse_unfinished(project, &applied, Direction::Down).await?;
    let scripts = select(project, &applied, back)?;
    check(scripts.iter().map(|(_, script)| *script))?;
    let mut undone = Vec::new();
    for (migration, script) in scripts {
        let took = runner.run(migration, script, Direction::Down).await?;
        report(&Event::Undone { migration: migration.name.clone(), took });
        undone.push(migration.name.clone());
    }
    let version = ledger::version(&runner.applied().await?);
    runner.end().await;
    Ok(Down { undone, version })
}

/// What is to be undone, the newest first.
pub(crate) fn select<'a>(
    project: &'a Project,
    applied: &[Applied],
    back: Back,
) -> Result<Vec<(&'a Migration, &'a Script)>, Error> {
    let newest_first = applied.iter().rev();
    let rows: Vec<_> = match back {
        Back::To(version) => newest_first.filter(|row| row.version > version).collect(),
        Back::Steps(steps) => newest_first.take(steps).collect(),
    };
    let undo = |row: &&Applied| {
        let ours = project.migrations.iter().find(|migration| migration.version == row.version);
        let Some(migration) = ours else {
            let name = row.name();
            return Err(Error::Integrity(format!(
                "{name} was applied by a newer build: only that one knows how to undo it"
            )));
        };
        let Some(script) = &migration.down else {
            let name = &migration.name;
            return Err(Error::Integrity(format!("{name} cannot be undone: it has no .down.sql")));
        };
        Ok((migration, script))
    };
    rows.iter().map(undo).collect()
}
