//! The ledger of applied migrations: sqlx's table, in our schema.

use std::time::Duration;

use sqlx::migrate::Migration;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{Error, MIGRATOR, name};

/// A row of the ledger.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) description: String,
    /// RFC 3339, UTC.
    pub(crate) installed_on: String,
    success: bool,
    checksum: Vec<u8>,
}

/// All rows by version; none when there is no ledger yet.
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Vec<Applied>, Error> {
    let table = &MIGRATOR.table_name;
    let (exists,): (bool,) = sqlx::query_as("SELECT to_regclass($1) IS NOT NULL")
        .bind(table.as_ref())
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(Vec::new());
    }
    let sql = format!(
        r#"SELECT version, description, success, checksum,
                  to_char(installed_on AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS installed_on
           FROM {table} ORDER BY version"#
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

/// Makes the schema and the table where they are missing. Needs the lock.
pub(crate) async fn ensure(connection: &mut PgConnection) -> Result<(), Error> {
    for schema in MIGRATOR.create_schemas.iter() {
        // Even `IF NOT EXISTS` asks for the right to create.
        let sql = format!(
            "DO $$ BEGIN
               IF to_regnamespace('{schema}') IS NULL THEN CREATE SCHEMA {schema}; END IF;
             END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} (
           version bigint PRIMARY KEY,
           description text NOT NULL,
           installed_on timestamptz NOT NULL DEFAULT now(),
           success boolean NOT NULL,
           checksum bytea NOT NULL,
           execution_time bigint NOT NULL
         )",
        MIGRATOR.table_name
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Claims the migration's row, in the transaction that applies it: of two runners that got here
/// past the lock, the second waits for the first, and then fails.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    migration: &Migration,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "INSERT INTO {} (version, description, success, checksum, execution_time)
         VALUES ($1, $2, true, $3, -1)",
        MIGRATOR.table_name
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(migration.version)
        .bind(migration.description.as_ref())
        .bind(migration.checksum.as_ref())
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes how long the migration took.
pub(crate) async fn record_time(
    connection: &mut PgConnection,
    migration: &Migration,
    took: Duration,
) -> Result<(), sqlx::Error> {
    let sql = format!("UPDATE {} SET execution_time = $2 WHERE version = $1", MIGRATOR.table_name);
    sqlx::query(AssertSqlSafe(sql))
        .bind(migration.version)
        .bind(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// What is still to be applied, in order, once everything has been found to fit.
pub(crate) fn pending(applied: &[Applied]) -> Result<Vec<&'static Migration>, Error> {
    let newest_applied = applied.last().map_or(0, |row| row.version);
    for row in applied {
        let name = name(row.version, &row.description);
        let ours = MIGRATOR.iter().find(|migration| migration.version == row.version);
        match ours {
            _ if !row.success => {
                return Err(Error::Integrity(format!("{name} was begun and not finished")));
            }
            Some(ours) if ours.checksum != row.checksum => {
                return Err(Error::Integrity(format!(
                    "{name} has been edited since it was applied on {}: restore the file, and put \
                     the change into a new migration",
                    row.installed_on
                )));
            }
            // The database is ahead: this is an older build, and a newer one has been here.
            None if row.version < crate::newest() => {
                return Err(Error::Integrity(format!(
                    "{name} was applied on {} and is not in this build",
                    row.installed_on
                )));
            }
            _ => {}
        }
    }
    let pending: Vec<_> = MIGRATOR
        .iter()
        .filter(|ours| ours.migration_type.is_up_migration())
        .filter(|ours| applied.iter().all(|row| row.version != ours.version))
        .collect();
    match pending.iter().find(|migration| migration.version < newest_applied) {
        Some(late) => Err(Error::Integrity(format!(
            "{} comes too late: version {newest_applied} has been applied already; give it a \
             higher number",
            name(late.version, &late.description)
        ))),
        None => Ok(pending),
    }
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

    /// The ledger after the first `count` migrations.
    fn after(count: usize) -> Vec<Applied> {
        MIGRATOR.iter().take(count).map(|ours| row(ours.version, &ours.checksum)).collect()
    }

    fn refusal(applied: &[Applied]) -> String {
        let error = pending(applied).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        error.to_string()
    }

    #[test]
    fn what_is_not_applied_is_pending() {
        let all = MIGRATOR.iter().count();
        assert_eq!(pending(&[]).unwrap().len(), all);
        assert_eq!(pending(&after(1)).unwrap().len(), all - 1);
        assert!(pending(&after(all)).unwrap().is_empty());
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let mut ledger = after(1);
        ledger[0].checksum = b"other".to_vec();
        assert!(refusal(&ledger).contains("edited since it was applied"));
    }

    #[test]
    fn a_database_that_is_ahead_is_fine_and_one_with_other_migrations_is_not() {
        let all = MIGRATOR.iter().count();
        let mut ahead = after(all);
        ahead.push(row(9999, b"newer"));
        assert!(pending(&ahead).unwrap().is_empty());
        assert!(refusal(&[row(0, b"other")]).contains("not in this build"));
    }

    #[test]
    fn a_migration_that_comes_too_late_is_refused() {
        let mut ledger = after(1);
        ledger.push(row(9999, b"newer"));
        assert!(refusal(&ledger).contains("comes too late"));
    }

    #[test]
    fn a_migration_that_was_not_finished_is_refused() {
        let mut ledger = after(1);
        ledger[0].success = false;
        assert!(refusal(&ledger).contains("not finished"));
    }
}
