//! Files that are no transaction: statement by statement, and going on where an earlier run ended.
//!
//! A statement that can be in a transaction is in one together with the note that it has been done.
//! One that cannot (PostgreSQL says so before it does anything) is noted as begun, run, and noted as
//! done; when a run ends in between, the next one finds out how far it came.

use std::time::Instant;

use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use crate::Error;
use crate::event::Event;
use crate::ledger::Standing;
use crate::lock::{FENCE, lost};
use crate::project::{Migration, Script};
use crate::runner::{Direction, Failed, Runner, mend};
use crate::statements::{Kind, Name, Statement, split};

/// What the ledger has about a statement.
#[derive(sqlx::FromRow)]
struct Step {
    step: i32,
    checksum: Vec<u8>,
    finished: bool,
}

/// Where a run stands.
struct Place<'a> {
    migration: &'a Migration,
    script: &'a Script,
    direction: Direction,
    /// The number of the statement, from 1; settings are not counted.
    step: i32,
    of: usize,
}

impl Place<'_> {
    /// What remains when the statement fails, and what to do.
    fn next(&self) -> String {
        let done = match self.step - 1 {
            0 => "nothing has been done yet".to_owned(),
            1 => "the statement before it is done and stays".to_owned(),
            before => format!("the {before} statements before it are done and stay"),
        };
        let mend = mend(self.direction);
        format!("{done}; {mend}: it goes on with this statement")
    }
}

impl Runner<'_> {
    /// Runs what has not been run of a file.
    pub(crate) async fn run_step_by_step(
        &mut self,
        migration: &Migration,
        script: &Script,
        direction: Direction,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let statements = split(&script.sql);
        let of = statements.iter().filter(|statement| !is_setting(statement)).count();
        let mut place = Place { migration, script, direction, step: 0, of };
        let steps = self.steps(migration).await?;
        if steps.is_empty() {
            self.claim(&place).await?;
        }
        fits(&place, &steps, &statements)?;
        self.command("RESET ALL").await?;
        for statement in &statements {
            if is_setting(statement) {
                self.execute(script, statement, || place.next()).await.map_err(only_error)?;
                continue;
            }
            place.step += 1;
            let known = steps.iter().find(|step| step.step == place.step);
            if known.is_none_or(|step| !step.finished) {
                self.step(&place, statement, known.is_some()).await?;
            }
        }
        self.finish(&place, start).await
    }

    async fn steps(&mut self, migration: &Migration) -> Result<Vec<Step>, Error> {
        let sql = format!(
            "SELECT step, checksum, finished FROM {} WHERE version = $1 ORDER BY step",
            self.ledger.steps
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(migration.version);
        Ok(query.fetch_all(&mut self.session.connection).await?)
    }

    /// Notes that the migration has been begun.
    async fn claim(&mut self, place: &Place<'_>) -> Result<(), Error> {
        self.open_transaction().await?;
        let Runner { ledger, session, lock, .. } = self;
        if place.direction == Direction::Up {
            ledger.claim(session, lock, place.migration, false).await?;
        } else {
            let sql = format!("UPDATE {} SET success = false WHERE version = $1", ledger.table);
            let query = sqlx::query(AssertSqlSafe(sql)).bind(place.migration.version);
            query.execute(&mut session.connection).await?;
        }
        self.note(place, &[], true).await?;
        Ok(self.command("COMMIT").await?)
    }

    /// Runs a statement to its end, patiently.
    async fn step(
        &mut self,
        place: &Place<'_>,
        statement: &Statement<'_>,
        mut begun: bool,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let mut attempts = self.attempts();
        loop {
            let attempt = self.in_transaction(place, statement).await;
            let attempt = match self.settle(attempt).await {
                Err(Failed::For(Error::Sql(failure))) if needs_none(&failure.code) => {
                    self.outside_of_transaction(place, statement, begun).await
                }
                attempt => attempt,
            };
            let Err(failed) = attempt else { break };
            begun = true;
            self.retry(failed, place.script, &mut attempts).await?;
        }
        (self.report)(&Event::Step {
            file: place.script.file.clone(),
            step: usize::try_from(place.step).unwrap_or_default(),
            of: place.of,
            took: start.elapsed(),
        });
        Ok(())
    }

    async fn in_transaction(
        &mut self,
        place: &Place<'_>,
        statement: &Statement<'_>,
    ) -> Result<(), Failed> {
        // Not with RESET ALL: the file may have settings of its own.
        self.command("BEGIN").await?;
        let before = self.note(place, statement.text.as_bytes(), true).await?;
        self.execute(place.script, statement, || place.next()).await?;
        self.compare(before, place.script).await?;
        Ok(self.command("COMMIT").await?)
    }

    async fn outside_of_transaction(
        &mut self,
        place: &Place<'_>,
        statement: &Statement<'_>,
        begun: bool,
    ) -> Result<(), Failed> {
        let text = statement.text.as_bytes();
        self.note(place, text, false).await?;
        let kind = statement.kind();
        if begun && self.is_done_already(&kind).await? {
            self.note(place, text, true).await?;
            return Ok(());
        }
        self.remove_remains(&kind).await?;
        // What cannot be in a transaction waits for others without being waited for, and leaves
        // half of its work behind when it is cancelled.
        self.command("SET lock_timeout = 0; SET statement_timeout = 0").await?;
        let done = self.execute(place.script, statement, || place.next()).await;
        if done.is_err() {
            // As far as that is possible now; or else the next run does it.
            let _ = self.remove_remains(&kind).await;
            let _ = self.forget(place).await;
        }
        done?;
        self.command("RESET lock_timeout; RESET statement_timeout").await?;
        self.note(place, text, true).await?;
        Ok(())
    }

    /// Notes, behind the fence, that a statement has been begun, or finished.
    async fn note(
        &mut self,
        place: &Place<'_>,
        text: &[u8],
        finished: bool,
    ) -> Result<Standing, Error> {
        let sql = format!(
            "INSERT INTO {} AS known (version, step, direction, checksum, finished)
             SELECT $3, $4, $5, $6, $7 WHERE {FENCE}
             ON CONFLICT (version, step) DO UPDATE
               SET checksum = excluded.checksum, finished = excluded.finished
             RETURNING {STANDING}",
            self.ledger.steps,
            STANDING = crate::ledger::STANDING,
        );
        let standing = sqlx::query_as(AssertSqlSafe(sql))
            .bind(self.lock.key())
            .bind(self.session.token().to_owned())
            .bind(place.migration.version)
            .bind(place.step)
            .bind(place.direction.as_str())
            .bind(Sha256::digest(text).to_vec())
            .bind(finished)
            .fetch_optional(&mut self.session.connection)
            .await?;
        standing.ok_or_else(lost)
    }

    /// Takes back that a statement has been begun: PostgreSQL has refused it. What it was to make
    /// and is there is somebody else's.
    async fn forget(&mut self, place: &Place<'_>) -> Result<(), Error> {
        let sql = format!("DELETE FROM {} WHERE version = $1 AND step = $2", self.ledger.steps);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(place.migration.version).bind(place.step);
        query.execute(&mut self.session.connection).await?;
        Ok(())
    }

    /// Whether a statement that was begun had in fact come to its end.
    async fn is_done_already(&mut self, kind: &Kind) -> Result<bool, Error> {
        Ok(match kind {
            Kind::CreateIndexConcurrently { index: Some(index), table } => {
                self.index(index, table.schema.as_deref()).await? == Some(true)
            }
            Kind::DropIndexConcurrently(Name { schema, name }) => {
                self.index(name, schema.as_deref()).await?.is_none()
            }
            _ => false,
        })
    }

    /// Removes what an interrupted statement has left: an index that is not valid is kept up to date
    /// and used by nobody, and `IF NOT EXISTS` takes it for the real one.
    async fn remove_remains(&mut self, kind: &Kind) -> Result<(), Error> {
        let invalid: Vec<(String,)> = match kind {
            Kind::CreateIndexConcurrently { index: Some(index), table } => {
                let sql = "SELECT format('%I.%I', nspname, relname) FROM pg_index
                           JOIN pg_class ON pg_class.oid = indexrelid
                           JOIN pg_namespace ON pg_namespace.oid = relnamespace
                           WHERE NOT indisvalid AND relname = $1
                             AND nspname = coalesce($2, current_schema())
                             AND indrelid = to_regclass(concat(quote_ident($2) || '.', quote_ident($3)))";
                let query = sqlx::query_as(sql).bind(index).bind(&table.schema).bind(&table.name);
                query.fetch_all(&mut self.session.connection).await?
            }
            Kind::ReindexConcurrently(_) => {
                let sql = r"SELECT format('%I.%I', nspname, relname) FROM pg_index
                            JOIN pg_class ON pg_class.oid = indexrelid
                            JOIN pg_namespace ON pg_namespace.oid = relnamespace
                            WHERE NOT indisvalid AND relname ~ '_cc(new|old)\d*$'
                              AND pg_has_role(relowner, 'USAGE')";
                sqlx::query_as(sql).fetch_all(&mut self.session.connection).await?
            }
            _ => return Ok(()),
        };
        for (index,) in invalid {
            let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.session.connection).await?;
            (self.report)(&Event::Recovered { index });
        }
        Ok(())
    }

    /// Whether the index is valid; `None` when it is not there.
    async fn index(&mut self, index: &str, schema: Option<&str>) -> Result<Option<bool>, Error> {
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

    /// Notes that the migration has been done, or undone, to its end.
    async fn finish(&mut self, place: &Place<'_>, start: Instant) -> Result<(), Error> {
        let migration = place.migration;
        self.open_transaction().await?;
        let Runner { ledger, session, lock, .. } = self;
        match place.direction {
            Direction::Up => {
                ledger.finish(&mut session.connection, migration, start.elapsed()).await?;
            }
            Direction::Down => {
                ledger.unclaim(session, lock, migration).await?;
            }
        }
        let sql = format!("DELETE FROM {} WHERE version = $1", ledger.steps);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(migration.version);
        query.execute(&mut session.connection).await?;
        Ok(self.command("COMMIT").await?)
    }
}

/// Whether it has to be run by every run: a session's settings end with it.
fn is_setting(statement: &Statement<'_>) -> bool {
    matches!(statement.kind(), Kind::SessionSetting | Kind::LocalSetting)
}

/// A setting waits for nobody.
fn only_error(failed: Failed) -> Error {
    match failed {
        Failed::For(error) => error,
        Failed::InTheWay { reason, .. } => Error::Unavailable(reason),
    }
}

/// "Cannot run inside a transaction block", and a procedure that tried to end the transaction.
fn needs_none(code: &str) -> bool {
    matches!(code, "25001" | "2D000")
}

/// Refuses to go on with a file that is not the one that was begun.
fn fits(place: &Place<'_>, known: &[Step], statements: &[Statement<'_>]) -> Result<(), Error> {
    let Place { script, migration, .. } = place;
    let steps: Vec<_> = statements.iter().filter(|statement| !is_setting(statement)).collect();
    for step in known.iter().filter(|step| step.step > 0 && step.finished) {
        let index = usize::try_from(step.step - 1).unwrap_or_default();
        let same = |statement: &&Statement<'_>| {
            Sha256::digest(statement.text.as_bytes()).as_slice() == step.checksum
        };
        if !steps.get(index).copied().is_some_and(|statement| same(&statement)) {
            let (file, number) = (&script.file, step.step);
            return Err(Error::Integrity(format!(
                "statement {number} of {file} has been run and has been edited since: restore it, \
                 and put the change behind the statement that failed; or undo by hand what has been \
                 done, and begin anew with `migrate repair --forget {}`",
                migration.version
            )));
        }
    }
    Ok(())
}
