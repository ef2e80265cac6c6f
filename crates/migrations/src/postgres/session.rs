//! One connection to PostgreSQL.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, Row};

use super::backoff::Backoff;
use super::database::Database;
use crate::Error;
use crate::error::{POOLER_NOT_SUPPORTED, code};
use crate::event::{Event, Report};

/// How often to look up the sessions that block a statement.
const BLOCKER_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A dedicated connection. It never comes from a pool, because the advisory lock belongs to it. Only the
/// one opened last can be ended with [`Database::end_session`].
pub struct Session {
    /// The connection.
    pub connection: PgConnection,
    database: Database,
    token: String,
    identity: Identity,
}

/// Why a connection attempt failed.
struct ConnectFailure {
    error: Error,
    /// Whether another attempt may succeed.
    may_pass: bool,
}

impl From<Error> for ConnectFailure {
    fn from(error: Error) -> ConnectFailure {
        ConnectFailure { may_pass: error.is_temporary(), error }
    }
}

impl From<sqlx::Error> for ConnectFailure {
    fn from(error: sqlx::Error) -> ConnectFailure {
        // A role may exist before its password is set, as with CloudNativePG: invalid_password, and
        // invalid_authorization_specification for a role that does not exist yet.
        let is_login = matches!(code(&error), Some("28P01" | "28000"));
        let error = Error::from(error);
        ConnectFailure { may_pass: is_login || error.is_temporary(), error }
    }
}

struct Identity {
    pid: i32,
    database: String,
    role: String,
    token: Option<String>,
}

from_row!(Identity { pid, database, role, token });

impl Session {
    /// Connects, and retries for as long as the database allows while the failure may be temporary.
    pub async fn connect(database: &Database, report: Report<'_>) -> Result<Session, Error> {
        let mut backoff =
            Backoff::new(Duration::from_millis(100), Duration::from_secs(2), database.wait);
        let mut reported = String::new();
        loop {
            let attempt = tokio::time::timeout(database.connect_timeout, Session::open(database));
            let ConnectFailure { error, may_pass } = match attempt.await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(failure)) => failure,
                Err(_) => database.no_answer().into(),
            };
            let reason = format!("{}: {error}", database.address());
            let failed = |reason: String| match error {
                Error::Refused(_) => Error::Refused(reason),
                Error::Unavailable(_) => Error::Unavailable(reason),
                _ => Error::Unexpected(reason),
            };
            if !may_pass {
                return Err(failed(reason));
            }
            if reported != reason && !database.wait.is_zero() {
                report(&Event::WaitingForDatabase { reason: reason.clone() });
                reported.clone_from(&reason);
            }
            if !backoff.pause().await {
                return Err(failed(reason));
            }
        }
    }

    async fn open(database: &Database) -> Result<Session, ConnectFailure> {
        // Not a secret: it only has to differ from the tokens of other sessions.
        let token = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let mut connection = database.connect_with_token(&token).await?;
        // Without parameters, the simple protocol needs one round trip instead of two.
        let row = sqlx::raw_sql(
            "SELECT pg_backend_pid() AS pid, current_database()::text AS database,
                    current_user::text AS role,
                    current_setting('migrate.session', true) AS token",
        )
        .fetch_one(&mut connection)
        .await?;
        let identity = Identity::from_row(&row)?;
        // Some poolers silently drop the settings of a connection instead of rejecting them.
        if identity.token.as_ref() != Some(&token) {
            return Err(Error::Refused(POOLER_NOT_SUPPORTED.to_owned()).into());
        }
        database.set_backend(identity.pid);
        Ok(Session { connection, database: database.clone(), token, identity })
    }

    /// Returns the name of the database.
    pub(crate) fn database(&self) -> &str {
        &self.identity.database
    }

    /// Returns the process ID of the server process that answered first.
    pub(crate) fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// Returns the role that was in effect when the session began.
    pub(crate) fn role(&self) -> &str {
        &self.identity.role
    }

    /// Returns the value of the setting `migrate.session`, which is unique to this session.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Fails if the login role is a superuser, unless [`Database::allow_superuser`] permits it.
    pub async fn reject_superuser(&mut self) -> Result<(), Error> {
        if self.database.superuser_allowed {
            return Ok(());
        }
        let sql = "SELECT rolsuper FROM pg_roles WHERE rolname = session_user";
        let row = sqlx::raw_sql(sql).fetch_one(&mut self.connection).await?;
        if !row.try_get::<bool, _>(0)? {
            return Ok(());
        }
        Err(Error::Refused(
            "refusing to run as a superuser; connect as the migration role (`migrate bootstrap` \
             creates it) or pass --allow-superuser"
                .to_owned(),
        ))
    }

    /// Runs one statement of a file, and reports the sessions that block it. Returns the blockers
    /// seen last along with the result.
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        file: &str,
        report: Report<'_>,
    ) -> (Result<(), sqlx::Error>, Vec<String>) {
        let blockers = Mutex::new(Vec::new());
        let running = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        let watching = watch_blockers(&self.database, self.identity.pid, |by| {
            report(&Event::Blocked { file: file.to_owned(), by: by.clone() });
            // Only a panic while the lock is held could poison it.
            *blockers.lock().expect("the lock is not poisoned") = by;
        });
        let result = tokio::select! {
            biased;
            result = running => result.map(drop),
            never = watching => match never {},
        };
        (result, blockers.into_inner().expect("the lock is not poisoned"))
    }

    /// Closes the connection. An error means that it is closed already.
    pub async fn close(self) {
        self.database.clear_backend(self.identity.pid);
        let _ = self.connection.close().await;
    }
}

/// Polls, on a second connection, for the sessions that block `pid`. Runs until it is dropped.
async fn watch_blockers(database: &Database, pid: i32, report: impl Fn(Vec<String>)) -> Infallible {
    tokio::time::sleep(database.blocker_delay()).await;
    let mut reported = Vec::new();
    loop {
        // Try again later if this fails, for example because no connection is left.
        if let Ok(mut connection) = database.connect_observer().await {
            while let Ok(by) = blockers(&mut connection, pid).await {
                if !by.is_empty() && by != reported {
                    reported.clone_from(&by);
                    report(by);
                }
                tokio::time::sleep(BLOCKER_POLL_INTERVAL.min(database.blocker_delay())).await;
            }
        }
        tokio::time::sleep(BLOCKER_POLL_INTERVAL).await;
    }
}

/// Describes the sessions that block `pid`. Their statements are left out, because they may contain
/// secrets. Only members of `pg_read_all_stats` see the state of another role's session.
async fn blockers(connection: &mut PgConnection, pid: i32) -> Result<Vec<String>, sqlx::Error> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT concat('process ', blocker,
                       ' (' || concat_ws(', ', nullif(application_name, ''), usename, state,
                                         'since ' || to_char(xact_start, 'HH24:MI:SS')) || ')')
         FROM unnest(pg_blocking_pids($1)) AS blocker LEFT JOIN pg_stat_activity ON pid = blocker
         ORDER BY blocker",
    )
    .bind(pid)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(text,)| text).collect())
}
