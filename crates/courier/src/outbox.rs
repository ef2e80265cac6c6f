//! The outbox: the table in which the application stores messages. The only file with SQL.
//!
//! A connection pooler may be in between. It assigns a connection for the duration of a transaction,
//! and a statement is prepared and executed in two steps, so each statement is in a transaction, and
//! has no name.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, Row as _};

use crate::queue::Queue;
use crate::{Error, Secret};

/// The timeout of connecting and of each statement.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of rows that are published in one transaction.
pub const BATCH: i64 = 100;

/// A connection to the database of the outbox.
pub struct Outbox {
    connection: PgConnection,
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The primary key.
    pub number: i64,
    /// The `message_id`.
    pub id: String,
    /// The name of the queue.
    pub queue: String,
    /// The body.
    pub body: String,
    /// The Unix time at which the row was created.
    pub created_at: i64,
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> sqlx::Result<Row> {
        Ok(Row {
            number: row.try_get("number")?,
            id: row.try_get("id")?,
            queue: row.try_get("queue")?,
            body: row.try_get("body")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

/// A row that the application has rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedRow {
    /// The row.
    pub row: Row,
    /// Why it was rejected.
    pub reason: String,
}

impl FromRow<'_, PgRow> for RejectedRow {
    fn from_row(row: &PgRow) -> sqlx::Result<RejectedRow> {
        Ok(RejectedRow { row: Row::from_row(row)?, reason: row.try_get("reason")? })
    }
}

/// The numbers of rows in the outbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Depth {
    /// The number of rows that wait.
    pub waiting: u64,
    /// The age of the oldest of them.
    pub oldest: Duration,
    /// The number of rejected rows of each queue.
    pub rejected: [u64; Queue::ALL.len()],
}

impl Outbox {
    /// Parses a `postgres://` URL, with the parameters of libpq. Requires TLS and verifies the
    /// server's certificate, unless the server is local or the URL (`sslmode`) or the environment
    /// (`PGSSLMODE`) says otherwise.
    fn options(url: &str) -> Result<PgConnectOptions, Error> {
        // Never quote the URL: it contains the password.
        let invalid = |reason: &str| {
            let form = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";
            Error::Usage(format!("invalid database URL: {reason}; expected {form}"))
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(invalid("unsupported scheme"));
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| invalid("syntax error"))?;
        Ok(pg_tls::verify_remote(url, options)
            .application_name(concat!("courier/", env!("CARGO_PKG_VERSION")))
            .disable_statement_logging()
            // Poolers reject it.
            .extra_float_digits(None)
            .statement_cache_capacity(0))
    }

    /// Fails if the URL is invalid. Does not connect.
    pub fn check(url: &Secret) -> Result<(), Error> {
        Outbox::options(&url.read()?).map(drop)
    }

    /// Connects to the database.
    pub async fn connect(url: &Secret) -> Result<Outbox, Error> {
        let options = Outbox::options(&url.read()?)?;
        let place = format!("{}:{}", options.get_host(), options.get_port());
        let connection = within(options.connect()).await.map_err(|error| match error {
            Error::Unavailable(reason) => {
                Error::Unavailable(format!("cannot connect to PostgreSQL at {place}: {reason}"))
            }
            other => other,
        })?;
        Ok(Outbox { connection })
    }

    /// Begins a transaction and locks the oldest rows that wait, except those that another relay
    /// has locked. Rows of unknown queues are left for a newer release.
    pub async fn lock_batch(&mut self) -> Result<Vec<Row>, Error> {
        self.begin().await?;
        let rows = sqlx::query_as(
            "SELECT number, id::text, queue, body, extract(epoch FROM created_at)::bigint AS created_at
             FROM katas.outbox
             WHERE reason IS NULL AND queue = ANY($1)
             ORDER BY number LIMIT $2
             FOR UPDATE SKIP LOCKED",
        )
        .persistent(false)
        .bind(queue_names())
        .bind(BATCH);
        within(rows.fetch_all(&mut self.connection)).await
    }

    /// Deletes the rows with these numbers, and commits the transaction.
    pub async fn finish_batch(&mut self, numbers: &[i64]) -> Result<(), Error> {
        if !numbers.is_empty() {
            self.delete_rows(numbers).await?;
        }
        self.commit().await
    }

    /// Returns the oldest rows that wait, except those with these numbers.
    pub async fn next_rows(&mut self, except: &[i64]) -> Result<Vec<Row>, Error> {
        self.begin().await?;
        let rows = sqlx::query_as(
            "SELECT number, id::text, queue, body, extract(epoch FROM created_at)::bigint AS created_at
             FROM katas.outbox
             WHERE reason IS NULL AND queue = ANY($1) AND number <> ALL($2)
             ORDER BY number LIMIT $3",
        )
        .persistent(false)
        .bind(queue_names())
        .bind(except)
        .bind(BATCH);
        let rows = within(rows.fetch_all(&mut self.connection)).await?;
        self.commit().await?;
        Ok(rows)
    }

    /// Deletes rows.
    pub async fn delete(&mut self, numbers: &[i64]) -> Result<(), Error> {
        self.begin().await?;
        self.delete_rows(numbers).await?;
        self.commit().await
    }

    async fn delete_rows(&mut self, numbers: &[i64]) -> Result<(), Error> {
        let delete = sqlx::query("DELETE FROM katas.outbox WHERE number = ANY($1)")
            .persistent(false)
            .bind(numbers);
        within(delete.execute(&mut self.connection)).await?;
        Ok(())
    }

    /// Records why the application has rejected a row, or with `None` that it waits again.
    pub async fn set_reason(&mut self, number: i64, reason: Option<&str>) -> Result<(), Error> {
        self.begin().await?;
        let update = sqlx::query("UPDATE katas.outbox SET reason = $2 WHERE number = $1")
            .persistent(false)
            .bind(number);
        within(update.bind(reason).execute(&mut self.connection)).await?;
        self.commit().await
    }

    /// Returns all rows that the application has rejected.
    pub async fn rejected(&mut self) -> Result<Vec<RejectedRow>, Error> {
        self.begin().await?;
        let rows = sqlx::query_as(
            "SELECT number, id::text, queue, body, extract(epoch FROM created_at)::bigint AS created_at,
               reason
             FROM katas.outbox
             WHERE reason IS NOT NULL
             ORDER BY number",
        )
        .persistent(false);
        let rows = within(rows.fetch_all(&mut self.connection)).await?;
        self.commit().await?;
        Ok(rows)
    }

    /// Has the parts of stalled runs queued again. Returns their number.
    pub async fn requeue_stalled_runs(&mut self) -> Result<i64, Error> {
        self.begin().await?;
        let (parts,) = within(
            sqlx::query_as("SELECT katas.requeue_stalled_runs()")
                .persistent(false)
                .fetch_one(&mut self.connection),
        )
        .await?;
        self.commit().await?;
        Ok(parts)
    }

    /// Counts the rows.
    pub async fn depth(&mut self) -> Result<Depth, Error> {
        self.begin().await?;
        let (waiting, oldest, receipts, runs): (i64, f64, i64, i64) = within(
            sqlx::query_as(
                "SELECT count(*) FILTER (WHERE reason IS NULL),
                   coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE reason IS NULL)), 0)::float8,
                   count(*) FILTER (WHERE reason IS NOT NULL AND queue = $1),
                   count(*) FILTER (WHERE reason IS NOT NULL AND queue = $2)
                 FROM katas.outbox",
            )
            .persistent(false)
            .bind(Queue::Receipts.name())
            .bind(Queue::Runs.name())
            .fetch_one(&mut self.connection),
        )
        .await?;
        self.commit().await?;
        Ok(Depth {
            waiting: waiting.unsigned_abs(),
            // The clock of the server may have been set back.
            oldest: Duration::try_from_secs_f64(oldest).unwrap_or_default(),
            rejected: [receipts, runs].map(i64::unsigned_abs),
        })
    }

    async fn begin(&mut self) -> Result<(), Error> {
        within(sqlx::raw_sql("BEGIN").execute(&mut self.connection)).await?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Error> {
        within(sqlx::raw_sql("COMMIT").execute(&mut self.connection)).await?;
        Ok(())
    }

    /// Closes the connection.
    pub async fn close(self) {
        // The server also notices a connection that is cut off.
        let _ = tokio::time::timeout(TIMEOUT, self.connection.close()).await;
    }
}

fn queue_names() -> Vec<&'static str> {
    Queue::ALL.map(Queue::name).to_vec()
}

async fn within<T>(operation: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, operation).await {
        Ok(result) => Ok(result?),
        Err(_) => {
            let limit = TIMEOUT.as_secs();
            Err(Error::Unavailable(format!("PostgreSQL did not answer within {limit} s")))
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        let Some(cause) = error.as_database_error() else {
            return match error {
                sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => {
                    Error::Unavailable(error.to_string())
                }
                _ => Error::Unexpected(error.to_string()),
            };
        };
        let text = cause.message().to_owned();
        match cause.code().as_deref().unwrap_or_default() {
            // Authentication, and a missing database.
            "28000" | "28P01" | "3D000" => Error::Refused(text),
            "42501" => Error::Refused(format!(
                "{text}; connect as a role with the privileges of katas_courier"
            )),
            // A missing table or function: the schema is older than the courier.
            "42P01" | "42883" | "3F000" | "42703" => {
                Error::Unavailable(format!("{text}; run `migrate up`"))
            }
            _ => Error::Unavailable(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::*;

    #[test]
    fn remote_server_is_verified_unless_sslmode_is_given() {
        let is_verified = |url: &str| {
            let options = Outbox::options(url).expect("a valid URL");
            matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)
        };
        for remote in
            ["postgres://u:p@db/x", "postgresql://u:p@10.0.0.1/x?application_name=sslmode"]
        {
            assert!(is_verified(remote), "{remote}");
        }
        for local in [
            "postgres://u:p@localhost/x",
            "postgres://u:p@[::1]/x",
            "postgres:///x?host=/run/postgresql",
            "postgres://u:p@db/x?sslmode=prefer",
        ] {
            assert!(!is_verified(local), "{local}");
        }
    }

    #[test]
    fn invalid_url_is_rejected_without_being_quoted() {
        for url in ["", "mysql://u:secret@db/x", "postgres://u:secret@db:port/x"] {
            let error = Outbox::options(url).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{error:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
