//! Corpora of files, the directory for data of servers, and optional programs of tests. A test that needs
//! a missing program is reported as ignored, with the reason, rather than as passed.
//!
//! The build script of a test crate calls [`detect`]; the test carries
//! `#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the names and the contents of the files in a directory, in the order of the names.
///
/// # Panics
///
/// Panics if a file cannot be read.
pub fn corpus(directory: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(directory).expect("the directory exists");
    let mut files: Vec<_> = files
        .map(|file| {
            let file = file.expect("an entry");
            let content = fs::read(file.path()).expect("the file is readable");
            (file.file_name().into_string().expect("UTF-8"), content)
        })
        .collect();
    files.sort();
    files
}

/// Returns the directory for the data of servers: the one in the variable `TEST_DATA_DIR`, or else the
/// crate's `CARGO_TARGET_TMPDIR`.
///
/// # Panics
///
/// Panics if the variable names no directory, or a relative one: each crate runs its tests elsewhere.
pub fn data_directory(target_tmpdir: &str) -> PathBuf {
    let chosen = env::var_os("TEST_DATA_DIR").filter(|directory| !directory.is_empty());
    let directory = PathBuf::from(chosen.unwrap_or_else(|| target_tmpdir.into()));
    let exists = directory.is_absolute() && directory.is_dir();
    assert!(exists, "TEST_DATA_DIR must be the absolute path of a directory");
    directory
}

/// A program that some tests need.
pub struct Tool {
    /// The `cfg` option that [`detect`] sets if the program is installed.
    pub cfg: &'static str,
    /// The program's file names; one of them suffices.
    pub programs: &'static [&'static str],
    /// Directories to search after those of `PATH`. `*` before `/bin` matches any suffix.
    pub directories: &'static [&'static str],
}

/// Chromium or Chrome.
pub const CHROMIUM: Tool = Tool {
    cfg: "has_chromium",
    programs: &["chromium", "chromium-browser", "google-chrome", "Google Chrome"],
    directories: &["/Applications/Google Chrome.app/Contents/MacOS"],
};

/// `kubectl`, which renders the manifests.
pub const KUBECTL: Tool = Tool { cfg: "has_kubectl", programs: &["kubectl"], directories: &[] };

/// Linters and generators of clients for OpenAPI, which `.ci/openapi/install` installs.
pub const OPENAPI: Tool =
    Tool { cfg: "has_openapi_tools", programs: &["openapi-typescript"], directories: &[] };

/// PgBouncer, which Debian installs outside an ordinary user's `PATH`.
pub const PGBOUNCER: Tool =
    Tool { cfg: "has_pgbouncer", programs: &["pgbouncer"], directories: &["/usr/sbin"] };

/// An installed PostgreSQL, in the directories that `katas_host` searches. The bundled server does
/// not enforce timeouts.
pub const POSTGRES: Tool = Tool {
    cfg: "has_timeouts",
    programs: &["postgres"],
    directories: &[
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
    ],
};

/// `pg_dump`.
pub const PG_DUMP: Tool = Tool { cfg: "has_pg_dump", programs: &["pg_dump"], directories: &[] };

/// PostgreSQL 18, which `katas_host` prefers to an older one.
pub const POSTGRES_18: Tool = Tool {
    cfg: "has_postgres_18",
    programs: &["18/bin/postgres", "postgresql@18/bin/postgres"],
    directories: &["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"],
};

/// Python 3, whose `csv` module is the reference for the CSV reader.
pub const PYTHON: Tool = Tool { cfg: "has_python", programs: &["python3"], directories: &[] };

/// RabbitMQ.
pub const RABBITMQ: Tool = Tool {
    cfg: "has_rabbitmq",
    programs: &["rabbitmq-server"],
    directories: &["/usr/sbin", "/opt/rabbitmq/sbin", "/opt/homebrew/sbin"],
};

/// Spin.
pub const SPIN: Tool = Tool { cfg: "has_spin", programs: &["spin"], directories: &[] };

impl Tool {
    /// Returns the path of the program.
    pub fn find(&self) -> Option<PathBuf> {
        let candidates = self
            .all_directories()
            .into_iter()
            .flat_map(|directory| self.programs.iter().map(move |program| directory.join(program)));
        candidates.into_iter().find(|candidate| candidate.is_file())
    }

    fn all_directories(&self) -> Vec<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let others = self.directories.iter().flat_map(|pattern| expand(pattern));
        env::split_paths(&path).chain(others).collect()
    }
}

/// Sets the `cfg` option of each tool that is installed. Called by build scripts.
pub fn detect(tools: &[Tool]) {
    println!("cargo::rerun-if-env-changed=PATH");
    for tool in tools {
        println!("cargo::rustc-check-cfg=cfg({})", tool.cfg);
        if tool.find().is_some() {
            println!("cargo::rustc-cfg={}", tool.cfg);
        }
        // Installing or removing a program changes its directory.
        for directory in tool.all_directories().iter().filter(|directory| directory.is_dir()) {
            println!("cargo::rerun-if-changed={}", directory.display());
        }
    }
}

/// Sets a `cfg` option if a compilation target is installed. Called by build scripts.
pub fn detect_target(cfg: &str, target: &str) {
    println!("cargo::rustc-check-cfg=cfg({cfg})");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let arguments = ["--print", "target-libdir", "--target", target];
    let Ok(output) = std::process::Command::new(rustc).args(arguments).output() else { return };
    let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    println!("cargo::rerun-if-changed={directory}");
    if Path::new(&directory).is_dir() {
        println!("cargo::rustc-cfg={cfg}");
    }
}

/// Returns the directories that match a pattern.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some(prefix) = pattern.strip_suffix("*/bin") else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = prefix.rsplit_once('/').unwrap_or(("/", prefix));
    let entries = Path::new(parent).read_dir().into_iter().flatten().flatten();
    let versions = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    versions.map(|entry| entry.path().join("bin")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_with_prefix_expands_to_its_versions() {
        let parent = env::temp_dir().join(format!("test-tools-{}", std::process::id()));
        for version in ["pgsql-16", "pgsql-17", "other"] {
            std::fs::create_dir_all(parent.join(version)).unwrap();
        }
        let mut directories = expand(&format!("{}/pgsql-*/bin", parent.display()));
        directories.sort();
        assert_eq!(directories, ["pgsql-16/bin", "pgsql-17/bin"].map(|it| parent.join(it)));
        std::fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn directory_without_pattern_expands_to_itself() {
        assert_eq!(expand("/usr/sbin"), [PathBuf::from("/usr/sbin")]);
    }
}
