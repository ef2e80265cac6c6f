//! What the text of SQL reveals before it is run. Nothing here connects to a database.

mod preflight;
mod relation_locks;
mod statement;

pub(crate) use preflight::{Rejection, rejection};
pub(crate) use relation_locks::locks_of;
pub use relation_locks::{LockMode, RelationLock, Work, relation_locks};
pub(crate) use statement::{
    ReindexTarget, RelationName, Statement, StatementKind, comments, is_terminated, split,
    without_psql_lines,
};
