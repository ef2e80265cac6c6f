//! Statements that are known to fail before they run. The runner rejects them, and `lint` reports
//! them.

use super::statement::StatementKind;

/// Why a statement is rejected.
pub struct Rejection {
    /// The name of the `lint` rule.
    pub rule: &'static str,
    /// The problem.
    pub message: &'static str,
    /// The remedy.
    pub help: &'static str,
}

/// Returns the reason to reject a statement of this kind in a file. `None` if it can run.
pub fn rejection(kind: &StatementKind, transactional: bool) -> Option<Rejection> {
    let reject = |rule, message, help| Some(Rejection { rule, message, help });
    match kind {
        StatementKind::TransactionControl if transactional => reject(
            "transaction-control",
            "This ends the transaction in which the file runs.",
            "Remove it, or begin the file with the line `-- no-transaction`.",
        ),
        StatementKind::TransactionControl => reject(
            "transaction-control",
            "Every statement of this file runs in its own transaction.",
            "Move statements that must be atomic to a file without `-- no-transaction`.",
        ),
        kind if transactional && kind.forbids_transaction() => reject(
            "not-in-transaction",
            "This cannot run in a transaction.",
            "Begin the file with the line `-- no-transaction`.",
        ),
        StatementKind::DiscardAll => reject(
            "discard-all",
            "This releases the lock that excludes other runners.",
            "Use `RESET ALL`.",
        ),
        StatementKind::LocalSetting if !transactional => reject(
            "local-setting",
            "This has no effect, because its transaction ends with the statement.",
            "Use `SET`.",
        ),
        StatementKind::CreateIndexConcurrently { index: None, .. } => reject(
            "unnamed-index",
            "If this is interrupted, its invalid index cannot be identified without a name.",
            "Name the index.",
        ),
        StatementKind::CopyWithClient => reject(
            "copy-from-client",
            "A migration has no client to copy from or to.",
            "Use `INSERT`, which `pg_dump --inserts` writes, or leave the rows out with `pg_dump \
             --schema-only`.",
        ),
        StatementKind::PsqlCommand => reject(
            "psql-command",
            "This is a command of psql, which the server does not understand.",
            "Remove it.",
        ),
        _ => None,
    }
}
