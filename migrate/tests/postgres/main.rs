//! What `migrate` does to a real PostgreSQL, and what it makes of everything that goes wrong.
//!
//! One binary: it is linked once, and all of its tests share a server. `MIGRATE_TEST_POSTGRES=bundled`
//! runs them on the PostgreSQL that comes with this repository in place of the installed one.

mod catalog;
mod cli;
mod contention;
mod directions;
mod environment;
mod exit_codes;
mod files;
mod integrity;
mod interruptions;
mod locks;
mod looking;
mod outcomes;
mod pooler;
mod proxy;
mod seed;
mod signals;
mod steps;
mod support;
