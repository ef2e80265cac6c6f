//! One connection to PostgreSQL, with what has to be known about it.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, Row};

use crate::Error;
use crate::database::Database;
use crate::error::POOLER;
use crate::event::{Event, Report};

/// How often who is waited for is looked up.
const LOOK: Duration = Duration::from_secs(1);

/// A connection that is this process's alone. Never from a pool: the lock belongs to it.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    database: Database,
    token: String,
    facts: Facts,
}

#[derive(sqlx::FromRow)]
struct Facts {
    pid: i32,
    database: String,
    role: String,
    token: Option<String>,
}

impl Session {
    pub(crate) async fn new(
        mut connection: PgConnection,
        database: Database,
        token: String,
    ) -> Result<Session, Error> {
        // Without parameters it goes there and back once, and twice as a prepared statement.
        let facts = sqlx::raw_sql(
            "SELECT pg_backend_pid() AS pid, current_database()::text AS database,
                    current_user::text AS role,
                    current_setting('migrate.session', true) AS token",
        )
        .fetch_one(&mut connection)
        .await?;
        let facts = Facts::from_row(&facts)?;
        // A pooler that drops the settings instead of refusing them.
        if facts.token.as_ref() != Some(&token) {
            return Err(Error::Refused(POOLER.to_owned()));
        }
        Ok(Session { connection, database, token, facts })
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> i32 {
        self.facts.pid
    }

    /// The database's name.
    pub(crate) fn database(&self) -> &str {
        &self.facts.database
    }

    /// As whom it acts.
    pub(crate) fn role(&self) -> &str {
        &self.facts.role
    }

    /// What only this session has among its settings.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Refuses to act as somebody for whom no limits hold.
    pub(crate) async fn refuse_superuser(&mut self) -> Result<(), Error> {
        if self.database.is_superuser_allowed() {
            return Ok(());
        }
        let sql = "SELECT rolsuper FROM pg_roles WHERE rolname = session_user";
        let row = sqlx::raw_sql(sql).fetch_one(&mut self.connection).await?;
        if !row.try_get::<bool, _>(0)? {
            return Ok(());
        }
        Err(Error::Refused(
            "this user is a superuser, whom nothing keeps from harming every database of the \
             server: migrate as a role of its own (`migrate bootstrap` makes the roles), or say \
             --allow-superuser"
                .to_owned(),
        ))
    }

    /// Runs one statement of a file. While it waits for locks, tells who has them; the sessions
    /// that were in the way last are returned beside the result.
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        file: &str,
        report: Report<'_>,
    ) -> (Result<(), sqlx::Error>, Vec<String>) {
        let blockers = Mutex::new(Vec::new());
        let running = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        let watching = watch(&self.database, self.facts.pid, |by| {
            report(&Event::Blocked { file: file.to_owned(), by: by.clone() });
            // Only a panic while it is locked could poison it, and there is none.
            *blockers.lock().expect("it is not poisoned") = by;
        });
        let done = tokio::select! {
            biased;
            done = running => done.map(drop),
            never = watching => match never {},
        };
        (done, blockers.into_inner().expect("it is not poisoned"))
    }

    /// Ends it in good order. Where that does not work any more, it has ended already.
    pub(crate) async fn close(self) {
        self.database.forget_session(self.facts.pid);
        let _ = self.connection.close().await;
    }
}

/// Looks, from a connection of its own, whom the process waits for, for as long as it is polled.
async fn watch(database: &Database, pid: i32, tell: impl Fn(Vec<String>)) -> Infallible {
    tokio::time::sleep(database.patience()).await;
    let mut told = Vec::new();
    loop {
        // What cannot be looked up (no connection left, for one) is looked up later.
        if let Ok(mut connection) = database.connect_beside().await {
            while let Ok(by) = blockers(&mut connection, pid).await {
                if !by.is_empty() && by != told {
                    told.clone_from(&by);
                    tell(by);
                }
                tokio::time::sleep(LOOK.min(database.patience())).await;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The sessions that the process waits for. Not their statements, which may have secrets in them.
/// What another role's session does is only seen by members of `pg_read_all_stats`.
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
