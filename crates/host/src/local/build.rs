//! Building the components, as `spin build` does it.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tokio::process::Command;

use super::process::die_with_parent;
use super::{Report, wasm_target};
use crate::manifest::Manifest;

/// Runs the components' build commands. cargo decides what there is to do: wasm that is older than
/// its source does not survive this. Dropped, it stops the command under way.
pub async fn components(manifest: &Manifest, report: Report<'_>) -> anyhow::Result<()> {
    wasm_target::ensure(&manifest.root, report).await?;
    report("Building", "the components");
    let mut done = HashSet::new();
    for (id, component) in &manifest.component {
        let Some(build) = &component.build else { continue };
        let folder = manifest.root.join(build.workdir.as_deref().unwrap_or("."));
        for command in build.commands() {
            if !done.insert((folder.clone(), command)) {
                continue;
            }
            let mut shell = Command::new("sh");
            shell
                .args(["-c", command])
                .current_dir(&folder)
                .kill_on_drop(true)
                // Where `source` in the manifest expects the wasm, whatever is set around us.
                .env("CARGO_TARGET_DIR", workspace(&manifest.root).join("target"))
                // Flags for the machine's own processor do not fit wasm.
                .env_remove("RUSTFLAGS")
                .env_remove("CARGO_ENCODED_RUSTFLAGS");
            die_with_parent(shell.as_std_mut(), Signal::KILL);
            let status =
                shell.status().await.with_context(|| format!("{command}: sh was not found"))?;
            ensure!(status.success(), "the component {id} was not built: `{command}` failed");
        }
    }
    Ok(())
}

/// The folder of the cargo workspace that the manifest is in.
fn workspace(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(folder)
}
