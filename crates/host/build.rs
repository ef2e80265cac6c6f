//! Locates the archive of the bundled PostgreSQL, so that it can be embedded.
//!
//! The dependency that contains the archive does not expose its path, so `cargo metadata` locates
//! it for a generated package without other dependencies. Unlike those of this workspace, all
//! packages of that graph have been downloaded when this script runs: no network is required.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of the crates `pglite-rs-lib-…`, as in the workspace's Cargo.toml.
const VERSION: &str = "0.2.7";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(bundled_postgres)");
    let target = env::var("TARGET").unwrap_or_default();
    let supported = [
        "aarch64-apple-darwin",
        "aarch64-unknown-linux-gnu",
        "x86_64-apple-darwin",
        "x86_64-unknown-linux-gnu",
    ];
    if !supported.contains(&target.as_str()) {
        return;
    }
    match locate(&format!("pglite-rs-lib-{target}")) {
        Ok(package) => {
            println!("cargo::rustc-cfg=bundled_postgres");
            println!("cargo::rustc-env=BUNDLED_POSTGRES_VERSION={VERSION}");
            let archive = package.join("lib/pglite-runtime.tar.zst");
            println!("cargo::rustc-env=BUNDLED_POSTGRES={}", archive.display());
            // The directory changes with the registry, its mirror, or CARGO_HOME.
            println!("cargo::rerun-if-changed={}", archive.display());
        }
        Err(error) => println!("cargo::error=cannot locate the bundled PostgreSQL: {error}"),
    }
}

/// Returns the directory of the dependency `name`.
fn locate(name: &str) -> Result<PathBuf, String> {
    let folder = Path::new(&env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("locate");
    let manifest = folder.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"locate\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]\n{name} = \"={VERSION}\"\n"
    );
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("lib.rs"), ""))
        .and_then(|()| fs::write(&manifest, text))
        .map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
    let output = Command::new(env::var_os("CARGO").ok_or("CARGO is not set")?)
        .args(["metadata", "--format-version=1", "--offline", "--manifest-path"])
        .arg(&manifest)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // The paths are JSON strings. On the supported platforms, JSON escapes only paths with a quote
    // or a backslash, which rustc's environment cannot pass on either.
    let mut paths = stdout.split("\"manifest_path\":\"").skip(1);
    let path = paths.find_map(|rest| {
        let path = Path::new(rest.split('"').next()?).parent()?;
        (path != folder).then(|| path.to_owned())
    });
    path.ok_or_else(|| format!("cargo metadata: {}", stderr.trim().replace('\n', " ")))
}
