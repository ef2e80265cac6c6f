//! `migrate status` and `migrate wait`: which migrations are applied.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::Error;
use crate::event::{Event, Report};
use crate::ledger::{Applied, OutOfOrder, current_version, pending};
use crate::postgres::{Backoff, Database};
use crate::project::Project;

/// The result of [`status`].
#[derive(Debug, Serialize)]
pub struct Status {
    /// The version of the schema. 0 if no migration is applied.
    pub version: i64,
    /// The newest version in this build.
    pub newest: i64,
    /// The number of pending migrations.
    pub pending: usize,
    /// The migrations of this build and of the ledger, ordered by version.
    pub migrations: Vec<MigrationStatus>,
}

/// A migration and its state.
#[derive(Debug, Serialize)]
pub struct MigrationStatus {
    /// The version.
    pub version: i64,
    /// The name as in the file name.
    pub name: String,
    /// The state.
    #[serde(flatten)]
    pub state: State,
}

/// The state of a migration. Times are RFC 3339 in UTC.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "state", content = "at", rename_all = "snake_case")]
pub enum State {
    /// Applied at this time.
    Applied(String),
    /// Started at this time and not finished. The next run resumes it.
    Unfinished(String),
    /// Not applied yet.
    Pending,
    /// Applied at this time by a newer build.
    Ahead(String),
}

impl fmt::Display for State {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Applied(at) => write!(to, "applied {at}"),
            State::Unfinished(at) => write!(to, "started {at}, not finished"),
            State::Pending => write!(to, "pending"),
            State::Ahead(at) => write!(to, "applied {at}, unknown to this build"),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for MigrationStatus { name, state, .. } in &self.migrations {
            writeln!(to, "{name:40} {state}")?;
        }
        write!(to, "the schema is at version {} of {}", self.version, self.newest)
    }
}

/// Reads which migrations are applied. Needs only the privilege to read the ledger.
pub async fn status(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<Status, Error> {
    let (session, applied) = super::connect(project, database, report).await?;
    session.close().await;
    let pending = pending(project, &applied, OutOfOrder::Apply)?;
    let state = |row: &Applied| {
        let at = row.installed_on.clone();
        match project.migration(row.version) {
            _ if !row.success => State::Unfinished(at),
            Ok(_) => State::Applied(at),
            Err(_) => State::Ahead(at),
        }
    };
    let known = applied.iter().map(|row| MigrationStatus {
        version: row.version,
        name: row.name(),
        state: state(row),
    });
    let is_known = |version| applied.iter().any(|row| row.version == version);
    let new = pending.iter().filter(|migration| !is_known(migration.version));
    let new = new.map(|migration| MigrationStatus {
        version: migration.version,
        name: migration.name.clone(),
        state: State::Pending,
    });
    let mut migrations: Vec<_> = known.chain(new).collect();
    migrations.sort_by_key(|migration| migration.version);
    Ok(Status {
        version: current_version(&applied),
        newest: project.newest(),
        pending: pending.len(),
        migrations,
    })
}

/// Waits until the schema is at `version` or newer, and returns its version.
pub async fn wait(
    project: &Project,
    database: &Database,
    version: i64,
    timeout: Duration,
    report: Report<'_>,
) -> Result<i64, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2), timeout);
    let database = database.clone().wait(Duration::ZERO);
    let mut reported = String::new();
    loop {
        let event = match read_version(project, &database).await {
            Ok(current) if current >= version => return Ok(current),
            Ok(current) => Event::WaitingForSchema { version: current, wanted: version },
            Err(error) if error.is_temporary() => {
                Event::WaitingForDatabase { reason: error.to_string() }
            }
            Err(error) => return Err(error),
        };
        if reported != event.to_string() {
            report(&event);
            reported = event.to_string();
        }
        if !backoff.pause().await {
            return Err(Error::Unavailable(format!(
                "{reported}; run `migrate up`, or raise --timeout"
            )));
        }
    }
}

async fn read_version(project: &Project, database: &Database) -> Result<i64, Error> {
    let (session, applied) = super::connect(project, database, &|_| ()).await?;
    session.close().await;
    Ok(current_version(&applied))
}
