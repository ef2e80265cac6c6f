//! The parts of `katas up` besides the server: building the components, running PostgreSQL and
//! Spin.

pub mod build;
mod log_line;
pub mod postgres;
mod private_file;
pub mod process;
pub mod queue;
mod ready;
pub mod spin;
pub mod up;
mod wasm_target;
mod watch;

/// Reports the progress of a step: a verb and its object.
pub type Report<'a> = &'a (dyn Fn(&str, &str) + Sync);
