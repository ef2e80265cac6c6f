//! Looking at the schema without touching it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::Error;
use crate::backoff::Backoff;
use crate::database::Database;
use crate::event::{Event, Report};
use crate::ledger::{self, Ledger, OutOfOrder, pending};
use crate::project::Project;

/// How far a database is.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The version that it is at, 0 when there is none.
    pub version: i64,
    /// The newest version in this build.
    pub newest: i64,
    /// How many migrations are pending.
    pub pending: usize,
    /// Every migration that this build or the database knows, in order.
    pub migrations: Vec<MigrationStatus>,
}

/// A migration, and whether the database has it.
#[derive(Debug, Serialize)]
pub struct MigrationStatus {
    /// Its number.
    pub version: i64,
    /// Its name, as its file has it.
    pub name: String,
    /// Whether and when it was applied.
    #[serde(flatten)]
    pub state: State,
}

/// How a migration stands. Times are RFC 3339, UTC.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "state", content = "at", rename_all = "snake_case")]
pub enum State {
    /// Applied at this time.
    Applied(String),
    /// Begun at this time, and not finished: the next run goes on with it.
    Unfinished(String),
    /// Still to be applied.
    Pending,
    /// Applied at this time by a newer build.
    Ahead(String),
}

impl fmt::Display for State {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Applied(at) => write!(to, "applied {at}"),
            State::Unfinished(at) => write!(to, "begun {at}, not finished"),
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

/// Takes no lock and needs no right but to read the ledger.
pub async fn status(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<Status, Error> {
    let mut session = database.connect(report).await?;
    let applied = Ledger::of(project).read(&mut session.connection).await?;
    session.close().await;
    let pending = pending(project, &applied, OutOfOrder::Apply)?;
    let state = |row: &ledger::Applied| {
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
        version: ledger::version(&applied),
        newest: project.newest(),
        pending: pending.len(),
        migrations,
    })
}

/// Waits until the schema is at `version` or newer; returns the version it is at.
pub async fn wait(
    project: &Project,
    database: &Database,
    version: i64,
    timeout: Duration,
    report: Report<'_>,
) -> Result<i64, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2), timeout);
    let database = database.clone().wait(Duration::ZERO);
    let mut told = String::new();
    loop {
        let event = match reached(project, &database).await {
            Ok(reached) if reached >= version => return Ok(reached),
            Ok(reached) => Event::WaitingForSchema { version: reached, wanted: version },
            Err(error) if error.is_temporary() => {
                Event::WaitingForDatabase { reason: error.to_string() }
            }
            Err(error) => return Err(error),
        };
        if told != event.to_string() {
            report(&event);
            told = event.to_string();
        }
        if !backoff.pause().await {
            return Err(Error::Unavailable(told));
        }
    }
}

async fn reached(project: &Project, database: &Database) -> Result<i64, Error> {
    let mut session = database.connect(&|_| ()).await?;
    let applied = Ledger::of(project).read(&mut session.connection).await?;
    session.close().await;
    Ok(ledger::version(&applied))
}
