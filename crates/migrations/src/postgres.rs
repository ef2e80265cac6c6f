//! Connections to PostgreSQL: settings, retries, and the environment marker of a database.

mod backoff;
mod database;
mod environment;
mod session;
mod url;

pub use backoff::Backoff;
pub use database::Database;
pub use environment::{Environment, read_environment, set_environment};
pub use session::Session;
