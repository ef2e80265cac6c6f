//! `migrate baseline`: records migrations as applied without running them.

use serde::Serialize;

use super::runner::{Runner, WaitOptions};
use crate::Error;
use crate::event::Report;
use crate::postgres::Database;
use crate::project::Project;

/// The result of [`baseline`].
#[derive(Debug, Serialize)]
pub struct Baseline {
    /// The names of the migrations that are now recorded as applied.
    pub marked: Vec<String>,
    /// The version of the schema according to the ledger.
    pub version: i64,
}

/// Records all migrations up to `to` as applied without running them. `None` means all of them. For
/// a database whose schema was created by other means.
///
/// Fails if the ledger is not empty.
pub async fn baseline(
    project: &Project,
    database: &Database,
    to: Option<i64>,
    wait: WaitOptions,
    report: Report<'_>,
) -> Result<Baseline, Error> {
    let to = match to {
        Some(version) => project.migration(version)?.version,
        None => project.newest(),
    };
    let mut runner = Runner::connect(project, database, wait, report).await?;
    if let Some(row) = runner.applied().await?.first() {
        let name = row.name();
        return Err(Error::Integrity(format!(
            "the ledger is not empty: it begins with {name}; `migrate up` applies what is missing, and a baseline \
             requires an empty ledger"
        )));
    }
    let mut marked = Vec::new();
    runner.begin_transaction().await?;
    for migration in project.migrations.iter().filter(|migration| migration.version <= to) {
        let Runner { ledger, session, lock, .. } = &mut runner;
        ledger.claim(session, lock, migration, true).await?;
        marked.push(migration.name.clone());
    }
    runner.command("COMMIT").await?;
    runner.end().await;
    Ok(Baseline { marked, version: to })
}
