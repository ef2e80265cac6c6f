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
use crate::statements::{Kind, Name, Reindex, Statement, split};

/// What the ledger has about a statement.
#[derive(sqlx::FromRow)]
struct Step {
    step: i32,
    checksum: Vec<u8>,
    finished: bool,
}

/// `lock_timeout` and `statement_timeout`.
type Limits = (String, String);

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
        self.next_after(self.step - 1)
    }

    /// The same, when so many steps have been done.
    fn next_after(&self, done: i32) -> String {
        let done = match done {
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
                self.set(&place, statement).await?;
                continue;
            }
            place.step += 1;
            let known = steps.iter().find(|step| step.step == place.step);
            if known.is_none_or(|step| !step.finished) {
                let begun = known.is_some_and(|step| step.checksum == digest(statement.text));
                self.step(&place, statement, begun).await?;
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

    /// Changes a setting, for as long as the file runs. It has to stay who it is: the next step is
    /// noted in tables that are not everybody's.
    async fn set(&mut self, place: &Place<'_>, statement: &Statement<'_>) -> Result<(), Error> {
        self.execute(place.script, statement, || place.next_after(place.step)).await?;
        let (role,): (String,) = sqlx::query_as("SELECT current_user::text")
            .fetch_one(&mut self.session.connection)
            .await?;
        self.refuse_role(&role, place.script)
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
        self.note(place, "", true).await?;
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
        let mut alone = statement.kind().is_alone();
        loop {
            let attempt = match alone {
                true => self.outside_of_transaction(place, statement, begun).await,
                false => self.in_transaction(place, statement).await,
            };
            match self.settle(attempt).await {
                Ok(()) => break,
                Err(Failed::For(Error::Sql(failure))) if !alone && needs_none(&failure.code) => {
                    alone = true;
                }
                Err(failed) => {
                    // What the attempt has begun, it has removed.
                    begun = false;
                    self.retry(failed, place.script, &mut attempts).await?;
                }
            }
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
        let before = self.note(place, statement.text, true).await?;
        self.execute(place.script, statement, || place.next()).await?;
        self.compare(before, place.script).await?;
        let commit = Statement { text: "COMMIT", line: statement.line };
        self.execute(place.script, &commit, || place.next()).await
    }

    async fn outside_of_transaction(
        &mut self,
        place: &Place<'_>,
        statement: &Statement<'_>,
        begun: bool,
    ) -> Result<(), Failed> {
        let kind = statement.kind();
        let is_done = self.is_done_already(&kind).await?;
        if !is_done {
            self.note(place, statement.text, false).await?;
        }
        // What was there before it was begun is somebody else's. It is not noted as begun then, so
        // that a run that is killed now leaves no note by which the next one takes it for its own.
        if !(begun && is_done) {
            self.run_alone(place, statement, &kind).await?;
        }
        self.note(place, statement.text, true).await?;
        Ok(())
    }

    async fn run_alone(
        &mut self,
        place: &Place<'_>,
        statement: &Statement<'_>,
        kind: &Kind,
    ) -> Result<(), Failed> {
        let limits = self.lift_limits().await?;
        let mut done = self.remove_remains(place, statement, kind).await;
        if done.is_ok() {
            done = self.execute(place.script, statement, || place.next()).await;
        }
        if done.is_err() {
            // As far as that is possible now; or else the next run does it.
            let _ = self.limit(&limits).await;
            let _ = self.remove_remains(place, statement, kind).await;
            let _ = self.forget(place).await;
            return done;
        }
        Ok(self.limit(&limits).await?)
    }

    /// Lets statements wait and run for as long as it takes; returns the limits that there were.
    /// What cannot be in a transaction waits for others without being waited for, and leaves half of
    /// its work behind when it is cancelled.
    async fn lift_limits(&mut self) -> Result<Limits, sqlx::Error> {
        let limits = sqlx::query_as(
            "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')",
        )
        .fetch_one(&mut self.session.connection)
        .await?;
        self.command("SET lock_timeout = 0; SET statement_timeout = 0").await?;
        Ok(limits)
    }

    async fn limit(&mut self, (lock, statement): &Limits) -> Result<(), sqlx::Error> {
        let sql = "SELECT set_config('lock_timeout', $1, false),
                          set_config('statement_timeout', $2, false)";
        let query = sqlx::query(sql).bind(lock).bind(statement);
        query.execute(&mut self.session.connection).await?;
        Ok(())
    }

    /// Notes, behind the fence, that a statement has been begun, or finished.
    async fn note(
        &mut self,
        place: &Place<'_>,
        text: &str,
        finished: bool,
    ) -> Result<Standing, Failed> {
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
            .bind(digest(text))
            .bind(finished)
            .fetch_optional(&mut self.session.connection)
            .await?;
        Ok(standing.ok_or_else(lost)?)
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
    async fn remove_remains(
        &mut self,
        place: &Place<'_>,
        statement: &Statement<'_>,
        kind: &Kind,
    ) -> Result<(), Failed> {
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
            Kind::ReindexConcurrently(of) => {
                let table = match of {
                    Reindex::Index(name) | Reindex::Table(name) => Some(name),
                    Reindex::Many => None,
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
                    .bind(table.and_then(|table| table.schema.as_ref()))
                    .bind(table.map(|table| &table.name));
                query.fetch_all(&mut self.session.connection).await?
            }
            _ => return Ok(()),
        };
        for (index,) in invalid {
            let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
            let drop = Statement { text: &sql, line: statement.line };
            self.execute(place.script, &drop, || place.next()).await?;
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

/// "Cannot run inside a transaction block", and a procedure that tried to end the transaction.
fn needs_none(code: &str) -> bool {
    matches!(code, "25001" | "2D000")
}

/// Of a statement, ends of lines aside.
fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.replace('\r', "")).to_vec()
}

/// Refuses to go on with a file that is not the one that was begun.
fn fits(place: &Place<'_>, known: &[Step], statements: &[Statement<'_>]) -> Result<(), Error> {
    let Place { script, migration, .. } = place;
    let steps: Vec<_> = statements.iter().filter(|statement| !is_setting(statement)).collect();
    for step in known.iter().filter(|step| step.step > 0 && step.finished) {
        let index = usize::try_from(step.step - 1).unwrap_or_default();
        let same = |statement: &&Statement<'_>| digest(statement.text) == step.checksum;
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
