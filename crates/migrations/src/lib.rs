//! Schema migrations for PostgreSQL that are safe to run concurrently, to interrupt and to repeat.
//!
//! sqlx defines the format of the migrations, embeds them with their checksums, and provides the
//! connection. Its runner is not used: it waits inside `pg_advisory_lock`, which deadlocks with
//! `CREATE INDEX CONCURRENTLY`, and it applies migrations before it has validated the rest.
//!
//! [`up`] proceeds as follows:
//!
//! 1. Connect, and retry while the server is not ready.
//! 2. Read the ledger. If nothing is pending, return without taking the lock.
//! 3. Poll for the advisory lock.
//! 4. Read the ledger again, validate all of it, and reject files that cannot succeed.
//! 5. Apply each migration in a transaction that first claims its row in the ledger. A file that
//!    opts out of the transaction runs statement by statement. Each finished statement is recorded,
//!    so that the next run resumes after it.
//!
//! | module | task |
//! | --- | --- |
//! | `project` | the migrations, roles and seeds to work with |
//! | `sql` | static analysis of a statement |
//! | `postgres` | connections, retries, the environment marker of a database |
//! | `ledger` | applied migrations, and the lock that protects their table |
//! | `apply` | the commands that write to the ledger: up, down, baseline, repair |
//! | `inspect` | the commands that only read: status, wait, verify, dump |
//! | `import`, `bootstrap`, `sweep` | one command each |
//! | `survey` | the contents of a database before anything is written to it |
//!
//! [`Session`], [`Backoff`] and [`TransactionState`] are public for commands in other crates.
//!
//! No module depends on a particular schema: everything specific to one is in [`Project`].

/// Implements [`sqlx::FromRow`] for a struct whose fields have the names of the columns. The field after
/// `;` is a struct that implements it too. sqlx's derive macro would compile a second sqlx, with tokio
/// and TLS, for the compiler.
#[macro_export]
macro_rules! from_row {
    ($type:ident { $($field:ident),+ $(; $nested:ident)? }) => {
        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $type {
            fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<$type> {
                use sqlx::Row as _;
                Ok($type {
                    $($field: row.try_get(stringify!($field))?,)+
                    $($nested: sqlx::FromRow::from_row(row)?,)?
                })
            }
        }
    };
}

mod apply;
mod bootstrap;
mod error;
mod event;
mod import;
mod inspect;
mod ledger;
mod postgres;
mod project;
pub mod sql;
mod survey;
mod sweep;

pub use apply::{
    Baseline, Down, Fix, Repair, Up, UpOptions, WaitOptions, baseline, down, repair, up,
};
pub use bootstrap::{Password, bootstrap, limit_connections};
pub use error::{Error, SqlFailure};
pub use event::{Event, Report};
pub use import::{Import, ImportedMigration, import};
pub use inspect::{
    Difference, MigrationStatus, ScriptsToRun, State, Status, Verification, compare, dump,
    ensure_migrated, scripts_to_run, status, verify, wait, write_dump,
};
pub use ledger::{OutOfOrder, RevertTo, TransactionState};
pub use postgres::{Backoff, Database, Environment, Session, read_environment, set_environment};
pub use project::{Migration, Project, Script, SqlFile, Tool, create};
pub use survey::{Survey, survey};
pub use sweep::{Sweep, sweep};
