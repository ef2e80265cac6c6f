//! The bundled PostgreSQL 17, for machines without an installed one: the runtime in the crates
//! `pglite-rs-lib-…`, an ordinary server with plpgsql and no other extension. cargo downloads it
//! with the other dependencies. It has one limitation: timeouts (`statement_timeout`,
//! `lock_timeout` and the like) can be set but never fire.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The target triple of this machine and the SHA-256 of its runtime.
const RUNTIME: Option<(&str, &str)> = {
    const X86_64: bool = cfg!(target_arch = "x86_64");
    const AARCH64: bool = cfg!(target_arch = "aarch64");
    const LINUX: bool = cfg!(all(target_os = "linux", target_env = "gnu"));
    const MACOS: bool = cfg!(target_os = "macos");
    if X86_64 && LINUX {
        Some((
            "x86_64-unknown-linux-gnu",
            "e3fb68210df2e40e534a5db9886a4af5d56d4ef9ca30adeefd437069bda95073",
        ))
    } else if AARCH64 && LINUX {
        Some((
            "aarch64-unknown-linux-gnu",
            "43e7cb060965465db4eb79080d171f6b00f7e137d3aeba94f3c05de64cc805a9",
        ))
    } else if X86_64 && MACOS {
        Some((
            "x86_64-apple-darwin",
            "799a11b915d3dd17a8538ac2367e77834b9e198c6aabbce90b58d53ac9b4adb2",
        ))
    } else if AARCH64 && MACOS {
        Some((
            "aarch64-apple-darwin",
            "d269fc00265ac02b776878ebc8576c7fe6ca5be3d1387e15d5aa969aeaec62ee",
        ))
    } else {
        None
    }
};

/// Unpacks the runtime into `folder` unless it is already there. Returns the directory of its
/// programs.
pub(super) fn unpack(folder: &Path) -> anyhow::Result<PathBuf> {
    let (target, checksum) = RUNTIME.context("no bundled PostgreSQL for this platform")?;
    let home = folder.join(format!("postgresql-{}", &checksum[..12]));
    if !home.exists() {
        let archive = fs::read(archive(target)?)?;
        ensure!(
            hex(&Sha256::digest(&archive)) == checksum,
            "checksum mismatch in the bundled PostgreSQL for {target}"
        );
        // Unpacked elsewhere and then renamed: another process may be unpacking too, and either may
        // be killed.
        let partial = folder.join(format!("unpacking-{}", std::process::id()));
        fs::create_dir_all(&partial)?;
        tar::Archive::new(zstd::Decoder::new(archive.as_slice())?).unpack(&partial)?;
        if fs::rename(&partial, &home).is_err() {
            fs::remove_dir_all(&partial)?;
        }
    }
    Ok(home.join("bin"))
}

/// Returns the path of the runtime's archive in cargo's registry.
fn archive(target: &str) -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }

    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
    }

    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", target])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .map_err(|error| {
            anyhow!("cannot run cargo: {error}; install Rust from https://rustup.rs")
        })?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
    let name = format!("pglite-rs-lib-{target}");
    let package = metadata.packages.into_iter().find(|package| package.name == name);
    let Some(package) = package else { bail!("{name} is not a dependency") };
    let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
    Ok(folder.join("lib/pglite-runtime.tar.zst"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
