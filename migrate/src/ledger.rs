//! The ledger of applied migrations: sqlx's table, and beside it how far the unfinished ones are.

use std::time::Duration;

use sha2::{Digest, Sha384};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row};

use crate::Error;
use crate::lock::{FENCE, Lock, lost};
use crate::project::{Migration, Project, name};
use crate::runner::Failed;
use crate::session::Session;

/// Which transaction this is, as whom, and where names are looked up.
pub(crate) const STANDING: &str = "pg_current_xact_id()::text AS transaction, \
    current_user::text AS role, current_setting('search_path') AS search_path";

/// What [`STANDING`] selects: the same at the beginning and the end of a migration.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Standing {
    pub(crate) transaction: String,
    pub(crate) role: String,
    pub(crate) search_path: String,
}

impl Standing {
    /// How things stand now.
    pub(crate) async fn now(connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
        sqlx::query_as(AssertSqlSafe(format!("SELECT {STANDING}"))).fetch_one(connection).await
    }
}

/// A row of the ledger.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) description: String,
    /// RFC 3339, UTC.
    pub(crate) installed_on: String,
    /// Whether it has been done to its end.
    pub(crate) success: bool,
    pub(crate) checksum: Vec<u8>,
}

impl Applied {
    pub(crate) fn name(&self) -> String {
        name(self.version, &self.description)
    }
}

/// The tables, by their qualified names.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// sqlx's.
    pub(crate) table: String,
    /// The statements that have been run of migrations that are no transaction and not finished.
    pub(crate) steps: String,
    schema: String,
}

impl Ledger {
    pub(crate) fn of(project: &Project) -> Ledger {
        let schema = project.schema.clone();
        Ledger { table: project.ledger.clone(), steps: format!("{schema}._migrate_steps"), schema }
    }

    /// All rows by version; none when there is no ledger yet.
    pub(crate) async fn read(&self, connection: &mut PgConnection) -> Result<Vec<Applied>, Error> {
        let Ledger { table, .. } = self;
        // Without parameters it goes there and back once, and twice as a prepared statement: most
        // runs do nothing but this.
        let sql = format!("SELECT to_regclass('{table}') IS NOT NULL");
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        if !row.try_get(0)? {
            return Ok(Vec::new());
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

    /// Makes the schema and the tables where they are missing. Needs the lock.
    pub(crate) async fn ensure(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let Ledger { table, steps, schema } = self;
        // Even `IF NOT EXISTS` asks for the right to create.
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
                 -- Step 0 is there from when a migration is begun until it is finished.
                 CREATE TABLE {steps} (
                   version bigint NOT NULL,
                   step integer NOT NULL,
                   direction text NOT NULL CHECK (direction IN ('up', 'down')),
                   checksum bytea NOT NULL,
                   finished boolean NOT NULL,
                   begun_at timestamptz NOT NULL DEFAULT now(),
                   PRIMARY KEY (version, step)
                 );
               END IF;
             END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
        Ok(())
    }

    /// Claims the migration's row, in the transaction that applies it: of two runners that got here
    /// past the lock, the second waits for the first, and then fails.
    pub(crate) async fn claim(
        &self,
        session: &mut Session,
        lock: &Lock,
        migration: &Migration,
        finished: bool,
    ) -> Result<Standing, Failed> {
        let sql = format!(
            "INSERT INTO {} (version, description, success, checksum, execution_time)
             SELECT $3, $4, $5, $6, -1 WHERE {FENCE} RETURNING {STANDING}",
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
                let error = format!("{name} has just been applied by another runner");
                Err(Error::Unavailable(error).into())
            }
            claimed => Ok(claimed?.ok_or_else(lost)?),
        }
    }

    /// Takes the migration's row away, in the transaction that undoes it.
    pub(crate) async fn unclaim(
        &self,
        session: &mut Session,
        lock: &Lock,
        migration: &Migration,
    ) -> Result<Standing, Failed> {
        let sql = format!(
            "DELETE FROM {} WHERE version = $3 AND {FENCE} RETURNING {STANDING}",
            self.table
        );
        let row = sqlx::query_as(AssertSqlSafe(sql))
            .bind(lock.key())
            .bind(session.token().to_owned())
            .bind(migration.version)
            .fetch_optional(&mut session.connection)
            .await?;
        Ok(row.ok_or_else(lost)?)
    }

    /// Notes how long an applied migration took, and that it is finished.
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
        let noted = sqlx::query(AssertSqlSafe(sql))
            .bind(migration.version)
            .bind(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX))
            .bind(&migration.checksum)
            .execute(connection)
            .await?;
        match noted.rows_affected() {
            1 => Ok(()),
            _ => Err(Error::Integrity(format!("{} is not in the ledger any more", migration.name))),
        }
    }
}

/// A time as PostgreSQL writes it in a session whose DateStyle is ISO and whose TimeZone is UTC, to
/// the second: 2026-01-31 09:30:00.123456+00.
fn rfc3339(time: &str) -> String {
    match time.split_once(' ') {
        Some((date, time)) => format!("{date}T{}Z", time.get(..8).unwrap_or(time)),
        None => time.to_owned(),
    }
}

/// The highest version that has been applied to its end.
pub(crate) fn version(applied: &[Applied]) -> i64 {
    applied.iter().filter(|row| row.success).map(|row| row.version).max().unwrap_or(0)
}

/// What to do with a pending migration that is older than an applied one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum OutOfOrder {
    /// Refuse: on other databases it was, or will be, applied in another order.
    #[default]
    Refuse,
    /// Apply it.
    Apply,
}

/// What is still to be applied, in order, once everything has been found to fit. A migration that
/// was begun and can be gone on with is among it.
pub(crate) fn pending<'a>(
    project: &'a Project,
    applied: &[Applied],
    out_of_order: OutOfOrder,
) -> Result<Vec<&'a Migration>, Error> {
    for row in applied {
        check(project, row)?;
    }
    let is_done = |version| applied.iter().any(|row| row.version == version && row.success);
    let ours = project.migrations.iter();
    let pending: Vec<_> = ours.filter(|migration| !is_done(migration.version)).collect();
    let newest_applied = version(applied);
    match pending.iter().find(|migration| migration.version < newest_applied) {
        Some(late) if out_of_order == OutOfOrder::Refuse => Err(Error::Integrity(format!(
            "{} comes too late: version {newest_applied} has been applied already; give it a \
             higher number, or, where the order does not matter, run `migrate up --out-of-order`",
            late.name
        ))),
        _ => Ok(pending),
    }
}

/// What to say of an unfinished migration that cannot be gone on with.
pub(crate) fn changed_in_the_middle(row: &Applied) -> String {
    format!(
        "{} was begun on {} and not finished, and is a single transaction in this build: restore \
         `-- no-transaction`, or look what is there of it and run `migrate repair --forget {}`",
        row.name(),
        row.installed_on,
        row.version
    )
}

fn check(project: &Project, row: &Applied) -> Result<(), Error> {
    let name = row.name();
    let ours = project.migrations.iter().find(|migration| migration.version == row.version);
    let problem = match ours {
        // What has been run of it is compared statement by statement.
        Some(ours) if !row.success && ours.can_be_half_done() => return Ok(()),
        _ if !row.success => changed_in_the_middle(row),
        Some(ours) if !is_of(&row.checksum, ours) => format!(
            "{name} has been edited since it was applied on {}: restore the file, and put the \
             change into a new migration; if the edit changes nothing (a comment), run \
             `migrate repair`",
            row.installed_on
        ),
        // The database may be ahead: this is an older build, and a newer one has been here.
        None if row.version < project.newest() => format!(
            "{name} was applied on {} and is not in this build: restore the file, or, if it is not \
             to come back, run `migrate repair`",
            row.installed_on
        ),
        _ => return Ok(()),
    };
    Err(Error::Integrity(problem))
}

/// Whether the checksum is the migration's, whichever ends of lines the file had when it was
/// applied, and whether or not they were left out of account.
pub(crate) fn is_of(checksum: &[u8], migration: &Migration) -> bool {
    let unix = || migration.up.sql.replace("\r\n", "\n");
    checksum == migration.checksum
        || checksum == Sha384::digest(unix()).as_slice()
        || checksum == Sha384::digest(unix().replace('\n', "\r\n")).as_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: i64, checksum: &[u8]) -> Applied {
        Applied {
            version,
            description: "x".into(),
            installed_on: "2026-01-01T00:00:00Z".into(),
            success: true,
            checksum: checksum.to_vec(),
        }
    }

    fn ours() -> Project {
        Project::built_in()
    }

    /// The ledger after the first `count` migrations.
    fn after(count: usize) -> Vec<Applied> {
        let project = ours();
        let done = project.migrations.iter().take(count);
        done.map(|migration| row(migration.version, &migration.checksum)).collect()
    }

    fn count(applied: &[Applied]) -> usize {
        pending(&ours(), applied, OutOfOrder::Refuse).unwrap().len()
    }

    fn refusal(applied: &[Applied]) -> String {
        let error = pending(&ours(), applied, OutOfOrder::Refuse).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        error.to_string()
    }

    #[test]
    fn what_is_not_applied_is_pending() {
        let all = ours().migrations.len();
        assert_eq!(count(&[]), all);
        assert_eq!(count(&after(1)), all - 1);
        assert_eq!(count(&after(all)), 0);
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let mut ledger = after(1);
        ledger[0].checksum = b"other".to_vec();
        assert!(refusal(&ledger).contains("edited since it was applied"));
    }

    #[test]
    fn other_ends_of_lines_are_the_same_migration() {
        let mut ledger = after(1);
        let windows = ours().migrations[0].up.sql.replace('\n', "\r\n");
        ledger[0].checksum = Sha384::digest(windows).to_vec();
        assert_eq!(count(&ledger), ours().migrations.len() - 1);
    }

    #[test]
    fn a_database_that_is_ahead_is_fine_and_one_with_other_migrations_is_not() {
        let mut ahead = after(ours().migrations.len());
        ahead.push(row(9999, b"newer"));
        assert_eq!(count(&ahead), 0);
        assert!(refusal(&[row(0, b"other")]).contains("not in this build"));
    }

    #[test]
    fn a_migration_that_comes_too_late_is_refused_unless_that_is_asked_for() {
        let mut ledger = after(1);
        ledger.push(row(9999, b"newer"));
        assert!(refusal(&ledger).contains("comes too late"));
        let project = ours();
        let late = pending(&project, &ledger, OutOfOrder::Apply).unwrap();
        assert_eq!(late.len(), project.migrations.len() - 1);
    }

    #[test]
    fn an_unfinished_migration_is_pending_if_it_can_be_gone_on_with() {
        let mut ledger = after(2);
        ledger[1].success = false;
        assert!(refusal(&ledger).contains("not finished"));
        let mut project = ours();
        project.migrations[1].up.transactional = false;
        let pending = pending(&project, &ledger, OutOfOrder::Refuse).unwrap();
        assert_eq!(pending[0].version, 2);
    }
}
