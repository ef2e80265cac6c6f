//! Bringing the ledger in line with what is there: the only commands that write to it without
//! running a migration.

use std::fmt;

use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::Error;
use crate::database::Database;
use crate::event::Report;
use crate::ledger::{Applied, Ledger, is_of};
use crate::project::Project;
use crate::runner::{Patience, Runner};

/// What [`baseline`] has done.
#[derive(Debug, Serialize)]
pub struct Baseline {
    /// The names of the migrations that count as applied now.
    pub marked: Vec<String>,
    /// The version that the schema is at now.
    pub version: i64,
}

/// Notes all migrations up to `to` (all of them if `None`) as applied without running them: for a
/// database that got its schema in another way. Refused when the ledger has anything in it.
pub async fn baseline(
    project: &Project,
    database: &Database,
    to: Option<i64>,
    patience: Patience,
    report: Report<'_>,
) -> Result<Baseline, Error> {
    let to = match to {
        Some(version) => project.migration(version)?.version,
        None => project.newest(),
    };
    let mut runner = Runner::connect(project, database, patience, report).await?;
    if let Some(row) = runner.applied().await?.first() {
        let name = row.name();
        return Err(Error::Integrity(format!(
            "the ledger has begun already, with {name}: a baseline is for a database without one"
        )));
    }
    let mut marked = Vec::new();
    runner.open_transaction().await?;
    for migration in project.migrations.iter().filter(|migration| migration.version <= to) {
        let Runner { ledger, session, lock, .. } = &mut runner;
        ledger.claim(session, lock, migration, true).await?;
        marked.push(migration.name.clone());
    }
    runner.command("COMMIT").await?;
    runner.end().await;
    Ok(Baseline { marked, version: to })
}

/// A change of the ledger.
#[derive(Debug, Serialize)]
pub struct Fix {
    /// What is wrong.
    pub problem: String,
    /// What puts it right.
    pub sql: String,
}

/// What [`repair`] has found, and whether it has been done.
#[derive(Debug, Serialize)]
pub struct Repair {
    /// What there is to do, in this order.
    pub fixes: Vec<Fix>,
    /// Whether it has been done.
    pub done: bool,
}

impl fmt::Display for Repair {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Fix { problem, sql } in &self.fixes {
            writeln!(to, "-- {problem}\n{sql};")?;
        }
        match (self.fixes.len(), self.done) {
            (0, _) => write!(to, "-- there is nothing to repair"),
            (_, true) => write!(to, "-- done"),
            (_, false) => write!(to, "-- nothing has been changed: say --yes to run this"),
        }
    }
}

/// Accepts what [`crate::up`] refuses: files that have been edited since they were applied, and
/// applied migrations that are gone. With `forget`, an unfinished migration counts as never begun
/// (or, if it was being undone, as never touched). With `yes` it is done, and otherwise only said.
pub async fn repair(
    project: &Project,
    database: &Database,
    forget: Option<i64>,
    yes: bool,
    patience: Patience,
    report: Report<'_>,
) -> Result<Repair, Error> {
    if !yes {
        let mut session = database.connect(report).await?;
        let applied = Ledger::of(project).read(&mut session.connection).await?;
        session.close().await;
        return Ok(Repair { fixes: fixes(project, &applied, forget)?, done: false });
    }
    let mut runner = Runner::connect(project, database, patience, report).await?;
    let fixes = fixes(project, &runner.applied().await?, forget)?;
    runner.open_transaction().await?;
    for Fix { sql, .. } in &fixes {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.as_str()));
        query.execute(&mut runner.session.connection).await?;
    }
    runner.command("COMMIT").await?;
    runner.end().await;
    Ok(Repair { done: !fixes.is_empty(), fixes })
}

fn fixes(project: &Project, applied: &[Applied], forget: Option<i64>) -> Result<Vec<Fix>, Error> {
    let ledger = Ledger::of(project);
    match forget {
        Some(version) => forget_one(&ledger, applied, version),
        None => Ok(applied.iter().filter_map(|row| fix(project, &ledger, row)).collect()),
    }
}

fn fix(project: &Project, ledger: &Ledger, row: &Applied) -> Option<Fix> {
    let Ledger { table, steps, .. } = ledger;
    let Applied { version, success, checksum, installed_on, .. } = row;
    let name = row.name();
    match project.migration(*version) {
        Ok(ours) if *success && !is_of(checksum, ours) => Some(Fix {
            problem: format!("{name} has been edited since it was applied on {installed_on}"),
            sql: format!(
                "UPDATE {table} SET checksum = '\\x{}' WHERE version = {version}",
                hex(&ours.checksum)
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

fn forget_one(ledger: &Ledger, applied: &[Applied], version: i64) -> Result<Vec<Fix>, Error> {
    let Some(row) = applied.iter().find(|row| row.version == version && !row.success) else {
        return Err(Error::Usage(format!("version {version} is not an unfinished migration")));
    };
    let Ledger { table, steps, .. } = ledger;
    let (name, begun) = (row.name(), &row.installed_on);
    let fix = |problem: String, sql: String| Fix { problem, sql };
    Ok(vec![
        fix(
            format!("{name} was being undone: it counts as applied"),
            format!(
                "UPDATE {table} SET success = true WHERE version = {version} AND EXISTS \
                 (SELECT FROM {steps} WHERE version = {version} AND direction = 'down')"
            ),
        ),
        fix(
            format!("{name} was begun on {begun}: it counts as never begun"),
            format!("DELETE FROM {table} WHERE version = {version} AND NOT success"),
        ),
        fix(
            format!("what had been done of {name} is forgotten"),
            format!("DELETE FROM {steps} WHERE version = {version}"),
        ),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
