//! One runner at a time: sqlx's advisory lock, so that sqlx's own runner is kept out as well.

use std::time::Duration;

use sqlx::PgConnection;

use crate::backoff::Backoff;
use crate::{Error, Report};

/// An advisory lock that this session holds, until it is released or the session ends.
pub(crate) struct Lock(i64);

impl Lock {
    /// Polls for the lock. To wait for it inside of PostgreSQL would be to wait with a snapshot
    /// open, and `CREATE INDEX CONCURRENTLY` in the session that holds it waits for snapshots.
    pub(crate) async fn acquire(
        connection: &mut PgConnection,
        wait: Duration,
        report: Report<'_>,
    ) -> Result<Lock, Error> {
        let (database,): (String,) =
            sqlx::query_as("SELECT current_database()::text").fetch_one(&mut *connection).await?;
        let key = key(&database);
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), wait);
        let mut told = String::new();
        loop {
            let (held,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_lock($1)")
                .bind(key)
                .fetch_one(&mut *connection)
                .await?;
            if held {
                return Ok(Lock(key));
            }
            let holder = holder(connection, key).await?;
            if !holder.is_empty() && holder != told {
                report(&format!("waiting for the lock, held by {holder}"));
                told = holder;
            }
            if !backoff.pause().await {
                return Err(Error::Unavailable(format!("the lock is held by {told}")));
            }
        }
    }

    /// Whether this session still has the lock. A pooler that hands each transaction to another
    /// session loses it without an error.
    pub(crate) async fn is_held(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let (held,) = sqlx::query_as(
            "SELECT EXISTS (
               SELECT FROM pg_locks
               WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
                 AND (classid::bigint << 32) | objid::bigint = $1 AND objsubid = 1)",
        )
        .bind(self.0)
        .fetch_one(connection)
        .await?;
        Ok(held)
    }

    pub(crate) async fn release(self, connection: &mut PgConnection) -> Result<(), Error> {
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(self.0).execute(connection).await?;
        Ok(())
    }
}

/// Who holds the lock: the session and what it calls itself.
async fn holder(connection: &mut PgConnection, key: i64) -> Result<String, Error> {
    let holder: Option<(String,)> = sqlx::query_as(
        "SELECT format('process %s (%s), connected since %s', pid, application_name,
                       to_char(backend_start, 'HH24:MI:SS'))
         FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND (classid::bigint << 32) | objid::bigint = $1
           AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(key)
    .fetch_optional(connection)
    .await?;
    Ok(holder.map(|(text,)| text).unwrap_or_default())
}

/// The key that sqlx derives from a database's name (sqlx-postgres, `migrate.rs`).
fn key(database: &str) -> i64 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    0x3d32_ad9e * i64::from(CRC.checksum(database.as_bytes()))
}
