//! Runs the files of migrations, one runner at a time.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::Error;
use crate::backoff::Backoff;
use crate::database::Database;
use crate::error::{code, in_the_way};
use crate::event::{Event, Report, because_of};
use crate::ledger::{self, Applied, Ledger, Standing};
use crate::lock::Lock;
use crate::project::{Migration, Project, Script};
use crate::refusal::{Refusal, refusal};
use crate::session::Session;
use crate::statements::{Statement, split};

/// How long to wait for others.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For another runner to finish.
    pub lock: Duration,
    /// For a migration that could not get a lock on a table, from its first attempt to its last.
    pub retry: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { lock: Duration::from_secs(300), retry: Duration::from_secs(60) }
    }
}

/// Which way a migration is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}

/// A session that has the lock.
pub(crate) struct Runner<'a> {
    pub(crate) session: Session,
    pub(crate) ledger: Ledger,
    pub(crate) lock: Lock,
    pub(crate) report: Report<'a>,
    /// Whether commits wait for the disk. The last one of a run has to: with it, all before it are
    /// there. Those are not worth waiting for, each by itself: what a server that crashes loses of
    /// them, it loses together with what the ledger says about it.
    pub(crate) flush: bool,
    retry: Duration,
}

/// Why an attempt has come to nothing.
pub(crate) enum Failed {
    /// Others were in the way. It was rolled back, and the same may work later.
    InTheWay { reason: String, blockers: Vec<String> },
    /// This.
    For(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::For(error)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Failed {
        match code(&error).and_then(in_the_way) {
            Some(reason) => Failed::InTheWay { reason: reason.to_owned(), blockers: Vec::new() },
            None => Failed::For(error.into()),
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Error {
        match failed {
            Failed::InTheWay { reason, .. } => Error::Unavailable(reason),
            Failed::For(error) => error,
        }
    }
}

impl<'a> Runner<'a> {
    /// Takes the lock, and makes the ledger where it is missing.
    pub(crate) async fn begin(
        mut session: Session,
        project: &Project,
        patience: Patience,
        report: Report<'a>,
    ) -> Result<Runner<'a>, Error> {
        let lock = Lock::acquire(&mut session, patience.lock, report).await?;
        // An error leaves the lock to the end of the session, which is near.
        let ledger = Ledger::of(project);
        ledger.ensure(&mut session.connection).await?;
        Ok(Runner { session, ledger, lock, report, flush: true, retry: patience.retry })
    }

    /// Connects and takes the lock, for who is going to change the ledger.
    pub(crate) async fn connect(
        project: &Project,
        database: &Database,
        patience: Patience,
        report: Report<'a>,
    ) -> Result<Runner<'a>, Error> {
        let mut session = database.connect(report).await?;
        session.refuse_superuser().await?;
        Runner::begin(session, project, patience, report).await
    }

    /// The ledger as it is now.
    pub(crate) async fn applied(&mut self) -> Result<Vec<Applied>, Error> {
        self.ledger.read(&mut self.session.connection).await
    }

    /// Refuses to begin something while a migration has been left half way in the other direction, or
    /// in this one by a file that has become a transaction since.
    pub(crate) async fn refuse_unfinished(
        &mut self,
        project: &Project,
        applied: &[Applied],
        direction: Direction,
    ) -> Result<(), Error> {
        let Some(row) = applied.iter().find(|row| !row.success) else { return Ok(()) };
        let sql = format!("SELECT direction FROM {} WHERE version = $1", self.ledger.steps);
        let begun: Option<(String,)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(row.version)
            .fetch_optional(&mut self.session.connection)
            .await?;
        match begun {
            Some((begun,)) if begun != direction.as_str() => Err(Error::Integrity(format!(
                "`migrate {begun}` of {} was begun and is not finished: run that first",
                row.name()
            ))),
            Some(_) if project.migration(row.version)?.is_at_once(direction) => {
                Err(Error::Integrity(ledger::changed_in_the_middle(row)))
            }
            _ => Ok(()),
        }
    }

    /// Gives the lock back and ends the session. The work is done: a connection that is lost now
    /// has given the lock back itself.
    pub(crate) async fn end(mut self) {
        let _ = self.lock.release(&mut self.session).await;
        self.session.close().await;
    }

    /// Runs one direction of a migration to its end; returns how long that took.
    pub(crate) async fn run(
        &mut self,
        migration: &Migration,
        script: &Script,
        direction: Direction,
    ) -> Result<Duration, Error> {
        let start = Instant::now();
        match script.transactional {
            true => self.run_at_once(migration, script, direction).await?,
            false => self.run_step_by_step(migration, script, direction).await?,
        }
        Ok(start.elapsed())
    }

    /// Runs a file in one transaction, again and again while others hold what it needs: nothing of
    /// an attempt remains, so nothing is done twice.
    async fn run_at_once(
        &mut self,
        migration: &Migration,
        script: &Script,
        direction: Direction,
    ) -> Result<(), Error> {
        let statements = split(&script.sql);
        let mut attempts = self.attempts();
        loop {
            let attempt = self.attempt(migration, script, &statements, direction).await;
            match self.settle(attempt).await {
                Ok(()) => return Ok(()),
                Err(failed) => self.retry(failed, script, &mut attempts).await?,
            }
        }
    }

    /// One attempt: claim, run, check that the file has stayed within its transaction, commit.
    async fn attempt(
        &mut self,
        migration: &Migration,
        script: &Script,
        statements: &[Statement<'_>],
        direction: Direction,
    ) -> Result<(), Failed> {
        let start = Instant::now();
        self.open_transaction().await?;
        if !self.flush {
            self.command("SET LOCAL synchronous_commit = off").await?;
        }
        let Runner { ledger, session, lock, .. } = self;
        let before = match direction {
            Direction::Up => ledger.claim(session, lock, migration, true).await?,
            Direction::Down => ledger.unclaim(session, lock, migration).await?,
        };
        for statement in statements {
            let next = || format!("nothing of the file remains; {}", mend(direction));
            self.execute(script, statement, next).await?;
        }
        self.compare(before, script).await?;
        if direction == Direction::Up {
            let took = start.elapsed();
            self.ledger.finish(&mut self.session.connection, migration, took).await?;
        }
        // What was deferred to here, a foreign key for one, is told with the last line.
        let line = statements.last().map_or(1, |statement| statement.line);
        let commit = Statement { text: "COMMIT", line };
        let next = || format!("nothing of the file remains; {}", mend(direction));
        self.execute(script, &commit, next).await
    }

    /// Runs one statement of a file. `next` says what remains when it fails.
    pub(crate) async fn execute(
        &mut self,
        script: &Script,
        statement: &Statement<'_>,
        next: impl FnOnce() -> String,
    ) -> Result<(), Failed> {
        let (done, blockers) =
            self.session.execute(statement.text, &script.file, self.report).await;
        done.map_err(|error| match code(&error).and_then(in_the_way) {
            Some(reason) => Failed::InTheWay { reason: reason.to_owned(), blockers },
            None => Failed::For(Error::of_statement(&script.file, statement, error, next())),
        })
    }

    /// A new transaction, with all settings as they were when the session began.
    pub(crate) async fn open_transaction(&mut self) -> Result<(), sqlx::Error> {
        self.command("RESET ALL; BEGIN").await
    }

    /// Refuses what has changed between the beginning and the end of a transaction and should not.
    pub(crate) async fn compare(&mut self, before: Standing, script: &Script) -> Result<(), Error> {
        let now = Standing::now(&mut self.session.connection).await?;
        self.refuse_role(&now.role, script)?;
        let problem = if now.transaction != before.transaction {
            "ends the transaction that it runs in: a part of it may remain. Take that out, or begin \
             the file with the line `-- no-transaction`"
                .to_owned()
        } else if now.search_path != before.search_path {
            "leaves another search_path: qualify the names instead, or end it with RESET \
             search_path"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Integrity(format!("{} {problem}", script.file)))
    }

    /// Refuses another role than the one that the session began as.
    pub(crate) fn refuse_role(&self, role: &str, script: &Script) -> Result<(), Error> {
        if role == self.session.role() {
            return Ok(());
        }
        let file = &script.file;
        Err(Error::Integrity(format!("{file} goes on as the role {role}: end it with RESET ROLE")))
    }

    /// Rolls back what has not come to its end.
    pub(crate) async fn settle(&mut self, attempt: Result<(), Failed>) -> Result<(), Failed> {
        if attempt.is_err() {
            // A connection that is broken has nothing to roll back: the attempt's error says more.
            let _ = self.command("ROLLBACK").await;
        }
        attempt
    }

    pub(crate) fn attempts(&self) -> Backoff {
        Backoff::new(Duration::from_millis(500), Duration::from_secs(8), self.retry)
    }

    /// Waits for the next attempt, if there is to be one.
    pub(crate) async fn retry(
        &self,
        failed: Failed,
        script: &Script,
        attempts: &mut Backoff,
    ) -> Result<(), Error> {
        let (reason, blockers) = match failed {
            Failed::InTheWay { reason, blockers } => (reason, blockers),
            Failed::For(error) => return Err(error),
        };
        let file = script.file.clone();
        if attempts.pause().await {
            (self.report)(&Event::TryingAgain { file, reason, blockers });
            return Ok(());
        }
        Err(Error::Unavailable(format!(
            "{file} was rolled back, {reason}{}: run the same again when they are done",
            because_of(&blockers)
        )))
    }

    pub(crate) async fn command(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(&mut self.session.connection).await?;
        Ok(())
    }
}

/// What to do about a file that does not work.
pub(crate) fn mend(direction: Direction) -> String {
    format!("mend it, then run `migrate {}` again", direction.as_str())
}

/// Refuses what can be seen to fail before anything is done.
pub(crate) fn check<'a>(scripts: impl Iterator<Item = &'a Script>) -> Result<(), Error> {
    for script in scripts {
        for statement in split(&script.sql) {
            if let Some(Refusal { message, help, .. }) =
                refusal(&statement.kind(), script.transactional)
            {
                let (file, line) = (&script.file, statement.line);
                return Err(Error::Integrity(format!("{file}:{line}: {message} {help}")));
            }
        }
    }
    Ok(())
}
