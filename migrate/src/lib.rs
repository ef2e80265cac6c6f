//! The commands of `migrate` that analyze SQL with a parser: [`plan()`] and [`lint()`]. The crate
//! [`migrations`] contains the others, so that the local host, which only applies migrations, compiles
//! without a parser.

mod lint;
mod plan;
mod relation_locks;

pub use lint::{Finding, lint};
pub use migrations::*;
pub use plan::{Plan, PlannedLock, PlannedScript, PlannedStatement, Size, plan};
pub use relation_locks::{LockMode, RelationLock, Work, relation_locks};
