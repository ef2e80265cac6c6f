//! A session that holds the lock, and what transactional and stepwise runs have in common.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use crate::Error;
use crate::error::{AttemptError, code, contention};
use crate::event::{Event, Report, blocked_by};
use crate::ledger::{
    Applied, FENCE, Ledger, Lock, TRANSACTION_STATE, TransactionState, became_transactional,
    lock_released,
};
use crate::postgres::{Backoff, Database, Session};
use crate::project::{Direction, Project, Script};
use crate::sql::{Rejection, Statement, rejection, split};

/// How long to wait for other sessions.
#[derive(Clone, Copy, Debug)]
pub struct WaitOptions {
    /// How long to wait for another runner to finish. 300 s by default.
    pub lock: Duration,
    /// How long to retry a migration that fails because of concurrent transactions. 60 s by
    /// default.
    pub retry: Duration,
}

impl Default for WaitOptions {
    fn default() -> WaitOptions {
        WaitOptions { lock: Duration::from_secs(300), retry: Duration::from_secs(60) }
    }
}

/// Resets everything that outlives the transaction of a script: `DISCARD ALL` without the advisory
/// locks.
const RESET_SESSION: &str = "CLOSE ALL; UNLISTEN *; DEALLOCATE ALL; DISCARD PLANS; \
    DISCARD SEQUENCES; DISCARD TEMP; RESET ALL";

/// Releases every advisory lock of the session once, except the lock `$1`.
const RELEASE_OTHER_LOCKS: &str = "
    SELECT CASE
             WHEN objsubid = 1 AND mode = 'ExclusiveLock' THEN pg_advisory_unlock(key)
             WHEN objsubid = 1 THEN pg_advisory_unlock_shared(key)
             WHEN mode = 'ExclusiveLock' THEN pg_advisory_unlock(classid::int, objid::int)
             ELSE pg_advisory_unlock_shared(classid::int, objid::int)
           END
    FROM pg_locks CROSS JOIN LATERAL (
      SELECT (classid::bigint << 32) | objid::bigint AS key
    ) AS of_both
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
      AND (objsubid, key, mode) <> (1, $1, 'ExclusiveLock')";

/// The state of a transaction after its script, and whether the session still holds the lock.
struct FinalState {
    state: TransactionState,
    holds_lock: bool,
}

from_row!(FinalState { holds_lock; state });

/// A session that holds the lock.
pub(super) struct Runner<'a> {
    pub(super) session: Session,
    pub(super) ledger: Ledger,
    pub(super) lock: Lock,
    pub(super) report: Report<'a>,
    /// Whether a commit waits for the write-ahead log to be flushed to disk. Only the last commit
    /// of a run has to wait, because its flush includes the earlier ones. If the server crashes
    /// earlier, migrations are lost together with their rows in the ledger.
    pub(super) synchronous_commit: bool,
    retry: Duration,
}

impl<'a> Runner<'a> {
    /// Acquires the lock, and creates the ledger if it is missing.
    pub(super) async fn begin(
        mut session: Session,
        project: &Project,
        wait: WaitOptions,
        report: Report<'a>,
    ) -> Result<Runner<'a>, Error> {
        let lock = Lock::acquire(&mut session, wait.lock, report).await?;
        // On an error, the session ends and with it the lock.
        let ledger = Ledger::new(project);
        ledger.create_if_missing(&mut session.connection).await?;
        let retry = wait.retry;
        Ok(Runner { session, ledger, lock, report, synchronous_commit: true, retry })
    }

    /// Connects, rejects superusers, and calls [`Runner::begin`].
    pub(super) async fn connect(
        project: &Project,
        database: &Database,
        wait: WaitOptions,
        report: Report<'a>,
    ) -> Result<Runner<'a>, Error> {
        let mut session = Session::connect(database, report).await?;
        session.reject_superuser().await?;
        Runner::begin(session, project, wait, report).await
    }

    /// Reads the ledger.
    pub(super) async fn applied(&mut self) -> Result<Vec<Applied>, Error> {
        self.ledger.read(&mut self.session.connection).await
    }

    /// Fails if an unfinished migration cannot be resumed: it was running in the other direction,
    /// or its file has become transactional since.
    pub(super) async fn reject_unfinished(
        &mut self,
        project: &Project,
        applied: &[Applied],
        direction: Direction,
    ) -> Result<(), Error> {
        let Some(row) = applied.iter().find(|row| !row.success) else { return Ok(()) };
        let sql = format!("SELECT direction FROM {} WHERE version = $1", self.ledger.steps);
        let unfinished: Option<(String,)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(row.version)
            .fetch_optional(&mut self.session.connection)
            .await?;
        match unfinished {
            Some((unfinished,)) if unfinished != direction.as_str() => {
                Err(Error::Integrity(format!(
                    "`migrate {unfinished}` of {} is unfinished; run `migrate {unfinished}` first",
                    row.name()
                )))
            }
            Some(_) if project.migration(row.version)?.is_transactional(direction) => {
                Err(Error::Integrity(became_transactional(row)))
            }
            _ => Ok(()),
        }
    }

    /// Releases the lock and closes the session. Errors are ignored, because the work is committed
    /// and a lost connection releases the lock too.
    pub(super) async fn end(mut self) {
        let _ = self.lock.release(&mut self.session).await;
        self.session.close().await;
    }

    /// Runs one statement of a file. `next` becomes [`SqlFailure::next`](crate::SqlFailure::next).
    pub(super) async fn execute(
        &mut self,
        script: &Script,
        statement: &Statement<'_>,
        next: impl FnOnce() -> String,
    ) -> Result<(), AttemptError> {
        let (result, blockers) =
            self.session.execute(statement.text, &script.file, self.report).await;
        result.map_err(|error| match code(&error).and_then(contention) {
            Some(reason) => AttemptError::Contended { reason: reason.to_owned(), blockers },
            None => {
                let error = Error::statement_failed(&script.file, statement, error, next());
                AttemptError::Fatal(error)
            }
        })
    }

    /// Begins a transaction, with all settings reset to those of the connection.
    pub(super) async fn begin_transaction(&mut self) -> Result<(), sqlx::Error> {
        self.command("RESET ALL; BEGIN READ WRITE").await
    }

    /// Resets what a script has left in the session: settings, prepared statements, cursors,
    /// temporary tables, and advisory locks.
    pub(super) async fn reset_session(&mut self) -> Result<(), Error> {
        self.command(RESET_SESSION).await?;
        // A lock that was acquired twice has to be released twice.
        loop {
            let query = sqlx::query(RELEASE_OTHER_LOCKS).bind(self.lock.key());
            if query.fetch_all(&mut self.session.connection).await?.is_empty() {
                return Ok(());
            }
        }
    }

    /// Fails if a script has ended its transaction, made it read-only, released the lock, or
    /// changed the role, the search path or the encoding.
    pub(super) async fn verify_state(
        &mut self,
        before: TransactionState,
        script: &Script,
    ) -> Result<(), Error> {
        let sql = format!("SELECT {TRANSACTION_STATE}, coalesce({FENCE}, false) AS holds_lock");
        let FinalState { state: now, holds_lock } = sqlx::query_as(AssertSqlSafe(sql))
            .bind(self.lock.key())
            .bind(self.session.token().to_owned())
            .fetch_one(&mut self.session.connection)
            .await?;
        self.verify_role(&now.role, script)?;
        let problem = if now.transaction != before.transaction {
            "ends its transaction, so parts of it may have been committed; remove the statement \
             that does, or begin the file with `-- no-transaction`"
                .to_owned()
        } else if now.search_path != before.search_path {
            "changes search_path; qualify the names instead, or end the file with RESET search_path"
                .to_owned()
        } else if now.encoding != before.encoding {
            format!(
                "changes client_encoding to {}, but it is sent as {}; remove the statement that does",
                now.encoding, before.encoding
            )
        } else if now.read_only {
            "makes its transaction read-only, so that it cannot be recorded; remove the statement \
             that does"
                .to_owned()
        } else if holds_lock {
            return Ok(());
        } else {
            return Err(lock_released(&script.file));
        };
        Err(Error::Integrity(format!("{} {problem}", script.file)))
    }

    /// Fails if a script has changed the role.
    pub(super) fn verify_role(&self, role: &str, script: &Script) -> Result<(), Error> {
        if role == self.session.role() {
            return Ok(());
        }
        let file = &script.file;
        Err(Error::Integrity(format!(
            "{file} changes the role to {role}; end the file with RESET ROLE"
        )))
    }

    /// Rolls back a failed attempt.
    pub(super) async fn roll_back_if_failed(
        &mut self,
        attempt: Result<(), AttemptError>,
    ) -> Result<(), AttemptError> {
        if attempt.is_err() {
            // A failing rollback means a lost connection. The error of the attempt says more.
            let _ = self.command("ROLLBACK").await;
        }
        attempt
    }

    /// Returns the back-off between attempts.
    pub(super) fn attempts(&self) -> Backoff {
        Backoff::new(Duration::from_millis(500), Duration::from_secs(8), self.retry)
    }

    /// Sleeps before the next attempt. Fails if the error is fatal or the retry limit has passed.
    pub(super) async fn retry(
        &self,
        error: AttemptError,
        script: &Script,
        attempts: &mut Backoff,
    ) -> Result<(), Error> {
        let (reason, blockers) = match error {
            AttemptError::Contended { reason, blockers } => (reason, blockers),
            AttemptError::Fatal(error) => return Err(error),
        };
        let file = script.file.clone();
        if attempts.pause().await {
            (self.report)(&Event::TryingAgain { file, reason, blockers });
            return Ok(());
        }
        Err(Error::Unavailable(format!(
            "{file} was rolled back: {reason}{}; run the same command again later",
            blocked_by(&blockers)
        )))
    }

    /// Runs SQL of the runner itself.
    pub(super) async fn command(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(&mut self.session.connection).await?;
        Ok(())
    }
}

/// Returns the remedy for a failed statement.
pub(super) fn remedy(direction: Direction) -> String {
    format!("fix the file, then run `migrate {}` again", direction.as_str())
}

/// Rejects scripts with statements that are known to fail, before anything runs.
pub(super) fn reject_invalid<'a>(scripts: impl Iterator<Item = &'a Script>) -> Result<(), Error> {
    for script in scripts {
        for statement in split(&script.sql) {
            if let Some(Rejection { message, help, .. }) =
                rejection(&statement.kind(), script.transactional)
            {
                let (file, line) = (&script.file, statement.line);
                return Err(Error::Integrity(format!("{file}:{line}: {message} {help}")));
            }
        }
    }
    Ok(())
}
