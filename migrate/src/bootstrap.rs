//! The roles, made once per server by an administrator.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::backoff::Backoff;
use crate::database::Database;
use crate::error::postgres_error;
use crate::project::Project;
use crate::{Error, Report};

/// A role's password, to be set.
pub struct Password<'a> {
    /// The role's name.
    pub role: &'a str,
    /// Its password. It does not leave this process: PostgreSQL is given what it would store.
    pub password: &'a str,
}

/// Makes the roles or puts them right, and sets the given passwords. `database` is connected to as
/// an administrator: a superuser, or a role that may create roles.
///
/// With `exclusive`, the database is the application's own, and everybody else loses the rights
/// that PostgreSQL gives to everybody.
pub async fn bootstrap(
    project: &Project,
    database: &Database,
    passwords: &[Password<'_>],
    exclusive: bool,
    report: Report<'_>,
) -> Result<(), Error> {
    let Some(roles) = &project.roles else {
        return Err(Error::Usage("there is no roles.sql beside the migrations".to_owned()));
    };
    let mut session = database.connect(report).await?;
    let (second, half_minute) = (Duration::from_secs(1), Duration::from_secs(30));
    let mut backoff = Backoff::new(Duration::from_millis(50), second, half_minute);
    loop {
        match attempt(&mut session.connection, roles, passwords, exclusive).await {
            Ok(()) => break,
            // "tuple concurrently updated": somebody changes the same roles from another database.
            Err(error) if is_race(&error) && backoff.pause().await => {}
            Err(error) => return Err(error.into()),
        }
    }
    session.close().await;
    Ok(())
}

fn is_race(error: &sqlx::Error) -> bool {
    postgres_error(error).is_some_and(|refusal| refusal.code() == "XX000")
}

async fn attempt(
    connection: &mut PgConnection,
    roles: &str,
    passwords: &[Password<'_>],
    exclusive: bool,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(roles)).execute(&mut *transaction).await?;
    for Password { role, password } in passwords {
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let (sql,): (String,) =
            sqlx::query_as("SELECT format('ALTER ROLE %I PASSWORD %L', $1, $2)")
                .bind(role)
                .bind(verifier)
                .fetch_one(&mut *transaction)
                .await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    }
    if exclusive {
        let (sql,): (String,) = sqlx::query_as(
            "SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database())",
        )
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Limits how many connections each role may have, to other numbers than `roles.sql` does.
/// `database` is as for [`bootstrap`].
pub async fn limit_connections(
    database: &Database,
    limits: &[(String, u16)],
    report: Report<'_>,
) -> Result<(), Error> {
    let mut session = database.connect(report).await?;
    for (role, limit) in limits {
        let (sql,): (String,) =
            sqlx::query_as("SELECT format('ALTER ROLE %I CONNECTION LIMIT %s', $1, $2)")
                .bind(role)
                .bind(i32::from(*limit))
                .fetch_one(&mut session.connection)
                .await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session.connection).await?;
    }
    session.close().await;
    Ok(())
}

/// Whether the server knows a role of this name.
pub async fn has_role(database: &Database, role: &str) -> Result<bool, Error> {
    let mut session = database.connect(&|_| ()).await?;
    let (known,) = sqlx::query_as("SELECT to_regrole(quote_ident($1)) IS NOT NULL")
        .bind(role)
        .fetch_one(&mut session.connection)
        .await?;
    session.close().await;
    Ok(known)
}
