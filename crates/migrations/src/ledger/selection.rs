//! Validates the ledger against the project, and selects the migrations to run.

use sha2::{Digest, Sha384};

use super::{Applied, current_version};
use crate::Error;
use crate::project::{Migration, Project, Script};

/// What to do with a pending migration that is older than an applied one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum OutOfOrder {
    /// Fail, because other databases applied the migrations in a different order, or will do so.
    #[default]
    Refuse,
    /// Apply it.
    Apply,
}

/// How far to revert.
#[derive(Clone, Copy, Debug)]
pub enum RevertTo {
    /// Revert every migration after this version. 0 reverts all.
    Version(i64),
    /// Revert this many migrations.
    Steps(usize),
}

/// Validates the ledger, and returns the migrations to apply, in order. They include an unfinished
/// one that can be resumed.
pub(crate) fn pending<'a>(
    project: &'a Project,
    applied: &[Applied],
    out_of_order: OutOfOrder,
) -> Result<Vec<&'a Migration>, Error> {
    for row in applied {
        check(project, row)?;
    }
    let is_done = |version| applied.iter().any(|row| row.version == version && row.success);
    let migrations = project.migrations.iter();
    let pending: Vec<_> = migrations.filter(|migration| !is_done(migration.version)).collect();
    let newest_applied = current_version(applied);
    match pending.iter().find(|migration| migration.version < newest_applied) {
        Some(late) if out_of_order == OutOfOrder::Refuse => Err(Error::Integrity(format!(
            "{} is out of order: version {newest_applied} is already applied; rename it to a \
             higher version, or run `migrate up --out-of-order` if the order does not matter",
            late.name
        ))),
        _ => Ok(pending),
    }
}

/// Returns the newest applied migrations with their down scripts, newest first.
pub(crate) fn to_revert<'a>(
    project: &'a Project,
    applied: &[Applied],
    revert_to: RevertTo,
) -> Result<Vec<(&'a Migration, &'a Script)>, Error> {
    let newest_first = applied.iter().rev();
    let rows: Vec<_> = match revert_to {
        RevertTo::Version(version) => newest_first.filter(|row| row.version > version).collect(),
        RevertTo::Steps(steps) => newest_first.take(steps).collect(),
    };
    let script = |row: &&Applied| {
        let found = project.migrations.iter().find(|migration| migration.version == row.version);
        let Some(migration) = found else {
            let name = row.name();
            return Err(Error::Integrity(format!(
                "{name} was applied by a newer build; revert it with that build"
            )));
        };
        let Some(script) = &migration.down else {
            let name = &migration.name;
            return Err(Error::Integrity(format!(
                "{name} cannot be reverted: it has no .down.sql; write it, or revert by hand"
            )));
        };
        Ok((migration, script))
    };
    rows.iter().map(script).collect()
}

/// Returns the message for an unfinished migration that cannot be resumed, because its file has
/// become transactional since it was started.
pub(crate) fn became_transactional(row: &Applied) -> String {
    format!(
        "{} was started on {} and is unfinished, but its file is transactional in this build; \
         restore `-- no-transaction`, or revert its effects by hand and run `migrate repair --forget {}`",
        row.name(),
        row.installed_on,
        row.version
    )
}

fn check(project: &Project, row: &Applied) -> Result<(), Error> {
    let name = row.name();
    let found = project.migrations.iter().find(|migration| migration.version == row.version);
    let problem = match found {
        // The resumed run compares the completed statements one by one.
        Some(migration) if !row.success && migration.may_be_partial() => return Ok(()),
        _ if !row.success => became_transactional(row),
        Some(migration) if !checksum_matches(&row.checksum, migration) => format!(
            "{name} has been edited since it was applied on {}; restore the file and put the \
             change into a new migration, or run `migrate repair` if only a comment changed",
            row.installed_on
        ),
        // A database may be newer than this build.
        None if row.version < project.newest() => format!(
            "{name} was applied on {} and is not in this build; restore the file, or run `migrate \
             repair` if it was removed on purpose",
            row.installed_on
        ),
        _ => return Ok(()),
    };
    Err(Error::Integrity(problem))
}

/// Returns whether `checksum` is that of the migration: as sqlx computes it without carriage
/// returns, or over the complete file with LF or CRLF line endings.
pub(crate) fn checksum_matches(checksum: &[u8], migration: &Migration) -> bool {
    let unix = || migration.up.sql.replace("\r\n", "\n");
    checksum == migration.checksum
        || checksum == Sha384::digest(unix()).as_slice()
        || checksum == Sha384::digest(unix().replace('\n', "\r\n")).as_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: i64, checksum: &[u8]) -> Applied {
        Applied {
            version,
            description: "x".into(),
            installed_on: "2026-01-01T00:00:00Z".into(),
            success: true,
            checksum: checksum.to_vec(),
        }
    }

    /// The ledger after the first `count` migrations.
    fn after(count: usize) -> Vec<Applied> {
        let project = Project::built_in();
        let done = project.migrations.iter().take(count);
        done.map(|migration| row(migration.version, &migration.checksum)).collect()
    }

    fn pending_count(applied: &[Applied]) -> usize {
        pending(&Project::built_in(), applied, OutOfOrder::Refuse).unwrap().len()
    }

    fn error_message(applied: &[Applied]) -> String {
        let error = pending(&Project::built_in(), applied, OutOfOrder::Refuse).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        error.to_string()
    }

    #[test]
    fn migrations_missing_from_the_ledger_are_pending() {
        let all = Project::built_in().migrations.len();
        assert_eq!(pending_count(&[]), all);
        assert_eq!(pending_count(&after(1)), all - 1);
        assert_eq!(pending_count(&after(all)), 0);
    }

    #[test]
    fn edited_migration_is_rejected() {
        let mut ledger = after(1);
        ledger[0].checksum = b"other".to_vec();
        assert!(error_message(&ledger).contains("edited since it was applied"));
    }

    #[test]
    fn line_endings_do_not_change_the_checksum() {
        let mut ledger = after(1);
        let crlf = Project::built_in().migrations[0].up.sql.replace('\n', "\r\n");
        ledger[0].checksum = Sha384::digest(crlf).to_vec();
        assert_eq!(pending_count(&ledger), Project::built_in().migrations.len() - 1);
    }

    #[test]
    fn newer_versions_are_accepted_and_unknown_older_ones_rejected() {
        let mut newer = after(Project::built_in().migrations.len());
        newer.push(row(9999, b"newer"));
        assert_eq!(pending_count(&newer), 0);
        assert!(error_message(&[row(0, b"other")]).contains("not in this build"));
    }

    #[test]
    fn out_of_order_migration_is_rejected_unless_requested() {
        let mut ledger = after(1);
        ledger.push(row(9999, b"newer"));
        assert!(error_message(&ledger).contains("out of order"));
        let project = Project::built_in();
        let pending = pending(&project, &ledger, OutOfOrder::Apply).unwrap();
        assert_eq!(pending.len(), project.migrations.len() - 1);
    }

    #[test]
    fn unfinished_migration_is_pending_only_without_transaction() {
        let mut ledger = after(2);
        ledger[1].success = false;
        assert!(error_message(&ledger).contains("is unfinished"));
        let mut project = Project::built_in();
        project.migrations[1].up.transactional = false;
        let pending = pending(&project, &ledger, OutOfOrder::Refuse).unwrap();
        assert_eq!(pending[0].version, 2);
    }
}
