//! What can be seen to fail before anything is run: the runner refuses it, and `lint` finds it.

use crate::statements::Kind;

/// Why a statement is not run.
pub(crate) struct Refusal {
    /// The name of the rule, for `lint`.
    pub(crate) rule: &'static str,
    /// What is wrong.
    pub(crate) message: &'static str,
    /// What to do.
    pub(crate) help: &'static str,
}

/// Whether a statement of this kind can be run in a file of this kind.
pub(crate) fn refusal(kind: &Kind, transactional: bool) -> Option<Refusal> {
    let refuse = |rule, message, help| Some(Refusal { rule, message, help });
    match kind {
        Kind::TransactionControl if transactional => refuse(
            "transaction-control",
            "The file runs in one transaction, which this would end.",
            "Take it out, or begin the file with the line `-- no-transaction`.",
        ),
        Kind::TransactionControl => refuse(
            "transaction-control",
            "Every statement of this file is a transaction of its own.",
            "What belongs together goes into a file without `-- no-transaction`.",
        ),
        kind if transactional && kind.is_alone() => refuse(
            "not-in-transaction",
            "This cannot run in a transaction.",
            "Begin the file with the line `-- no-transaction`.",
        ),
        Kind::DiscardAll => refuse(
            "discard-all",
            "This gives up the lock that keeps other runners out.",
            "Say `RESET ALL`.",
        ),
        Kind::LocalSetting if !transactional => refuse(
            "local-setting",
            "This ends with its transaction, which is over at once.",
            "Say `SET`.",
        ),
        Kind::CreateIndexConcurrently { index: None, .. } => refuse(
            "unnamed-index",
            "Without a name the index cannot be found again if this is interrupted.",
            "Name the index.",
        ),
        Kind::CopyWithClient => {
            refuse("copy-from-client", "Nobody is at the other end of this.", "Say `INSERT`.")
        }
        _ => None,
    }
}
