//! The advisory lock that admits one runner at a time. It is the lock of sqlx, so it excludes
//! sqlx's runner too.

use std::time::{Duration, Instant};

use crate::Error;
use crate::error::POOLER_NOT_SUPPORTED;
use crate::event::{Event, Report};
use crate::postgres::{Backoff, Session};

/// A condition that is true while this session holds the lock `$1` and is still the session with
/// the token `$2`. Every transaction that runs a migration checks it as a fence, because a pooler
/// that runs each transaction in another session loses the lock without an error.
pub(crate) const FENCE: &str = "(current_setting('migrate.session', true) = $2 AND EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
      AND (classid::bigint << 32) | objid::bigint = $1))";

/// The advisory lock, held by a session until it is released or the session ends.
pub(crate) struct Lock(i64);

impl Lock {
    /// Polls until the lock is acquired or `wait` has passed.
    ///
    /// A session that waits inside PostgreSQL holds a snapshot, and `CREATE INDEX CONCURRENTLY` in
    /// the session that holds the lock waits for all older snapshots: a deadlock.
    pub(crate) async fn acquire(
        session: &mut Session,
        wait: Duration,
        report: Report<'_>,
    ) -> Result<Lock, Error> {
        let key = key(session.database());
        let start = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), wait);
        let mut reported = String::new();
        loop {
            let (acquired,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_lock($1)")
                .bind(key)
                .persistent(false)
                .fetch_one(&mut session.connection)
                .await?;
            if acquired {
                report(&Event::Locked { waited: start.elapsed() });
                return Ok(Lock(key));
            }
            let holder = holder(session, key).await?;
            if !holder.is_empty() && holder != reported {
                report(&Event::WaitingForLock { holder: holder.clone() });
                reported = holder;
            }
            if !backoff.pause().await {
                let holder = if reported.is_empty() { "another session" } else { &reported };
                return Err(Error::Unavailable(format!(
                    "the migration lock is held by {holder}; run the same command again later, or \
                     raise --lock-wait"
                )));
            }
        }
    }

    /// Releases the lock.
    pub(crate) async fn release(self, session: &mut Session) -> Result<(), Error> {
        let connection = &mut session.connection;
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(self.0).execute(connection).await?;
        Ok(())
    }

    /// Returns the key of the lock, parameter `$1` of [`FENCE`].
    pub(crate) fn key(&self) -> i64 {
        self.0
    }
}

/// Returns the error for a write that [`FENCE`] has prevented.
pub(crate) async fn lock_lost(session: &mut Session, lock: &Lock) -> Error {
    // Behind a pooler, this is a different session, or another session of this client holds the
    // lock.
    let same_session: Result<(bool,), _> = sqlx::query_as(
        "SELECT pg_backend_pid() = $2 AND NOT EXISTS (
           SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
           WHERE locktype = 'advisory' AND granted AND objsubid = 1
             AND (classid::bigint << 32) | objid::bigint = $1
             AND application_name = current_setting('application_name'))",
    )
    .bind(lock.key())
    .bind(session.pid())
    .fetch_one(&mut session.connection)
    .await;
    match same_session {
        Ok((true,)) => lock_released("a statement of a file"),
        Ok((false,)) => Error::Refused(format!(
            "the lock was lost between two transactions: {POOLER_NOT_SUPPORTED}"
        )),
        Err(error) => error.into(),
    }
}

/// Returns the error for a statement that has released the lock.
pub(crate) fn lock_released(by: &str) -> Error {
    Error::Integrity(format!(
        "{by} has released the migration lock, which excludes other runners; remove the call of \
         pg_advisory_unlock_all or pg_advisory_unlock"
    ))
}

/// Describes the session that holds the lock. Empty if it has just been released.
async fn holder(session: &mut Session, key: i64) -> Result<String, Error> {
    let holder: Option<(String,)> = sqlx::query_as(
        "SELECT concat('process ', pid, ' (', nullif(application_name, '') || ', ', 'role ', usename, ')',
                       ', connected since ' || to_char(backend_start, 'HH24:MI:SS'))
         FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND (classid::bigint << 32) | objid::bigint = $1
           AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(key)
    .persistent(false)
    .fetch_optional(&mut session.connection)
    .await?;
    Ok(holder.map(|(text,)| text).unwrap_or_default())
}

/// Derives the key from the name of the database, as sqlx does (sqlx-postgres, `migrate.rs`).
fn key(database: &str) -> i64 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    0x3d32_ad9e * i64::from(CRC.checksum(database.as_bytes()))
}
