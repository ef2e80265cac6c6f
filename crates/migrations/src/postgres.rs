//! Connections to PostgreSQL: settings, retries, and the environment marker of a database.

mod backoff;
mod database;
mod environment;
mod session;
mod url;

pub(crate) use backoff::Backoff;
pub use database::Database;
pub(crate) use environment::read_environment;
pub use environment::{Environment, set_environment};
pub(crate) use session::Session;
