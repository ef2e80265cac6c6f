//! The ledger of applied migrations, which is sqlx's table, and the progress of unfinished ones.

mod lock;
mod selection;

use std::time::Duration;

use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row};

use crate::Error;
use crate::error::AttemptError;
use crate::postgres::Session;
use crate::project::{Migration, Project, migration_name};
pub(crate) use lock::{FENCE, Lock, lock_lost, lock_released};
pub use selection::{OutOfOrder, RevertTo};
pub(crate) use selection::{became_transactional, checksum_matches, pending, to_revert};

/// The columns of a [`TransactionState`].
pub(crate) const TRANSACTION_STATE: &str = "pg_current_xact_id()::text AS transaction, \
    current_user::text AS role, current_setting('search_path') AS search_path, \
    current_setting('client_encoding') AS encoding, \
    current_setting('transaction_read_only') = 'on' AS read_only";

/// The state of a transaction that the statements of a file must leave unchanged.
#[derive(Debug, PartialEq)]
pub struct TransactionState {
    pub(crate) transaction: String,
    pub(crate) role: String,
    pub(crate) search_path: String,
    /// The encoding in which the server expects text.
    pub(crate) encoding: String,
    /// Whether the transaction rejects writes, including those to the ledger.
    pub(crate) read_only: bool,
}

from_row!(TransactionState { transaction, role, search_path, encoding, read_only });

impl TransactionState {
    /// Reads the current state.
    pub async fn read(connection: &mut PgConnection) -> Result<TransactionState, sqlx::Error> {
        let sql = format!("SELECT {TRANSACTION_STATE}");
        sqlx::query_as(AssertSqlSafe(sql)).fetch_one(connection).await
    }
}

/// A row of the ledger.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) description: String,
    /// RFC 3339, in UTC.
    pub(crate) installed_on: String,
    /// Whether the migration is finished. `false` while it is partly applied or partly reverted.
    pub(crate) success: bool,
    pub(crate) checksum: Vec<u8>,
}

from_row!(Applied { version, description, installed_on, success, checksum });

impl Applied {
    /// Returns the name of the migration as in its file name.
    pub(crate) fn name(&self) -> String {
        migration_name(self.version, &self.description)
    }
}

/// The tables of the ledger, by their qualified names.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// sqlx's table of applied migrations.
    pub(crate) table: String,
    /// The table of statements that have run in unfinished, non-transactional migrations.
    pub(crate) steps: String,
    schema: String,
}

impl Ledger {
    /// Returns the ledger of a project.
    pub(crate) fn new(project: &Project) -> Ledger {
        let schema = project.schema.clone();
        Ledger { table: project.ledger.clone(), steps: format!("{schema}._migrate_steps"), schema }
    }

    /// Reads all rows, ordered by version. Returns none if the table does not exist. Fails if a
    /// row-level security policy may hide rows: an applied migration would appear pending.
    pub(crate) async fn read(&self, connection: &mut PgConnection) -> Result<Vec<Applied>, Error> {
        let Ledger { table, .. } = self;
        // Without parameters, the simple protocol needs one round trip instead of two. Most runs do
        // nothing else.
        let sql = format!(
            "SELECT ledger IS NOT NULL, coalesce(row_security_active(ledger), false)
             FROM to_regclass('{table}') AS ledger"
        );
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        if !row.try_get(0)? {
            return Ok(Vec::new());
        }
        if row.try_get(1)? {
            return Err(Error::Refused(format!(
                "cannot read the ledger {table} in full: row-level security applies to this role; \
                 run `ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY` \
                 as its owner"
            )));
        }
        let sql = format!(
            "SELECT version, description, success, checksum, installed_on::text AS installed_on
             FROM {table} ORDER BY version"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
        let mut rows: Vec<_> = rows.iter().map(Applied::from_row).collect::<Result<_, _>>()?;
        rows.iter_mut().for_each(|row| row.installed_on = rfc3339(&row.installed_on));
        Ok(rows)
    }

    /// Creates the schema and the tables that are missing. The caller must hold the lock.
    pub(crate) async fn create_if_missing(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), Error> {
        let Ledger { table, steps, schema } = self;
        // `CREATE ... IF NOT EXISTS` would require the CREATE privilege even when nothing is
        // missing.
        let sql = format!(
            "DO $$ BEGIN
               IF to_regnamespace('{schema}') IS NULL THEN CREATE SCHEMA {schema}; END IF;
               IF to_regclass('{table}') IS NULL THEN
                 CREATE TABLE {table} (
                   version bigint PRIMARY KEY,
                   description text NOT NULL,
                   installed_on timestamptz NOT NULL DEFAULT now(),
                   success boolean NOT NULL,
                   checksum bytea NOT NULL,
                   execution_time bigint NOT NULL
                 );
               END IF;
               IF to_regclass('{steps}') IS NULL THEN
                 -- Step 0 exists from the start of a migration until it is finished.
                 CREATE TABLE {steps} (
                   version bigint NOT NULL,
                   step integer NOT NULL,
                   direction text NOT NULL CHECK (direction IN ('up', 'down')),
                   checksum bytea NOT NULL,
                   finished boolean NOT NULL,
                   begun_at timestamptz NOT NULL DEFAULT now(),
                   target oid,
                   PRIMARY KEY (version, step)
                 );
               ELSIF NOT EXISTS (SELECT FROM pg_attribute WHERE attname = 'target'
                                 AND attrelid = to_regclass('{steps}')) THEN
                 ALTER TABLE {steps} ADD COLUMN target oid;
               END IF;
             END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
        Ok(())
    }

    /// Inserts the migration's row in the transaction that applies it. If two runners do so
    /// despite the lock, the second one waits for the first one's transaction and then fails.
    pub(crate) async fn claim(
        &self,
        session: &mut Session,
        lock: &Lock,
        migration: &Migration,
        finished: bool,
    ) -> Result<TransactionState, AttemptError> {
        let sql = format!(
            "INSERT INTO {} (version, description, success, checksum, execution_time)
             SELECT $3, $4, $5, $6, -1 WHERE {FENCE} RETURNING {TRANSACTION_STATE}",
            self.table
        );
        let claimed = sqlx::query_as(AssertSqlSafe(sql))
            .bind(lock.key())
            .bind(session.token().to_owned())
            .bind(migration.version)
            .bind(&migration.description)
            .bind(finished)
            .bind(&migration.checksum)
            .fetch_optional(&mut session.connection)
            .await;
        match claimed {
            Err(error) if crate::error::code(&error) == Some("23505") => {
                let name = &migration.name;
                let error = format!("{name} has just been applied by another runner; run again");
                Err(Error::Unavailable(error).into())
            }
            claimed => match claimed? {
                Some(state) => Ok(state),
                None => Err(lock_lost(session, lock).await.into()),
            },
        }
    }

    /// Deletes the migration's row in the transaction that reverts it.
    pub(crate) async fn delete(
        &self,
        session: &mut Session,
        lock: &Lock,
        migration: &Migration,
    ) -> Result<TransactionState, AttemptError> {
        let sql = format!(
            "DELETE FROM {} WHERE version = $3 AND {FENCE} RETURNING {TRANSACTION_STATE}",
            self.table
        );
        let row = sqlx::query_as(AssertSqlSafe(sql))
            .bind(lock.key())
            .bind(session.token().to_owned())
            .bind(migration.version)
            .fetch_optional(&mut session.connection)
            .await?;
        match row {
            Some(state) => Ok(state),
            None => Err(lock_lost(session, lock).await.into()),
        }
    }

    /// Marks an applied migration as finished, and records how long it took.
    pub(crate) async fn finish(
        &self,
        connection: &mut PgConnection,
        migration: &Migration,
        took: Duration,
    ) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {} SET execution_time = $2, success = true, checksum = $3 WHERE version = $1",
            self.table
        );
        let updated = sqlx::query(AssertSqlSafe(sql))
            .bind(migration.version)
            .bind(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX))
            .bind(&migration.checksum)
            .execute(connection)
            .await?;
        match updated.rows_affected() {
            1 => Ok(()),
            _ => Err(Error::Integrity(format!("{} is no longer in the ledger", migration.name))),
        }
    }
}

/// Converts a timestamp such as `2026-01-31 09:30:00.123456+00`, in PostgreSQL's ISO style and UTC,
/// to RFC 3339 with a precision of one second.
fn rfc3339(time: &str) -> String {
    match time.split_once(' ') {
        Some((date, time)) => format!("{date}T{}Z", time.get(..8).unwrap_or(time)),
        None => time.to_owned(),
    }
}

/// Returns the version of the schema: the highest one that is finished, or 0.
pub(crate) fn current_version(applied: &[Applied]) -> i64 {
    applied.iter().filter(|row| row.success).map(|row| row.version).max().unwrap_or(0)
}
