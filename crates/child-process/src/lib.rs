//! Child processes that end with this process, even if it is killed, and the unprivileged account
//! that servers run as.

mod account;
mod process;

pub use account::Account;
pub use process::{Child, die_with_parent};
