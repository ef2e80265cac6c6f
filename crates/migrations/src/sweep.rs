//! `migrate sweep`: purges obsolete rows in small transactions.

use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::Error;
use crate::event::Report;
use crate::postgres::{Database, Session};
use crate::project::Project;
use crate::sql::{Statement, split};

/// The result of [`sweep`].
#[derive(Debug, Serialize)]
pub struct Sweep {
    /// The number of rows changed or deleted.
    pub rows: u64,
}

/// Runs each statement of `sweep.sql` until it changes no rows. Every execution is one transaction,
/// so locks are held only briefly, and the command can be interrupted at any time.
pub async fn sweep(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<Sweep, Error> {
    let Some(sql) = &project.sweep else {
        return Err(Error::Usage("the project has no sweep.sql; write it first".to_owned()));
    };
    let mut session = Session::connect(database, report).await?;
    session.reject_superuser().await?;
    let mut rows = 0;
    for statement in split(sql) {
        loop {
            let query = sqlx::query(AssertSqlSafe(statement.text.to_owned()));
            let result = query.execute(&mut session.connection).await;
            match result.map_err(|error| failed(&statement, error))?.rows_affected() {
                0 => break,
                changed => rows += changed,
            }
        }
    }
    session.close().await;
    Ok(Sweep { rows })
}

fn failed(statement: &Statement<'_>, error: sqlx::Error) -> Error {
    let next = "rows purged so far stay purged; fix the file, then run `migrate sweep` again";
    Error::statement_failed("sweep.sql", statement, error, next.to_owned())
}
