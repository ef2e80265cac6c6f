//! Builds the components, as `spin build` does.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tokio::process::Command;

use super::process::{die_with_parent, remove_secrets};
use super::{Report, wasm_target};
use crate::manifest::Manifest;

/// Runs the components' build commands, each once. cargo rebuilds whatever is out of date. Dropping
/// the future stops the running command.
pub async fn components(manifest: &Manifest, report: Report<'_>) -> anyhow::Result<()> {
    let mut commands = manifest
        .component
        .values()
        .flat_map(|component| component.build.iter().flat_map(|build| build.commands().iter()));
    if commands.clone().any(|command| command.split_whitespace().any(|word| word == "cargo")) {
        wasm_target::ensure(&manifest.root, report).await?;
    }
    if commands.next().is_some() {
        report("Building", "the components");
    }
    let mut done = HashSet::new();
    for (id, component) in &manifest.component {
        let Some(build) = &component.build else { continue };
        let folder = manifest.root.join(build.workdir.as_deref().unwrap_or("."));
        ensure!(
            folder.is_dir(),
            "cannot build component {id}: no directory {}; correct `workdir` in \
             [component.{id}.build]",
            folder.display()
        );
        for command in build.commands() {
            if !done.insert((folder.clone(), command)) {
                continue;
            }
            let mut shell = Command::new("sh");
            shell
                .args(["-c", command])
                .current_dir(&folder)
                .kill_on_drop(true)
                // `source` in the manifest expects the wasm here.
                .env("CARGO_TARGET_DIR", workspace(&manifest.root).join("target"))
                // Flags for the native target are invalid for wasm.
                .env_remove("RUSTFLAGS")
                .env_remove("CARGO_ENCODED_RUSTFLAGS");
            remove_secrets(shell.as_std_mut());
            die_with_parent(shell.as_std_mut(), Signal::KILL);
            let status =
                shell.status().await.with_context(|| format!("cannot run sh for `{command}`"))?;
            ensure!(
                status.success(),
                "cannot build component {id}: `{command}` failed: {status}; see its output above"
            );
        }
    }
    Ok(())
}

/// Returns the root of the cargo workspace that contains `folder`.
fn workspace(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(folder)
}
