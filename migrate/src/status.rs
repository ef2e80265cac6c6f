//! Looking at the schema without touching it.

use std::time::Duration;

use sqlx::Connection;

use crate::backoff::Backoff;
use crate::database::Database;
use crate::{Error, MIGRATOR, Report, ledger, name};

/// A migration, and whether the database has it.
#[derive(Debug)]
pub struct Migration {
    /// Its name, as its file has it.
    pub name: String,
    /// Whether and when it was applied.
    pub state: State,
}

/// How a migration stands.
#[derive(Debug, PartialEq)]
pub enum State {
    /// Applied at this time (RFC 3339, UTC).
    Applied(String),
    /// Still to be applied.
    Pending,
    /// Applied by a newer build.
    Ahead(String),
}

/// Every migration that this build or the database knows, in order. Takes no lock and needs no
/// right but to read the ledger.
pub async fn status(database: &Database, report: Report<'_>) -> Result<Vec<Migration>, Error> {
    let mut connection = database.connect(report).await?;
    let applied = ledger::read(&mut connection).await?;
    connection.close().await?;
    let pending = ledger::pending(&applied)?;
    let applied = applied.into_iter().map(|row| Migration {
        name: name(row.version, &row.description),
        state: match MIGRATOR.version_exists(row.version) {
            true => State::Applied(row.installed_on),
            false => State::Ahead(row.installed_on),
        },
    });
    let pending = pending.into_iter().map(|migration| Migration {
        name: name(migration.version, &migration.description),
        state: State::Pending,
    });
    Ok(applied.chain(pending).collect())
}

/// Waits until the schema is at `version` or newer; returns the version it is at.
pub async fn wait(
    database: &Database,
    version: i64,
    timeout: Duration,
    report: Report<'_>,
) -> Result<i64, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2), timeout);
    let database = database.clone().wait(Duration::ZERO);
    let mut told = String::new();
    loop {
        let reason = match reached(&database).await {
            Ok(reached) if reached >= version => return Ok(reached),
            Ok(reached) => format!("the schema is at version {reached}, waiting for {version}"),
            Err(error) if error.is_temporary() => format!("waiting for the database: {error}"),
            Err(error) => return Err(error),
        };
        if told != reason {
            report(&reason);
            told.clone_from(&reason);
        }
        if !backoff.pause().await {
            return Err(Error::Unavailable(reason));
        }
    }
}

async fn reached(database: &Database) -> Result<i64, Error> {
    let mut connection = database.connect(&|_| ()).await?;
    let applied = ledger::read(&mut connection).await?;
    connection.close().await?;
    Ok(applied.last().map_or(0, |row| row.version))
}
