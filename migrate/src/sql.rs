//! Static analysis of SQL text. Nothing here connects to a database.

mod names;
mod preflight;
mod relation_locks;
mod statement;

pub(crate) use names::{
    NameChange, includes_children, is_create_if_not_exists, is_create_index, is_create_temporary,
    name_change, parse_search_path,
};
pub(crate) use preflight::{Rejection, rejection};
pub(crate) use relation_locks::locks_of;
pub use relation_locks::{LockMode, RelationLock, Work, relation_locks};
pub(crate) use statement::{
    GlobalObject, ReindexTarget, RelationName, Statement, StatementKind, comments, is_terminated,
    split, without_psql_lines,
};
