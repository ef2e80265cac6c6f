//! What `katas up` needs beside the server: the components' build, a PostgreSQL, and both ended
//! with it.

pub mod build;
pub mod postgres;
pub mod process;
pub mod spin;
pub mod up;
mod wasm_target;

/// Where progress is told, a step at a time: what is done, and to what.
pub type Report<'a> = &'a (dyn Fn(&str, &str) + Sync);
