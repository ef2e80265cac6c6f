//! `migrate bootstrap`: creates the roles, as an administrator.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Error;
use crate::error::postgres_error;
use crate::event::Report;
use crate::postgres::{Backoff, Database, Session};
use crate::project::Project;

/// A password for a role.
pub struct Password<'a> {
    /// The name of the role.
    pub role: &'a str,
    /// The password. Only its SCRAM verifier is sent to PostgreSQL.
    pub password: &'a str,
}

/// Creates the roles or resets their attributes, and sets passwords. The login role must be a
/// superuser or have `CREATEROLE`.
///
/// With `exclusive`, revokes the default privileges of `PUBLIC` on the database.
pub async fn bootstrap(
    project: &Project,
    database: &Database,
    passwords: &[Password<'_>],
    exclusive: bool,
    report: Report<'_>,
) -> Result<(), Error> {
    let Some(roles) = &project.roles else {
        return Err(Error::Usage(
            "the project has no roles.sql; write it, or create the roles by hand".to_owned(),
        ));
    };
    let mut session = Session::connect(database, report).await?;
    let (longest, total) = (Duration::from_secs(1), Duration::from_secs(30));
    let mut backoff = Backoff::new(Duration::from_millis(50), longest, total);
    loop {
        match attempt(&mut session.connection, roles, passwords, exclusive).await {
            Ok(()) => break,
            // A concurrent `bootstrap` of another database changes the same roles.
            Err(error) if is_concurrent_update(&error) && backoff.pause().await => {}
            Err(error) => return Err(failed(error)),
        }
    }
    session.close().await;
    Ok(())
}

fn failed(error: sqlx::Error) -> Error {
    match postgres_error(&error) {
        // insufficient_privilege
        Some(cause) if cause.code() == "42501" => Error::Refused(format!(
            "{} (42501); connect as a superuser or as a role with CREATEROLE",
            cause.message()
        )),
        _ => error.into(),
    }
}

/// Returns whether this is "tuple concurrently updated", which PostgreSQL reports as an internal
/// error.
fn is_concurrent_update(error: &sqlx::Error) -> bool {
    postgres_error(error).is_some_and(|cause| cause.code() == "XX000")
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

/// Sets the connection limits of roles, in place of those in `roles.sql`. Needs the same privileges
/// as [`bootstrap`].
pub async fn limit_connections(
    database: &Database,
    limits: &[(String, u16)],
    report: Report<'_>,
) -> Result<(), Error> {
    let mut session = Session::connect(database, report).await?;
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
