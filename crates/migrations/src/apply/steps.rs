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
use sqlx::postgres::types::Oid;

use super::runner::{Runner, remedy};
use crate::Error;
use crate::error::AttemptError;
use crate::event::Event;
use crate::ledger::{FENCE, TRANSACTION_STATE, TransactionState, lock_lost};
use crate::project::{Direction, Migration, Script};
use crate::sql::{GlobalObject, ReindexTarget, RelationName, Statement, StatementKind, split};

/// Whether table `$2` has a valid index of the name `$1`. PostgreSQL creates an index in the schema
/// of its table.
const INDEX_EXISTS: &str = "
    SELECT EXISTS (
      SELECT FROM pg_class t
      JOIN pg_index ON indrelid = t.oid
      JOIN pg_class i ON i.oid = indexrelid
      WHERE t.oid = to_regclass($2) AND i.relname = $1 AND i.relnamespace = t.relnamespace
        AND indisvalid)";

/// The invalid index of the name `$1` on table `$2`.
const INVALID_INDEX: &str = "
    SELECT format('%I.%I', nspname, i.relname), true
    FROM pg_class t
    JOIN pg_index ON indrelid = t.oid
    JOIN pg_class i ON i.oid = indexrelid
    JOIN pg_namespace n ON n.oid = i.relnamespace
    WHERE t.oid = to_regclass($2) AND i.relname = $1 AND i.relnamespace = t.relnamespace
      AND NOT indisvalid";

/// The invalid copies that `REINDEX CONCURRENTLY` of the table or index `$1` has left, or of any
/// table if `$1` is null, and whether this role may drop them. Includes the indexes of partitions
/// and of TOAST tables; only a superuser may drop the latter.
const INVALID_COPIES: &str = r"
    WITH named AS (SELECT to_regclass($1)::oid AS oid),
    tree AS (
      SELECT oid FROM named
      UNION SELECT relid FROM named, pg_partition_tree(named.oid)
    ),
    tables AS (
      SELECT coalesce(indrelid, tree.oid) AS oid FROM tree LEFT JOIN pg_index ON indexrelid = tree.oid
    )
    SELECT format('%I.%I', nspname, relname), has_schema_privilege(n.oid, 'USAGE')
    FROM pg_index
    JOIN pg_class i ON i.oid = indexrelid
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE NOT indisvalid AND relname ~ '_cc(new|old)\d*$' AND pg_has_role(relowner, 'USAGE')
      AND ($1 IS NULL OR indrelid IN (
        SELECT oid FROM tables
        UNION SELECT reltoastrelid FROM pg_class WHERE oid IN (SELECT oid FROM tables)))
    ORDER BY 1";

/// Returns a query that compares the existence of the object `$1` with `$2`.
fn exists(object: GlobalObject) -> &'static str {
    match object {
        GlobalObject::Database => "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) = $2",
        GlobalObject::Tablespace => {
            "SELECT EXISTS (SELECT FROM pg_tablespace WHERE spcname = $1) = $2"
        }
        GlobalObject::Subscription => {
            "SELECT EXISTS (SELECT FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
                            WHERE subname = $1 AND datname = current_database()) = $2"
        }
    }
}

/// The record of a statement that has been started or finished.
struct Step {
    step: i32,
    checksum: Vec<u8>,
    finished: bool,
    target: Option<Oid>,
}

from_row!(Step { step, checksum, finished, target });

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

    /// Returns [`SqlFailure::next`](crate::SqlFailure::next) for a statement that fails after `done`
    /// steps.
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
                let started = record.filter(|step| step.checksum == checksum(statement.text));
                self.run_step(&position, statement, started).await?;
            }
        }
        self.finish(&position, start).await
    }

    async fn recorded_steps(&mut self, migration: &Migration) -> Result<Vec<Step>, Error> {
        let sql = format!(
            "SELECT step, checksum, finished, target FROM {} WHERE version = $1 ORDER BY step",
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
        self.record(position, "", true, None).await?;
        Ok(self.command("COMMIT").await?)
    }

    /// Runs one statement, and retries while concurrent transactions interfere. `started` is the
    /// record of an earlier run that has started the same statement.
    async fn run_step(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
        mut started: Option<&Step>,
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
                    started = None;
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
        self.command("BEGIN READ WRITE").await?;
        let before = self.record(position, statement.text, true, None).await?;
        self.execute(position.script, statement, || position.next()).await?;
        self.verify_state(before, position.script).await?;
        let commit = Statement { text: "COMMIT", line: statement.line };
        self.execute(position.script, &commit, || position.next()).await
    }

    async fn run_outside_transaction(
        &mut self,
        position: &Position<'_>,
        statement: &Statement<'_>,
        started: Option<&Step>,
    ) -> Result<(), AttemptError> {
        let kind = statement.kind();
        let target = match started {
            Some(step) => step.target,
            None => self.target(&kind).await?,
        };
        let is_complete = self.is_complete(&kind, target).await?;
        if !is_complete {
            self.record_and_commit(position, statement.text, false, target).await?;
        }
        // If the statement's effect exists although the statement was never started, it has another
        // origin. In that case no record is written before the statement runs and fails: after a
        // crash, the next run would mistake that effect for its own.
        if !(started.is_some() && is_complete) {
            self.execute_and_clean_up(position, statement, &kind).await?;
        }
        let after = self.record_and_commit(position, statement.text, true, None).await?;
        Ok(self.verify_role(&after.role, position.script)?)
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
        let finalize = self.finalization(kind).await?;
        let text = finalize.as_deref().unwrap_or(statement.text);
        let run = Statement { text, line: statement.line };
        let mut result = self.drop_invalid_indexes(position, statement, kind).await;
        if result.is_ok() {
            result = self.execute(position.script, &run, || position.next()).await;
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

    /// Calls [`Runner::record`] in a separate read-write transaction, regardless of the settings of
    /// the script.
    async fn record_and_commit(
        &mut self,
        position: &Position<'_>,
        text: &str,
        finished: bool,
        target: Option<Oid>,
    ) -> Result<TransactionState, AttemptError> {
        self.command("BEGIN READ WRITE").await?;
        let state = self.record(position, text, finished, target).await?;
        self.command("COMMIT").await?;
        Ok(state)
    }

    /// Records that a statement has been started or finished. The write is fenced.
    async fn record(
        &mut self,
        position: &Position<'_>,
        text: &str,
        finished: bool,
        target: Option<Oid>,
    ) -> Result<TransactionState, AttemptError> {
        let sql = format!(
            "INSERT INTO {} (version, step, direction, checksum, finished, target)
             SELECT $3, $4, $5, $6, $7, $8 WHERE {FENCE}
             ON CONFLICT (version, step) DO UPDATE
               SET checksum = excluded.checksum, finished = excluded.finished,
                   target = excluded.target
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
            .bind(target)
            .fetch_optional(&mut self.session.connection)
            .await?;
        match state {
            Some(state) => Ok(state),
            None => Err(lock_lost(&mut self.session, &self.lock).await.into()),
        }
    }

    /// Deletes the record of a statement that has failed. The next run must not mistake an existing
    /// index of the same name for the result of this statement.
    async fn delete_record(&mut self, position: &Position<'_>) -> Result<(), Error> {
        let sql = format!("DELETE FROM {} WHERE version = $1 AND step = $2", self.ledger.steps);
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(position.migration.version).bind(position.step);
        query.execute(&mut self.session.connection).await?;
        Ok(())
    }

    /// Returns the index that a statement drops. Recorded before the statement runs, because its
    /// name may denote another index afterwards: one of a later schema of the search path, or one
    /// that has been created since.
    async fn target(&mut self, kind: &StatementKind) -> Result<Option<Oid>, Error> {
        let StatementKind::DropIndexConcurrently(index) = kind else { return Ok(None) };
        let sql = "SELECT to_regclass($1)::oid";
        let query = sqlx::query_as(sql).bind(index.quoted());
        let (target,) = query.fetch_one(&mut self.session.connection).await?;
        Ok(target)
    }

    /// Returns whether the effect of a statement exists: the valid index or the object that it
    /// creates, or the absence of what it drops or detaches. `target` is the recorded
    /// [`Runner::target`] of an interrupted run.
    async fn is_complete(
        &mut self,
        kind: &StatementKind,
        target: Option<Oid>,
    ) -> Result<bool, Error> {
        let query = match kind {
            StatementKind::CreateIndexConcurrently { index: Some(index), table } => {
                sqlx::query_as(INDEX_EXISTS).bind(index).bind(table.quoted())
            }
            StatementKind::DropIndexConcurrently(index) => match target {
                Some(target) => {
                    let sql = "SELECT NOT EXISTS (SELECT FROM pg_class WHERE oid = $1)";
                    sqlx::query_as(sql).bind(target)
                }
                None => sqlx::query_as("SELECT to_regclass($1) IS NULL").bind(index.quoted()),
            },
            StatementKind::DetachConcurrently { table, partition } => {
                return Ok(self.detach_state(table, partition).await?.is_none());
            }
            StatementKind::CreateGlobal(object, name) => {
                sqlx::query_as(exists(*object)).bind(name).bind(true)
            }
            StatementKind::DropGlobal(object, name) => {
                sqlx::query_as(exists(*object)).bind(name).bind(false)
            }
            _ => return Ok(false),
        };
        let (is_complete,): (bool,) = query.fetch_one(&mut self.session.connection).await?;
        Ok(is_complete)
    }

    /// Returns whether a partition is pending detach. `None` if it is not a partition of the table.
    async fn detach_state(
        &mut self,
        table: &RelationName,
        partition: &RelationName,
    ) -> Result<Option<bool>, Error> {
        let sql = "SELECT inhdetachpending FROM pg_inherits
                   WHERE inhparent = to_regclass($1) AND inhrelid = to_regclass($2)";
        let query = sqlx::query_as(sql).bind(table.quoted()).bind(partition.quoted());
        let row: Option<(bool,)> = query.fetch_optional(&mut self.session.connection).await?;
        Ok(row.map(|(pending,)| pending))
    }

    /// Returns the statement that completes an interrupted `DETACH PARTITION CONCURRENTLY`, which
    /// PostgreSQL does not accept a second time.
    async fn finalization(&mut self, kind: &StatementKind) -> Result<Option<String>, Error> {
        let StatementKind::DetachConcurrently { table, partition } = kind else { return Ok(None) };
        Ok(match self.detach_state(table, partition).await? {
            Some(true) => Some(format!(
                "ALTER TABLE {} DETACH PARTITION {} FINALIZE",
                table.quoted(),
                partition.quoted()
            )),
            _ => None,
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
        let query = match kind {
            StatementKind::CreateIndexConcurrently { index: Some(index), table } => {
                sqlx::query_as(INVALID_INDEX).bind(index).bind(table.quoted())
            }
            StatementKind::ReindexConcurrently(target) => {
                let relation = match target {
                    ReindexTarget::Index(name) | ReindexTarget::Table(name) => Some(name.quoted()),
                    ReindexTarget::Many => None,
                };
                sqlx::query_as(INVALID_COPIES).bind(relation)
            }
            _ => return Ok(()),
        };
        let invalid: Vec<(String, bool)> = query.fetch_all(&mut self.session.connection).await?;
        for (index, may_drop) in invalid {
            if !may_drop {
                (self.report)(&Event::LeftInvalid { index });
                continue;
            }
            let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
            let drop = Statement { text: &sql, line: statement.line };
            self.execute(position.script, &drop, || position.next()).await?;
            (self.report)(&Event::Recovered { index });
        }
        Ok(())
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
