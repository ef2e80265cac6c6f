//! Brings a PostgreSQL schema to the version that a build needs: once, in order, however many of it
//! start at the same time, whatever happens to them meanwhile.
//!
//! sqlx gives the format of the migrations, embeds them with their checksums, and connects. Its
//! runner is not used: it waits inside of `pg_advisory_lock`, which deadlocks with
//! `CREATE INDEX CONCURRENTLY`, and it applies what it can before it notices what it cannot.
//!
//! The order of one run ([`up`]): connect, patiently; read the ledger; if nothing is pending, be
//! done without a lock; poll for the lock; read the ledger again and validate all of it; then each
//! migration in a transaction that first claims its row in the ledger.

mod backoff;
mod bootstrap;
mod database;
mod environment;
mod error;
mod ledger;
mod lock;
mod project;
mod seed;
mod status;
mod up;

pub use bootstrap::{Password, bootstrap, has_role};
pub use database::Database;
pub use environment::{Environment, mark};
pub use error::Error;
pub use project::{File, Project, Script};
pub use seed::{OnProgress, Seed, SeedOptions, SeedProgress, Seeded, SeededRows, seed, seeds};
pub use status::{Migration, State, status, wait};
pub use up::{Up, up};

use project::MIGRATOR;

/// Where progress is told, a line at a time, without its end.
pub type Report<'a> = &'a (dyn Fn(&str) + Sync);

/// The number of the newest migration in this build.
pub fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The name of a migration, as its file has it.
fn name(version: i64, description: &str) -> String {
    format!("{version:04}_{}", description.replace(' ', "_"))
}
