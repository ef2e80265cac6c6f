//! One runner at a time: sqlx's advisory lock, so that sqlx's own runner is kept out as well.

use std::time::{Duration, Instant};

use crate::Error;
use crate::backoff::Backoff;
use crate::event::{Event, Report};
use crate::session::Session;

/// True while this session holds the lock `$1` and is still the one that has the token `$2`: the
/// fence that every transaction begins with. A pooler that hands each transaction to another session
/// loses the lock without an error.
pub(crate) const FENCE: &str = "(current_setting('migrate.session', true) = $2 AND EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
      AND (classid::bigint << 32) | objid::bigint = $1))";

/// An advisory lock that this session holds, until it is released or the session ends.
pub(crate) struct Lock(i64);

impl Lock {
    /// Polls for the lock. To wait for it inside of PostgreSQL would be to wait with a snapshot
    /// open, and `CREATE INDEX CONCURRENTLY` in the session that holds it waits for snapshots.
    pub(crate) async fn acquire(
        session: &mut Session,
        wait: Duration,
        report: Report<'_>,
    ) -> Result<Lock, Error> {
        let key = key(session.database());
        let start = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), wait);
        let mut told = String::new();
        loop {
            let (held,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_lock($1)")
                .bind(key)
                .fetch_one(&mut session.connection)
                .await?;
            if held {
                report(&Event::Locked { waited: start.elapsed() });
                return Ok(Lock(key));
            }
            let holder = holder(session, key).await?;
            if !holder.is_empty() && holder != told {
                report(&Event::WaitingForLock { holder: holder.clone() });
                told = holder;
            }
            if !backoff.pause().await {
                let holder = if told.is_empty() { "somebody" } else { &told };
                return Err(Error::Unavailable(format!("the lock is held by {holder}")));
            }
        }
    }

    /// Gives the lock back.
    pub(crate) async fn release(self, session: &mut Session) -> Result<(), Error> {
        let connection = &mut session.connection;
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(self.0).execute(connection).await?;
        Ok(())
    }

    /// The lock's number.
    pub(crate) fn key(&self) -> i64 {
        self.0
    }
}

/// What to say when the fence is down.
pub(crate) fn lost() -> Error {
    Error::Refused(format!("the lock was lost between two transactions: {}", crate::error::POOLER))
}

/// Who holds the lock: the session and what it calls itself.
async fn holder(session: &mut Session, key: i64) -> Result<String, Error> {
    let holder: Option<(String,)> = sqlx::query_as(
        "SELECT concat('process ', pid, ' (' || nullif(application_name, '') || ')',
                       ', connected since ' || to_char(backend_start, 'HH24:MI:SS'))
         FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND (classid::bigint << 32) | objid::bigint = $1
           AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(key)
    .fetch_optional(&mut session.connection)
    .await?;
    Ok(holder.map(|(text,)| text).unwrap_or_default())
}

/// The key that sqlx derives from a database's name (sqlx-postgres, `migrate.rs`).
fn key(database: &str) -> i64 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    0x3d32_ad9e * i64::from(CRC.checksum(database.as_bytes()))
}
