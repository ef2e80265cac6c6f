//! The server's programs and the operating system account that they run as.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, anyhow, bail};
use child_process::Account;

use super::{Options, bundled};
use crate::local::process::remove_secrets;

/// The oldest major version that the migrations support.
const MIN_MAJOR: u32 = 15;

/// The PostgreSQL installation to use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PostgresInstall {
    /// The newest installed PostgreSQL, or the bundled one if none fits.
    Any,
    /// The bundled PostgreSQL.
    Bundled,
}

/// The programs `postgres` and `initdb` of one installation.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    pub(super) major: u32,
    pub(super) description: String,
    pub(super) bundled: bool,
}

impl Programs {
    /// Returns programs that can run the data of major version `existing`, or a new cluster, and
    /// the account to run them as.
    pub(super) fn find(
        options: &Options,
        existing: Option<u32>,
    ) -> anyhow::Result<(Programs, Account)> {
        let fits = |programs: &Programs| existing.is_none_or(|major| major == programs.major);
        // PostgreSQL refuses to run as root.
        let account = Account::other_than_root(&options.folder, &["postgres", "nobody"]);
        if options.install == PostgresInstall::Any
            && let Some(account) = account
            && let Some(programs) = installed().into_iter().find(fits)
        {
            return Ok((programs, account));
        }
        let bundled = bundled::unpack(&options.programs).and_then(|folder| {
            let programs = Programs::detect(folder, "bundled with katas")
                .context("the bundled PostgreSQL does not run on this machine")?;
            Ok(Programs { bundled: true, ..programs })
        });
        let folder = options.folder.display();
        let Some(major) = existing else {
            // The bundled server also runs as root, for a directory that no other account can
            // access.
            let programs = bundled.map_err(|error| {
                anyhow!(
                    "no PostgreSQL found: {error:#}; install version {MIN_MAJOR} or newer or pass \
                     --database-url"
                )
            })?;
            return Ok((programs, account.unwrap_or(Account::Current)));
        };
        let cause = match bundled {
            Ok(programs) if fits(&programs) => {
                return Ok((programs, account.unwrap_or(Account::Current)));
            }
            _ if options.install == PostgresInstall::Bundled => {
                "which is not the bundled one; omit --bundled-postgres".to_owned()
            }
            _ if account.is_none() => format!(
                "which does not run as root, and no other account can access {folder}; choose \
                 another directory with --state"
            ),
            Ok(_) => "which is not installed; install it".to_owned(),
            Err(error) => format!("which is not installed ({error:#}); install it"),
        };
        bail!(
            "the data in {folder} requires PostgreSQL {major}, {cause} or delete the data with --fresh"
        )
    }

    /// Returns the programs in `folder` if it has them. `origin` becomes part of the description.
    fn detect(folder: PathBuf, origin: &str) -> Option<Programs> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let mut command = Command::new(folder.join("postgres"));
        remove_secrets(&mut command);
        let output = command.arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        // "postgres (PostgreSQL) 17.5 (Debian …)"
        let version = text.split_whitespace().nth(2)?.to_owned();
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let description = format!("PostgreSQL {version}, {origin}");
        Some(Programs { folder, major, description, bundled: false })
    }

    /// Returns a command that runs one of the programs.
    pub(super) fn command(&self, program: &str, account: Account) -> Command {
        let mut command = Command::new(self.folder.join(program));
        // Only the variables that locate libraries are passed on: PGDATA, PGPORT, LC_ALL and others
        // would change what the programs do.
        command.env_clear().env("LC_ALL", "C").current_dir("/");
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        account.apply(&mut command);
        command
    }
}

/// Returns the supported installations on this machine, newest first.
fn installed() -> Vec<Programs> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),    // Debian, Ubuntu
        ("/usr", "pgsql-"),             // Red Hat and derivatives
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
    // Links are resolved: only the directory they point to is sure to have all programs.
    let resolve =
        |folder: PathBuf| Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned());
    let mut folders: Vec<_> = folders.into_iter().filter_map(resolve).collect();
    folders.sort();
    folders.dedup();
    let mut found: Vec<_> = folders
        .into_iter()
        .filter_map(|folder| {
            let origin = folder.display().to_string();
            Programs::detect(folder, &origin)
        })
        .filter(|programs| programs.major >= MIN_MAJOR)
        .collect();
    found.sort_by_key(|programs| std::cmp::Reverse(programs.major));
    found
}
