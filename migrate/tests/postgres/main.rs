//! Integration tests of `migrate` against a real PostgreSQL.
//!
//! All tests are in one binary, which links once, and share a server.
//! `MIGRATE_TEST_POSTGRES=bundled` selects the bundled PostgreSQL instead of the installed one.

mod availability;
mod catalog;
mod cli;
mod contention;
mod dataset_chunks;
mod exit_codes;
mod import;
mod integrity;
mod interruptions;
mod messages;
mod non_transactional;
mod other_inputs;
mod pooler;
mod proxy;
mod random_files;
mod read_only;
mod relation_locks;
mod reporting;
mod seed;
mod signals;
mod support;
mod transactional;
mod up_down;
