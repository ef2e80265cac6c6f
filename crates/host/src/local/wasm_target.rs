//! The compilation targets of components.

use std::path::Path;

use anyhow::{anyhow, bail};
use tokio::process::Command;

use super::Report;
use super::process::remove_secrets;

/// Installs a target with rustup, unless the toolchain in use in `folder` has it.
pub(super) async fn ensure(folder: &Path, target: &str, report: Report<'_>) -> anyhow::Result<()> {
    if is_installed(folder, target).await? {
        return Ok(());
    }
    report("Installing", &format!("the target {target}"));
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]).current_dir(folder).kill_on_drop(true);
    remove_secrets(rustup.as_std_mut());
    let output = rustup.output().await;
    let cause = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let error = stderr.lines().find_map(|line| line.strip_prefix("error: "));
            error.map_or_else(|| format!("rustup: {}", output.status), str::to_owned)
        }
        Err(error) => format!("cannot run rustup: {error}"),
    };
    bail!(
        "cannot install {target}, the compilation target of the components: {cause}; run `rustup \
         target add {target}` in {} with access to the network",
        folder.display()
    )
}

async fn is_installed(folder: &Path, target: &str) -> anyhow::Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(folder);
    remove_secrets(rustc.as_std_mut());
    let output = rustc.output().await.map_err(|error| {
        anyhow!("cannot run rustc: {error}; install Rust from https://rustup.rs")
    })?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
