//! Child processes that end with this process, without its secrets.

use std::process::Command;

pub use child_process::{Child, cargo, die_with_parent};

/// Removes the variables that may contain secrets from the environment of a command.
pub(super) fn remove_secrets(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["API_TOKEN", "DATABASE_URL", "MIGRATE_DATABASE_URL", "PGPASSWORD"]
            .contains(&text.as_ref())
            || text.starts_with("SPIN_VARIABLE_")
        {
            command.env_remove(&name);
        }
    }
}
