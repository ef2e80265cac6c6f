//! The server's programs, and the account that they run as.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use super::{Options, bundled};

/// The oldest version whose data and SQL are those of the migrations.
const OLDEST: u32 = 15;

/// Which programs may be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// What is installed, or else what comes with this crate.
    Any,
    /// Only what comes with this crate.
    Bundled,
}

/// `postgres` and `initdb` of one version.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    pub(super) major: u32,
    pub(super) description: String,
}

/// Who the server runs as: another account when we are root, as PostgreSQL asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Account {
    /// Who we are.
    Ours,
    /// An account without rights.
    Other { user: u32, group: u32 },
}

impl Programs {
    /// Programs for the data of version `existing`, or for new ones, and the account to run as.
    pub(super) fn find(
        options: &Options,
        existing: Option<u32>,
    ) -> anyhow::Result<(Programs, Account)> {
        let fits = |programs: &Programs| existing.is_none_or(|major| major == programs.major);
        let unprivileged = unprivileged(&options.folder);
        if options.source == Source::Any
            && let Some(account) = unprivileged
            && let Some(programs) = installed().into_iter().find(fits)
        {
            return Ok((programs, account));
        }
        let bundled = bundled::unpack(&options.programs);
        match (bundled, existing) {
            (Ok(programs), _) if fits(&programs) => {
                // These run as root as well, where nobody else gets through to the folder.
                Ok((programs, unprivileged.unwrap_or(Account::Ours)))
            }
            (_, Some(major)) => bail!(
                "the data in {} are of PostgreSQL {major}, which is not installed: install it, or \
                 start over with --fresh",
                options.folder.display()
            ),
            (Err(error), None) => {
                Err(error
                    .context("no PostgreSQL: install version 15 or newer, or give --database-url"))
            }
            (Ok(_), None) => bail!("no PostgreSQL fits"),
        }
    }

    pub(super) fn at(folder: PathBuf, origin: &str) -> Option<Programs> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        // "postgres (PostgreSQL) 17.5 (Debian …)"
        let version = text.split_whitespace().nth(2)?.to_owned();
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let description = format!("PostgreSQL {version}, {origin}");
        Some(Programs { folder, major, description })
    }

    /// A command that runs one of the programs.
    pub(super) fn command(&self, program: &str, account: Account) -> Command {
        let mut command = Command::new(self.folder.join(program));
        // Of the environment only what finds the libraries: PGDATA, PGPORT and LC_ALL would count.
        command.env_clear().env("LC_ALL", "C").current_dir("/");
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Account::Other { user, group } = account {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Account {
    /// Gives a file to the account.
    pub(super) fn own(self, path: &Path) -> anyhow::Result<()> {
        if let Account::Other { user, group } = self {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }
}

/// Who can run a server that refuses root, with its files in `folder`; `None` when nobody can.
fn unprivileged(folder: &Path) -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return Some(Account::Ours);
    }
    // Somebody else has to get through to it.
    let passable = |folder: &Path| {
        fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    };
    let folder = folder.canonicalize().ok()?;
    let (user, group) = ids("postgres").or_else(|| ids("nobody"))?;
    folder.ancestors().all(passable).then_some(Account::Other { user, group })
}

/// User and group of an account, from /etc/passwd.
fn ids(name: &str) -> Option<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let account = fields.find(|fields| fields.first() == Some(&name))?;
    Some((account.get(2)?.parse().ok()?, account.get(3)?.parse().ok()?))
}

/// What is installed on this machine, the newest first.
fn installed() -> Vec<Programs> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),    // Debian, Ubuntu
        ("/usr", "pgsql-"),             // Red Hat's family
        ("/usr/libexec", "postgresql"), // Alpine
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/Applications/Postgres.app/Contents/Versions", ""),
    ] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let versions = entries.filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix))
        });
        for version in versions {
            folders.extend([version.path().join("bin"), version.path()]);
        }
    }
    // The folder that a link leads to has all of the programs.
    let real =
        |folder: PathBuf| Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned());
    let mut folders: Vec<_> = folders.into_iter().filter_map(real).collect();
    folders.sort();
    folders.dedup();
    let mut found: Vec<_> = folders
        .into_iter()
        .filter_map(|folder| {
            let origin = folder.display().to_string();
            Programs::at(folder, &origin)
        })
        .filter(|programs| programs.major >= OLDEST)
        .collect();
    found.sort_by_key(|programs| std::cmp::Reverse(programs.major));
    found
}
