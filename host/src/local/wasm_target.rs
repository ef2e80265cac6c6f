//! The compiler's target wasm32-wasip2: installed when it is missing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::Report;

/// For machines that cannot reach rustup's server.
const FROM_SOURCE: &str = include_str!("wasm-target-from-source.sh");

/// Makes sure that the compiler in use in `folder` can build for wasm32-wasip2.
pub(super) async fn ensure(folder: &Path, report: Report<'_>) -> anyhow::Result<()> {
    let sysroot = sysroot(folder).await?;
    if is_installed(&sysroot) {
        return Ok(());
    }
    report("Installing", "the target wasm32-wasip2");
    let rustup = Command::new("rustup")
        .args(["target", "add", "wasm32-wasip2"])
        .current_dir(folder)
        .kill_on_drop(true)
        .output()
        .await;
    if rustup.is_ok_and(|output| output.status.success()) && is_installed(&sysroot) {
        return Ok(());
    }
    if Path::new("/usr/bin/apt-get").exists() {
        report("Building", "the target wasm32-wasip2 from Debian's source of this compiler");
        if from_source(folder).await.is_ok() && is_installed(&sysroot) {
            return Ok(());
        }
    }
    bail!("the target wasm32-wasip2 is missing; run `rustup target add wasm32-wasip2`")
}

async fn sysroot(folder: &Path) -> anyhow::Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(folder)
        .output()
        .await
        .context("rustc was not found; install Rust from https://rustup.rs")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn is_installed(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib/wasm32-wasip2/lib");
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    std::fs::read_dir(libraries).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_str().is_some_and(is_std)))
    })
}

async fn from_source(folder: &Path) -> anyhow::Result<()> {
    let mut shell = Command::new("sh")
        .arg("-s")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    shell.stdin.take().context("no stdin")?.write_all(FROM_SOURCE.as_bytes()).await?;
    anyhow::ensure!(shell.wait().await?.success(), "the script failed");
    Ok(())
}
