//! The environment of a database. A database without a marker counts as production.
//!
//! The marker is a line in the database's comment, which the owner may change. A custom setting
//! would be the obvious place, but since PostgreSQL 15 only a superuser may set an unknown one, and
//! managed services grant no superuser. `CREATE DATABASE ... TEMPLATE` copies neither, so a copy
//! counts as production until it is marked. Replacing the comment removes the marker, which fails
//! safe.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use super::database::Database;
use super::session::Session;
use crate::{Error, Report};

/// The prefix of the marker's line.
const MARKER: &str = "migrate.environment = ";

/// The environment of a database: a lower-case word such as `development`, `test` or `staging`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Environment(String);

impl Environment {
    /// Returns the environment of a database without a marker.
    pub fn production() -> Environment {
        Environment("production".to_owned())
    }

    /// Returns whether this is [`Environment::production`].
    pub fn is_production(&self) -> bool {
        *self == Environment::production()
    }
}

impl FromStr for Environment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Environment, Error> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        match text.as_bytes() {
            [first, rest @ ..] if first.is_ascii_lowercase() && rest.iter().copied().all(inner) => {
                Ok(Environment(text.to_owned()))
            }
            _ => Err(Error::Usage(format!(
                "invalid environment `{text}`; expected a lower-case word such as development"
            ))),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes the marker of a database. The login role must own the database or be a superuser.
pub async fn set_environment(
    database: &Database,
    environment: &Environment,
    report: Report<'_>,
) -> Result<(), Error> {
    let mut session = Session::connect(database, report).await?;
    let connection = &mut session.connection;
    let comment = with_marker(&comment(connection).await?, environment);
    let (sql,): (String,) =
        sqlx::query_as("SELECT format('COMMENT ON DATABASE %I IS %L', current_database(), $1)")
            .bind(comment)
            .fetch_one(&mut *connection)
            .await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    session.close().await;
    Ok(())
}

/// Reads the environment of the connected database.
pub async fn read_environment(connection: &mut PgConnection) -> Result<Environment, Error> {
    Ok(parse_comment(&comment(connection).await?).unwrap_or_else(Environment::production))
}

async fn comment(connection: &mut PgConnection) -> Result<String, Error> {
    let (comment,) = sqlx::query_as(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), '')
         FROM pg_database WHERE datname = current_database()",
    )
    .fetch_one(connection)
    .await?;
    Ok(comment)
}

/// Parses the marker in a comment. Returns `None` for contradictory markers.
fn parse_comment(comment: &str) -> Option<Environment> {
    let mut markers = comment.lines().filter_map(|line| line.strip_prefix(MARKER));
    let first = markers.next()?;
    markers.all(|marker| marker == first).then_some(first)?.parse().ok()
}

/// Replaces the marker in a comment, and keeps its other lines.
fn with_marker(comment: &str, environment: &Environment) -> String {
    let marker = format!("{MARKER}{environment}");
    let others = comment.lines().filter(|line| !line.starts_with(MARKER));
    others.chain([marker.as_str()]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_words_parse_as_environment() {
        for valid in ["development", "test", "staging-2", "production"] {
            assert_eq!(valid.parse::<Environment>().unwrap().to_string(), valid);
        }
        for invalid in ["", "Test", "2nd", "a b", "a'", "-a", "é"] {
            assert!(matches!(invalid.parse::<Environment>(), Err(Error::Usage(_))), "{invalid}");
        }
    }

    #[test]
    fn marker_is_one_line_of_the_comment() {
        let test: Environment = "test".parse().unwrap();
        assert_eq!(parse_comment(""), None);
        assert_eq!(parse_comment("a database for migrate.environment = test"), None);
        assert_eq!(parse_comment("migrate.environment = x y"), None);
        assert_eq!(parse_comment("migrate.environment = test\nmigrate.environment = x"), None);
        let comment = with_marker("The katas.\nAsk Ada.", &test);
        assert_eq!(comment, "The katas.\nAsk Ada.\nmigrate.environment = test");
        assert_eq!(parse_comment(&comment), Some(test));
        let production = with_marker(&comment, &Environment::production());
        assert_eq!(production, "The katas.\nAsk Ada.\nmigrate.environment = production");
    }
}
