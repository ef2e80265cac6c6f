//! `migrate repair`: corrects the ledger without running a migration.

use std::fmt;

use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::runner::{Runner, WaitOptions};
use crate::Error;
use crate::event::Report;
use crate::ledger::{Applied, Ledger, checksum_matches};
use crate::postgres::{Database, Session};
use crate::project::Project;

/// A correction of the ledger.
#[derive(Debug, Serialize)]
pub struct Fix {
    /// The problem.
    pub problem: String,
    /// The statement that corrects it.
    pub sql: String,
}

/// The result of [`repair`].
#[derive(Debug, Serialize)]
pub struct Repair {
    /// The corrections, in order.
    pub fixes: Vec<Fix>,
    /// Whether the corrections have been applied.
    pub done: bool,
}

impl fmt::Display for Repair {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Fix { problem, sql } in &self.fixes {
            writeln!(to, "-- {problem}\n{sql};")?;
        }
        match (self.fixes.len(), self.done) {
            (0, _) => write!(to, "-- nothing to repair"),
            (_, true) => write!(to, "-- done"),
            (_, false) => write!(to, "-- nothing has been changed; pass --yes to run this"),
        }
    }
}

/// Makes the ledger match the project where [`crate::up`] fails: accepts files that have been
/// edited since they were applied, and removes migrations whose files have been deleted.
///
/// With `forget`, resets the unfinished migration of this version instead: to pending if it was
/// being applied, to applied if it was being reverted. Without `yes`, only returns the corrections.
pub async fn repair(
    project: &Project,
    database: &Database,
    forget: Option<i64>,
    yes: bool,
    wait: WaitOptions,
    report: Report<'_>,
) -> Result<Repair, Error> {
    if !yes {
        let mut session = Session::connect(database, report).await?;
        let applied = Ledger::new(project).read(&mut session.connection).await?;
        session.close().await;
        return Ok(Repair { fixes: fixes(project, &applied, forget)?, done: false });
    }
    let mut runner = Runner::connect(project, database, wait, report).await?;
    let fixes = fixes(project, &runner.applied().await?, forget)?;
    runner.begin_transaction().await?;
    for Fix { sql, .. } in &fixes {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.as_str()));
        query.execute(&mut runner.session.connection).await?;
    }
    runner.command("COMMIT").await?;
    runner.end().await;
    Ok(Repair { done: !fixes.is_empty(), fixes })
}

fn fixes(project: &Project, applied: &[Applied], forget: Option<i64>) -> Result<Vec<Fix>, Error> {
    let ledger = Ledger::new(project);
    match forget {
        Some(version) => forget_unfinished(&ledger, applied, version),
        None => Ok(applied.iter().filter_map(|row| fix(project, &ledger, row)).collect()),
    }
}

fn fix(project: &Project, ledger: &Ledger, row: &Applied) -> Option<Fix> {
    let Ledger { table, steps, .. } = ledger;
    let Applied { version, success, checksum, installed_on, .. } = row;
    let name = row.name();
    match project.migration(*version) {
        Ok(migration) if *success && !checksum_matches(checksum, migration) => Some(Fix {
            problem: format!("{name} has been edited since it was applied on {installed_on}"),
            sql: format!(
                "UPDATE {table} SET checksum = '\\x{}' WHERE version = {version}",
                hex(&migration.checksum)
            ),
        }),
        Err(_) if *version < project.newest() => Some(Fix {
            problem: format!("{name} was applied on {installed_on} and is not in this build"),
            sql: format!(
                "WITH forgotten AS (DELETE FROM {steps} WHERE version = {version}) \
                 DELETE FROM {table} WHERE version = {version}"
            ),
        }),
        _ => None,
    }
}

fn forget_unfinished(
    ledger: &Ledger,
    applied: &[Applied],
    version: i64,
) -> Result<Vec<Fix>, Error> {
    let Some(row) = applied.iter().find(|row| row.version == version && !row.success) else {
        return Err(Error::Usage(format!(
            "version {version} is not an unfinished migration; `migrate status` lists them"
        )));
    };
    let Ledger { table, steps, .. } = ledger;
    let (name, started) = (row.name(), &row.installed_on);
    let fix = |problem: String, sql: String| Fix { problem, sql };
    Ok(vec![
        fix(
            format!("{name} was being reverted: reset it to applied"),
            format!(
                "UPDATE {table} SET success = true WHERE version = {version} AND EXISTS \
                 (SELECT FROM {steps} WHERE version = {version} AND direction = 'down')"
            ),
        ),
        fix(
            format!("{name} was started on {started}: reset it to pending"),
            format!("DELETE FROM {table} WHERE version = {version} AND NOT success"),
        ),
        fix(
            format!("delete the recorded steps of {name}"),
            format!("DELETE FROM {steps} WHERE version = {version}"),
        ),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
