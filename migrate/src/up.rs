//! Applying what is pending.

use std::time::{Duration, Instant};

use sqlx::migrate::Migration;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::backoff::Backoff;
use crate::database::Database;
use crate::error::postgres_error;
use crate::ledger;
use crate::lock::Lock;
use crate::{Error, Report, name};

/// How long a migration is tried again when it could not get a lock on a table.
const RETRY: Duration = Duration::from_secs(60);

/// What [`up`] has done.
#[derive(Debug)]
pub struct Up {
    /// The names of the migrations that this run applied.
    pub applied: Vec<String>,
    /// The version that the schema is at now.
    pub version: i64,
}

/// Applies every pending migration, each in its own transaction.
///
/// Waits up to `lock_wait` for another runner to finish; what it did then needs no doing here. When
/// a migration fails it is rolled back, those before it stay, and the next run goes on from there.
pub async fn up(database: &Database, lock_wait: Duration, report: Report<'_>) -> Result<Up, Error> {
    let mut connection = database.connect(report).await?;
    let applied = ledger::read(&mut connection).await?;
    let done = if ledger::pending(&applied)?.is_empty() {
        Vec::new()
    } else {
        let lock = Lock::acquire(&mut connection, lock_wait, report).await?;
        // An error leaves the lock to the end of the session, which is now.
        let done = apply_all(&mut connection, &lock, report).await?;
        lock.release(&mut connection).await?;
        done
    };
    let version = ledger::read(&mut connection).await?.last().map_or(0, |row| row.version);
    connection.close().await?;
    Ok(Up { applied: done, version })
}

async fn apply_all(
    connection: &mut PgConnection,
    lock: &Lock,
    report: Report<'_>,
) -> Result<Vec<String>, Error> {
    ledger::ensure(connection).await?;
    let pending = ledger::pending(&ledger::read(connection).await?)?;
    if let Some(migration) = pending.iter().find(|migration| migration.no_tx) {
        let name = name(migration.version, &migration.description);
        return Err(Error::Integrity(format!("{name} asks to run outside of a transaction")));
    }
    let mut done = Vec::new();
    for migration in pending {
        let name = name(migration.version, &migration.description);
        let start = Instant::now();
        apply_patiently(connection, lock, migration, report).await?;
        report(&format!("applied {name} in {} ms", start.elapsed().as_millis()));
        done.push(name);
    }
    Ok(done)
}

/// Applies a migration, again and again while others hold what it needs: nothing of an attempt
/// remains, so nothing is done twice.
async fn apply_patiently(
    connection: &mut PgConnection,
    lock: &Lock,
    migration: &Migration,
    report: Report<'_>,
) -> Result<(), Error> {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8), RETRY);
    loop {
        let error = match apply(connection, lock, migration).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // Lock not available, deadlock, serialisation failure.
        let code = match &error {
            Failure::Sql(error) => postgres_error(error).map(|refusal| refusal.code()),
            Failure::Other(_) => None,
        };
        if !matches!(code, Some("55P03" | "40P01" | "40001")) || !backoff.pause().await {
            return Err(match error {
                Failure::Sql(error) => Error::of_migration(migration, error),
                Failure::Other(error) => error,
            });
        }
        let name = name(migration.version, &migration.description);
        report(&format!("{name} could not get a lock; trying again"));
    }
}

enum Failure {
    Sql(sqlx::Error),
    Other(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::Sql(error)
    }
}

/// One attempt, in one transaction: claim, run, check that the file did not leave it.
async fn apply(
    connection: &mut PgConnection,
    lock: &Lock,
    migration: &Migration,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut transaction = connection.begin().await?;
    if !lock.is_held(&mut transaction).await? {
        let reason = "the lock was lost: connect to PostgreSQL itself, not to a pooler";
        return Err(Failure::Other(Error::Unavailable(reason.to_owned())));
    }
    ledger::claim(&mut transaction, migration).await?;
    let before = standing(&mut transaction).await?;
    sqlx::raw_sql(AssertSqlSafe(migration.sql.as_str())).execute(&mut *transaction).await?;
    if standing(&mut transaction).await? != before {
        let name = name(migration.version, &migration.description);
        return Err(Failure::Other(Error::Integrity(format!(
            "{name} ends the transaction, or changes the role or the search_path: it must not"
        ))));
    }
    ledger::record_time(&mut transaction, migration, start.elapsed()).await?;
    transaction.commit().await?;
    Ok(())
}

/// Which transaction this is, as whom, and where names are looked up.
pub(crate) async fn standing(
    connection: &mut PgConnection,
) -> Result<(String, String, String), sqlx::Error> {
    sqlx::query_as(
        "SELECT pg_current_xact_id()::text, current_user::text, current_setting('search_path')",
    )
    .fetch_one(connection)
    .await
}
