//! Removing what nobody needs any more, in small steps.

use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::database::Database;
use crate::project::Project;
use crate::statements::{Statement, split};
use crate::{Error, Report};

/// What [`sweep`] has done.
#[derive(Debug, Serialize)]
pub struct Sweep {
    /// How many rows it changed or removed.
    pub rows: u64,
}

/// Runs each statement of `sweep.sql` until it changes nothing. Each time is a transaction of its
/// own, so nothing is held for long, and this can be interrupted anywhere.
pub async fn sweep(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<Sweep, Error> {
    let Some(sql) = &project.sweep else {
        return Err(Error::Usage("there is no sweep.sql beside the migrations".to_owned()));
    };
    let mut session = database.connect(report).await?;
    session.refuse_superuser().await?;
    let mut rows = 0;
    for statement in split(sql) {
        loop {
            let query = sqlx::query(AssertSqlSafe(statement.text.to_owned()));
            let done = query.execute(&mut session.connection).await;
            match done.map_err(|error| failed(&statement, error))?.rows_affected() {
                0 => break,
                changed => rows += changed,
            }
        }
    }
    session.close().await;
    Ok(Sweep { rows })
}

fn failed(statement: &Statement<'_>, error: sqlx::Error) -> Error {
    let next = "what has been swept stays so; run `migrate sweep` again when this is mended";
    Error::of_statement("sweep.sql", statement, error, next.to_owned())
}
