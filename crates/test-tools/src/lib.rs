//! For the build scripts of test crates: detects optional programs, so that a test that needs a
//! missing one is reported as ignored, with the reason, rather than as passed.
//!
//! The build script calls [`detect`]; the test carries
//! `#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]`.

use std::env;
use std::path::{Path, PathBuf};

/// A program that some tests need.
pub struct Tool {
    /// The name in `has_<name>`.
    pub name: &'static str,
    /// File names of the program; one of them is enough.
    pub programs: &'static [&'static str],
    /// Folders to search after those of `PATH`; the last component may be a prefix that ends in
    /// `*`, followed by `/bin`.
    pub folders: &'static [&'static str],
    /// Whether the build fails without it in CI, which sets `CI`.
    pub required_in_ci: bool,
}

/// Chromium or Chrome, driven by the tests of the page.
pub const CHROMIUM: Tool = Tool {
    name: "chromium",
    programs: &["chromium", "chromium-browser", "google-chrome", "Google Chrome"],
    folders: &["/Applications/Google Chrome.app/Contents/MacOS"],
    required_in_ci: true,
};

/// `kubectl`, whose Kustomize renders the manifests.
pub const KUBECTL: Tool =
    Tool { name: "kubectl", programs: &["kubectl"], folders: &[], required_in_ci: true };

/// PgBouncer, which Debian installs outside of an ordinary user's `PATH`.
pub const PGBOUNCER: Tool = Tool {
    name: "pgbouncer",
    programs: &["pgbouncer"],
    folders: &["/usr/sbin"],
    required_in_ci: true,
};

/// An installed PostgreSQL, in the folders that `katas_host` searches: the bundled one has no
/// timers, so its timeouts never fire.
pub const POSTGRES: Tool = Tool {
    name: "postgres",
    programs: &["postgres"],
    folders: &[
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
    ],
    required_in_ci: true,
};

/// Spin. Package registries do not have it, so CI without it ignores its tests.
pub const SPIN: Tool =
    Tool { name: "spin", programs: &["spin"], folders: &[], required_in_ci: false };

/// Sets the configuration `has_<name>` for each tool that is installed.
pub fn detect(tools: &[Tool]) {
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CI");
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = env::split_paths(&path).collect();
    for tool in tools {
        println!("cargo::rustc-check-cfg=cfg(has_{})", tool.name);
        let folders: Vec<PathBuf> =
            path.iter().cloned().chain(tool.folders.iter().flat_map(|it| expand(it))).collect();
        let is_installed = folders
            .iter()
            .any(|folder| tool.programs.iter().any(|program| folder.join(program).is_file()));
        if is_installed {
            println!("cargo::rustc-cfg=has_{}", tool.name);
        } else if tool.required_in_ci && env::var_os("CI").is_some() {
            println!("cargo::error={} is not installed; CI runs every test", tool.name);
        }
        // A program that is installed or removed changes its folder.
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            println!("cargo::rerun-if-changed={}", folder.display());
        }
    }
}

/// The folders of a pattern: itself, or one for each entry with the prefix before `*/bin`.
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
        let mut folders = expand(&format!("{}/pgsql-*/bin", parent.display()));
        folders.sort();
        assert_eq!(folders, ["pgsql-16/bin", "pgsql-17/bin"].map(|it| parent.join(it)));
        std::fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn folder_without_pattern_expands_to_itself() {
        assert_eq!(expand("/usr/sbin"), [PathBuf::from("/usr/sbin")]);
    }
}
