//! Brings a PostgreSQL schema to the version that a build needs: once, in order, however many of it
//! start at the same time, whatever happens to them meanwhile.
//!
//! sqlx gives the format of the migrations, embeds them with their checksums, and connects. Its
//! runner is not used: it waits inside of `pg_advisory_lock`, which deadlocks with
//! `CREATE INDEX CONCURRENTLY`, and it applies what it can before it notices what it cannot.
//!
//! The order of one run ([`up`]): connect, patiently; read the ledger; if nothing is pending, be
//! done without a lock; poll for the lock; read the ledger again and validate all of it, and what can
//! be seen of the files; then each migration in a transaction that first claims its row in the
//! ledger. A file that asks for no transaction is run step by step, and every step that is done is
//! noted, so that the next run goes on where this one ended.
//!
//! Nothing here knows whose schema it is: that is in the SQL ([`Project`]).

mod backoff;
mod bootstrap;
mod catalog;
mod create;
mod database;
mod down;
mod dump;
mod environment;
mod error;
mod event;
mod inspect;
mod ledger;
mod lint;
mod lock;
mod plan;
mod project;
mod refusal;
mod repair;
mod runner;
mod seed;
mod session;
mod statements;
mod status;
mod steps;
mod sweep;
mod touches;
mod up;
mod verify;

pub use bootstrap::{Password, bootstrap, has_role, limit_connections};
pub use create::create;
pub use database::Database;
pub use down::{Back, Down, down};
pub use dump::write_dump;
pub use environment::{Environment, mark};
pub use error::{Error, SqlFailure};
pub use event::{Event, Report};
pub use inspect::{dump, plan, verify};
pub use ledger::OutOfOrder;
pub use lint::{Finding, lint};
pub use plan::{Plan, PlannedLock, PlannedScript, PlannedStatement, Size};
pub use project::{File, Migration, Project, Script};
pub use repair::{Baseline, Fix, Repair, baseline, repair};
pub use runner::Patience;
pub use seed::{OnProgress, Seed, SeedOptions, SeedProgress, Seeded, SeededRows, seed, seeds};
pub use status::{MigrationStatus, State, Status, status, wait};
pub use sweep::{Sweep, sweep};
pub use touches::{LockMode, Touch, Work, touches};
pub use up::{Up, UpOptions, up};
pub use verify::{Difference, Verified, compare};
