//! Scripts that run statement by statement, and resume where an earlier run stopped.
//!
//! A statement that may run in a transaction shares one with the record of its completion. For a
//! statement that may not, a record is written before and after. If a run is interrupted in
//! between, the next one determines whether the statement has completed. Statements that are not
//! recognized as forbidding a transaction are tried in one first: PostgreSQL rejects them before
//! any change.

use std::time::Instant;

use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use super::runner::{Runner, remedy};
use crate::Error;
use crate::error::AttemptError;
use crate::event::Event;
use crate::ledger::{FENCE, TRANSACTION_STATE, TransactionState, lock_lost};
use crate::project::{Direction, Migration, Script};
use crate::sql::{ReindexTarget, RelationName, Statement, StatementKind, split};

/// The record of a statement that has been started or finished.
#[derive(sqlx::FromRow)]
struct Step {
    step: i32,
    checksum: Vec<u8>,
    finished: bool,
}

/// The values of `lock_timeout` and `statement_timeout`.
type Timeouts = (String, String);

/// The current statement of a run.
struct Position<'a> {
    migration: &'a Migration,
    script: &'a Script,
    direction: Direction,
    /// The 1-based number of the statement, not counting statements that change settings.
    step: i32,
    of: usize,
}

impl Position<'_> {
    /// Returns [`SqlFailure::next`](crate::SqlFailure::next) for the current statement.
    fn next(&self) -> String {
        self.next_after(self.step - 1)
    }

    /// Returns the same for a statement that fails after `done` steps.
    fn next_after(&self, done: i32) -> String {
        let done = match done {
            0 => "no statement has completed yet".to_owned(),
            1 => "the statement before it has completed and is kept".to_owned(),
            before => format!("the {before} statements before it have completed and are kept"),
        };
        format!("{done}; {} to resume with this statement", remedy(self.direction))
    }
}

impl Runner<'_> {
    /// Runs the statements of a script that have not completed yet.
    pub(super) async fn run_step_by_step(
        &mut self,
        migration: &Migration,
        script: &Script,
        direction: Direction,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let statements = split(&script.sql);
        let of = statements.iter().filter(|statement| !is_setting(statement)).count();
        let mut position = Position { migration, script, direction, step: 0, of };
        let steps = self.recorded_steps(migration).await?;
        if steps.is_empty() {
            self.claim(&position).await?;
        }
        reject_edited(&position, &steps, &statements)?;
        self.command("RESET ALL").await?;
        for statement in &statements {
            if is_setting(statement) {
                self.set(&position, statement).await?;
                continue;
            }
            position.step += 1;
            let record = steps.iter().find(|step| step.step == position.step);
            if record.is_none_or(|step| !step.finished) {
                let started = record.is_some_and(|step| step.checksum == checksum(statement.text));
                self.run_step(&position, statement, started).await?;
            }
        }
        self.finish(&position, start).await
    }

    async fn recorded_steps(&mut self, migration: &Migration) -> Result<Vec<Step>, Error> {
        let sql = format!(
            "SELECT step, checksum, finished FROM {} WHERE version = $1 ORDER BY step",
            self.ledger.steps
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(migration.version);
        Ok(query.fetch_all(&mut self.session.connection).await?)
    }

    /// Runs a statement that changes a setting for the rest of the script. It must not change the
    /// role, which may lack privileges on the tables of the ledger.
    async fn set(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
    ) -> Result<(), Error> {
        self.execute(position.script, statement, || position.next_after(position.step)).await?;
        let (role,): (String,) = sqlx::query_as("SELECT current_user::text")
            .fetch_one(&mut self.session.connection)
            .await?;
        self.verify_role(&role, position.script)
    }

    /// Records that the migration has been started.
    async fn claim(&mut self, position: &Position<'_>) -> Result<(), Error> {
        self.begin_transaction().await?;
        let Runner { ledger, session, lock, .. } = self;
        if position.direction == Direction::Up {
            ledger.claim(session, lock, position.migration, false).await?;
        } else {
            let sql = format!("UPDATE {} SET success = false WHERE version = $1", ledger.table);
            let query = sqlx::query(AssertSqlSafe(sql)).bind(position.migration.version);
            query.execute(&mut session.connection).await?;
        }
        self.record(position, "", true).await?;
        Ok(self.command("COMMIT").await?)
    }

    /// Runs one statement, and retries while concurrent transactions interfere. `started` is
    /// whether an earlier run has started the same statement.
    async fn run_step(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
        mut started: bool,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let mut attempts = self.attempts();
        let mut outside = statement.kind().forbids_transaction();
        loop {
            let attempt = match outside {
                true => self.run_outside_transaction(position, statement, started).await,
                false => self.run_inside_transaction(position, statement).await,
            };
            match self.roll_back_if_failed(attempt).await {
                Ok(()) => break,
                Err(AttemptError::Fatal(Error::Sql(failure)))
                    if !outside && is_transaction_forbidden(&failure.code) =>
                {
                    outside = true;
                }
                Err(error) => {
                    // A failed attempt has deleted its record.
                    started = false;
                    self.retry(error, position.script, &mut attempts).await?;
                }
            }
        }
        (self.report)(&Event::Step {
            file: position.script.file.clone(),
            step: usize::try_from(position.step).unwrap_or_default(),
            of: position.of,
            took: start.elapsed(),
        });
        Ok(())
    }

    async fn run_inside_transaction(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
    ) -> Result<(), AttemptError> {
        // Without RESET ALL, because the script may have changed settings.
        self.command("BEGIN").await?;
        let before = self.record(position, statement.text, true).await?;
        self.execute(position.script, statement, || position.next()).await?;
        self.verify_state(before, position.script).await?;
        let commit = Statement { text: "COMMIT", line: statement.line };
        self.execute(position.script, &commit, || position.next()).await
    }

    async fn run_outside_transaction(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
        started: bool,
    ) -> Result<(), AttemptError> {
        let kind = statement.kind();
        let is_complete = self.is_complete(&kind).await?;
        if !is_complete {
            self.record(position, statement.text, false).await?;
        }
        // If the statement's effect exists although the statement was never started, it has another
        // origin. In that case no record is written before the statement runs and fails: after a
        // crash, the next run would mistake that effect for its own.
        if !(started && is_complete) {
            self.execute_and_clean_up(position, statement, &kind).await?;
        }
        self.record(position, statement.text, true).await?;
        Ok(())
    }

    /// Runs a statement that forbids a transaction. Drops the invalid indexes that it leaves behind
    /// on failure, and those that an interrupted run has left.
    async fn execute_and_clean_up(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
        kind: &StatementKind,
    ) -> Result<(), AttemptError> {
        let timeouts = self.disable_timeouts().await?;
        let mut result = self.drop_invalid_indexes(position, statement, kind).await;
        if result.is_ok() {
            result = self.execute(position.script, statement, || position.next()).await;
        }
        if result.is_err() {
            // If this fails, for example on a lost connection, the next run cleans up.
            let _ = self.restore_timeouts(&timeouts).await;
            let _ = self.drop_invalid_indexes(position, statement, kind).await;
            let _ = self.delete_record(position).await;
            return result;
        }
        Ok(self.restore_timeouts(&timeouts).await?)
    }

    /// Disables the timeouts, and returns their previous values. While a statement such as
    /// `CREATE INDEX CONCURRENTLY` waits for other transactions, it does not block them, and
    /// canceling it leaves an invalid index behind.
    async fn disable_timeouts(&mut self) -> Result<Timeouts, sqlx::Error> {
        let timeouts = sqlx::query_as(
            "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')",
        )
        .fetch_one(&mut self.session.connection)
        .await?;
        self.command("SET lock_timeout = 0; SET statement_timeout = 0").await?;
        Ok(timeouts)
    }

    async fn restore_timeouts(&mut self, (lock, statement): &Timeouts) -> Result<(), sqlx::Error> {
        let sql = "SELECT set_config('lock_timeout', $1, false),
                          set_config('statement_timeout', $2, false)";
        let query = sqlx::query(sql).bind(lock).bind(statement);
        query.execute(&mut self.session.connection).await?;
        Ok(())
    }

    /// Records that a statement has been started or finished. The write is fenced.
    async fn record(
        &mut self,
        position: &Position<'_>,
        text: &str,
        finished: bool,
    ) -> Result<TransactionState, AttemptError> {
        let sql = format!(
            "INSERT INTO {} (version, step, direction, checksum, finished)
             SELECT $3, $4, $5, $6, $7 WHERE {FENCE}
             ON CONFLICT (version, step) DO UPDATE
               SET checksum = excluded.checksum, finished = excluded.finished
             RETURNING {TRANSACTION_STATE}",
            self.ledger.steps,
        );
        let state = sqlx::query_as(AssertSqlSafe(sql))
            .bind(self.lock.key())
            .bind(self.session.token().to_owned())
            .bind(position.migration.version)
            .bind(position.step)
            .bind(position.direction.as_str())
            .bind(checksum(text))
            .bind(finished)
            .fetch_optional(&mut self.session.connection)
            .await?;
        Ok(state.ok_or_else(lock_lost)?)
    }

    /// Deletes the record of a statement that PostgreSQL has rejected. If the index that it was to
    /// create exists, it has another origin.
    async fn delete_record(&mut self, position: &Position<'_>) -> Result<(), Error> {
        let sql = format!("DELETE FROM {} WHERE version = $1 AND step = $2", self.ledger.steps);
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(position.migration.version).bind(position.step);
        query.execute(&mut self.session.connection).await?;
        Ok(())
    }

    /// Returns whether the effect of a statement exists: the valid index that it creates, or the
    /// absence of the index that it drops.
    async fn is_complete(&mut self, kind: &StatementKind) -> Result<bool, Error> {
        Ok(match kind {
            StatementKind::CreateIndexConcurrently { index: Some(index), table } => {
                self.index_validity(index, table.schema.as_deref()).await? == Some(true)
            }
            StatementKind::DropIndexConcurrently(RelationName { schema, name }) => {
                self.index_validity(name, schema.as_deref()).await?.is_none()
            }
            _ => false,
        })
    }

    /// Drops the invalid indexes that an interrupted statement has left. Such an index costs writes
    /// without serving reads, and `IF NOT EXISTS` would accept it as the finished one.
    async fn drop_invalid_indexes(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
        kind: &StatementKind,
    ) -> Result<(), AttemptError> {
        let invalid: Vec<(String,)> = match kind {
            StatementKind::CreateIndexConcurrently { index: Some(index), table } => {
                let sql = "SELECT format('%I.%I', nspname, relname) FROM pg_index
                           JOIN pg_class ON pg_class.oid = indexrelid
                           JOIN pg_namespace ON pg_namespace.oid = relnamespace
                           WHERE NOT indisvalid AND relname = $1
                             AND nspname = coalesce($2, current_schema())
                             AND indrelid = to_regclass(
                               concat(quote_ident($2) || '.', quote_ident($3)))";
                let query = sqlx::query_as(sql).bind(index).bind(&table.schema).bind(&table.name);
                query.fetch_all(&mut self.session.connection).await?
            }
            StatementKind::ReindexConcurrently(target) => {
                let relation = match target {
                    ReindexTarget::Index(name) | ReindexTarget::Table(name) => Some(name),
                    ReindexTarget::Many => None,
                };
                let sql = r"SELECT format('%I.%I', nspname, relname) FROM pg_index
                            JOIN pg_class ON pg_class.oid = indexrelid
                            JOIN pg_namespace ON pg_namespace.oid = relnamespace
                            WHERE NOT indisvalid AND relname ~ '_cc(new|old)\d*$'
                              AND pg_has_role(relowner, 'USAGE')
                              AND ($2 IS NULL OR indrelid IN (
                                SELECT coalesce(indrelid, named.oid) FROM pg_class AS named
                                LEFT JOIN pg_index ON indexrelid = named.oid
                                WHERE named.oid = to_regclass(nullif(
                                  concat(quote_ident($1) || '.', quote_ident($2)), ''))))";
                let query = sqlx::query_as(sql)
                    .bind(relation.and_then(|relation| relation.schema.as_ref()))
                    .bind(relation.map(|relation| &relation.name));
                query.fetch_all(&mut self.session.connection).await?
            }
            _ => return Ok(()),
        };
        for (index,) in invalid {
            let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
            let drop = Statement { text: &sql, line: statement.line };
            self.execute(position.script, &drop, || position.next()).await?;
            (self.report)(&Event::Recovered { index });
        }
        Ok(())
    }

    /// Returns whether an index is valid. `None` if it does not exist.
    async fn index_validity(
        &mut self,
        index: &str,
        schema: Option<&str>,
    ) -> Result<Option<bool>, Error> {
        let row: Option<(bool,)> = sqlx::query_as(
            "SELECT indisvalid FROM pg_index
             JOIN pg_class ON pg_class.oid = indexrelid
             JOIN pg_namespace ON pg_namespace.oid = relnamespace
             WHERE relname = $1 AND nspname = coalesce($2, current_schema())",
        )
        .bind(index)
        .bind(schema)
        .fetch_optional(&mut self.session.connection)
        .await?;
        Ok(row.map(|(valid,)| valid))
    }

    /// Records that the migration has been applied or reverted, and deletes the records of its
    /// steps.
    async fn finish(&mut self, position: &Position<'_>, start: Instant) -> Result<(), Error> {
        let migration = position.migration;
        self.begin_transaction().await?;
        let Runner { ledger, session, lock, .. } = self;
        match position.direction {
            Direction::Up => {
                ledger.finish(&mut session.connection, migration, start.elapsed()).await?;
            }
            Direction::Down => {
                ledger.delete(session, lock, migration).await?;
            }
        }
        let sql = format!("DELETE FROM {} WHERE version = $1", ledger.steps);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(migration.version);
        query.execute(&mut session.connection).await?;
        Ok(self.command("COMMIT").await?)
    }
}

/// Returns whether every run has to repeat the statement, because a setting ends with its session.
fn is_setting(statement: &Statement<'_>) -> bool {
    matches!(statement.kind(), StatementKind::SessionSetting | StatementKind::LocalSetting)
}

/// Returns whether a SQLSTATE means that a statement cannot run in a transaction block, or that a
/// procedure tried to end its transaction.
fn is_transaction_forbidden(code: &str) -> bool {
    matches!(code, "25001" | "2D000")
}

/// Returns the SHA-256 of a statement without carriage returns.
fn checksum(text: &str) -> Vec<u8> {
    Sha256::digest(text.replace('\r', "")).to_vec()
}

/// Fails if a statement that has completed has been edited since.
fn reject_edited(
    position: &Position<'_>,
    recorded: &[Step],
    statements: &[Statement<'_>],
) -> Result<(), Error> {
    let Position { script, migration, .. } = position;
    let steps: Vec<_> = statements.iter().filter(|statement| !is_setting(statement)).collect();
    for step in recorded.iter().filter(|step| step.step > 0 && step.finished) {
        let index = usize::try_from(step.step - 1).unwrap_or_default();
        let statement = steps.get(index);
        if statement.is_none_or(|statement| checksum(statement.text) != step.checksum) {
            let (file, number) = (&script.file, step.step);
            return Err(Error::Integrity(format!(
                "statement {number} of {file} has completed and was edited since; restore it and \
                 put the change after the statement that failed, or revert the completed \
                 statements by hand and run `migrate repair --forget {}`",
                migration.version
            )));
        }
    }
    Ok(())
}
