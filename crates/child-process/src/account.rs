//! The operating system account that a server runs as.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The operating system account that a server runs as.
#[derive(Clone, Copy, Debug)]
pub enum Account {
    /// The account of this process.
    Current,
    /// An unprivileged account, in place of root.
    Unprivileged {
        /// The user id.
        user: u32,
        /// The group id.
        group: u32,
    },
}

impl Account {
    /// Returns an account other than root that can access `folder`, if there is one. As root, this
    /// is the first of `names` that exists.
    pub fn other_than_root(folder: &Path, names: &[&str]) -> Option<Account> {
        if !rustix::process::geteuid().is_root() {
            return Some(Account::Current);
        }
        // The other account needs search permission on every ancestor.
        let searchable = |folder: &Path| {
            fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
        };
        let folder = folder.canonicalize().ok()?;
        let (user, group) = names.iter().find_map(|name| user_and_group(name))?;
        folder.ancestors().all(searchable).then_some(Account::Unprivileged { user, group })
    }

    /// Makes the account the owner of a file.
    pub fn take_ownership(self, path: &Path) -> io::Result<()> {
        match self {
            Account::Current => Ok(()),
            Account::Unprivileged { user, group } => chown(path, Some(user), Some(group)),
        }
    }

    /// Makes a command run as the account.
    pub fn apply(self, command: &mut Command) {
        if let Account::Unprivileged { user, group } = self {
            command.uid(user).gid(group);
        }
    }
}

/// Returns the user id and group id of an account, from /etc/passwd.
fn user_and_group(name: &str) -> Option<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let account = fields.find(|fields| fields.first() == Some(&name))?;
    Some((account.get(2)?.parse().ok()?, account.get(3)?.parse().ok()?))
}
