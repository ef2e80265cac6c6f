//! Child processes that end with this process, even if it is killed, the unprivileged account that
//! servers run as, and cargo.

mod account;
mod cargo;
mod process;

pub use account::Account;
pub use cargo::cargo;
pub use process::{Child, die_with_parent};
