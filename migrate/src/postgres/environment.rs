//! What a database is for: everything that is not marked otherwise is production.
//!
//! The mark is a line of the database's comment, which its owner may write. A setting would be the
//! obvious place, but one that the server does not know may only be set by a superuser (PostgreSQL 15
//! and newer), and where PostgreSQL is a service nobody is one. Neither is copied with a template, so
//! a copy of a marked database is production again. Whoever writes another comment removes the mark:
//! that errs on the safe side.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::database::Database;
use crate::{Error, Report};

/// What the mark's line begins with.
const MARK: &str = "migrate.environment = ";

/// What a database is for: one word in lower case, such as `development`, `test` or `staging`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Environment(String);

impl Environment {
    /// What a database is for that nobody has marked.
    pub fn production() -> Environment {
        Environment("production".to_owned())
    }

    /// Whether it is [`Environment::production`].
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
                "`{text}` is no environment: expected a word in lower case, such as development"
            ))),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Marks a database. `database` is connected to as its owner or as a superuser.
pub async fn mark(
    database: &Database,
    environment: &Environment,
    report: Report<'_>,
) -> Result<(), Error> {
    let mut session = database.connect(report).await?;
    let connection = &mut session.connection;
    let comment = with_mark(&comment(connection).await?, environment);
    let (sql,): (String,) =
        sqlx::query_as("SELECT format('COMMENT ON DATABASE %I IS %L', current_database(), $1)")
            .bind(comment)
            .fetch_one(&mut *connection)
            .await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    session.close().await;
    Ok(())
}

/// What the database is for.
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Environment, Error> {
    Ok(marked(&comment(connection).await?).unwrap_or_else(Environment::production))
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

/// The environment that a comment names. Two marks that differ are none.
fn marked(comment: &str) -> Option<Environment> {
    let mut marks = comment.lines().filter_map(|line| line.strip_prefix(MARK));
    let first = marks.next()?;
    marks.all(|mark| mark == first).then_some(first)?.parse().ok()
}

/// The comment with this mark, and with all else that is in it.
fn with_mark(comment: &str, environment: &Environment) -> String {
    let mark = format!("{MARK}{environment}");
    let others = comment.lines().filter(|line| !line.starts_with(MARK));
    others.chain([mark.as_str()]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_a_word() {
        for good in ["development", "test", "staging-2", "production"] {
            assert_eq!(good.parse::<Environment>().unwrap().to_string(), good);
        }
        for bad in ["", "Test", "2nd", "a b", "a'", "-a", "é"] {
            assert!(matches!(bad.parse::<Environment>(), Err(Error::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_mark_is_a_line_of_the_comment() {
        let test: Environment = "test".parse().unwrap();
        assert_eq!(marked(""), None);
        assert_eq!(marked("a database for migrate.environment = test"), None);
        assert_eq!(marked("migrate.environment = x y"), None);
        assert_eq!(marked("migrate.environment = test\nmigrate.environment = x"), None);
        let comment = with_mark("The katas.\nAsk Ada.", &test);
        assert_eq!(comment, "The katas.\nAsk Ada.\nmigrate.environment = test");
        assert_eq!(marked(&comment), Some(test));
        let production = with_mark(&comment, &Environment::production());
        assert_eq!(production, "The katas.\nAsk Ada.\nmigrate.environment = production");
    }
}
