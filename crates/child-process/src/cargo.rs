//! cargo as a child process.

use std::env;
use std::process::Command;

/// Returns a command for cargo without the variables that describe the package of this process, which
/// `cargo run` and `cargo test` set. The build script of ring runs again when they change, and all that
/// depends on ring would compile again.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "OUT_DIR"
        {
            command.env_remove(&name);
        }
    }
    command
}
