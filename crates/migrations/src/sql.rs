//! Static analysis of SQL text. Nothing here connects to a database.

mod names;
mod preflight;
mod statement;

pub use names::{
    NameChange, includes_children, is_create_if_not_exists, is_create_index, is_create_temporary,
    name_change, parse_search_path,
};
pub use preflight::{Rejection, rejection};
pub use statement::{
    GlobalObject, ReindexTarget, RelationName, Statement, StatementKind, comments, is_terminated,
    split, without_psql_lines,
};
