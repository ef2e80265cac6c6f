//! The commands of `migrate` with large dependencies: [`plan()`] and [`lint()`], which parse SQL, and
//! [`seed()`], which generates data. The crate [`migrations`] contains the others, so that the local
//! host, which only applies migrations, compiles without them.

mod lint;
mod plan;
mod relation_locks;
mod seed;

pub use lint::{Finding, lint};
pub use migrations::*;
pub use plan::{Plan, PlannedLock, PlannedScript, PlannedStatement, Size, plan};
pub use relation_locks::{LockMode, RelationLock, Work, relation_locks};
pub use seed::{OnProgress, Seed, SeedOptions, SeedProgress, SeedReport, SeedResult, seed, seeds};
