//! Building the components, as `spin build` does it.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::{Report, wasm_target};
use crate::manifest::Manifest;

/// Runs the components' build commands. cargo decides what there is to do: wasm that is older than
/// its source does not survive this.
pub fn components(manifest: &Manifest, report: Report<'_>) -> anyhow::Result<()> {
    wasm_target::ensure(&manifest.root, report)?;
    report("Building", "the components");
    let mut done = HashSet::new();
    for (id, component) in &manifest.component {
        let Some(build) = &component.build else { continue };
        let folder = manifest.root.join(build.workdir.as_deref().unwrap_or("."));
        for command in build.commands() {
            if !done.insert((folder.clone(), command)) {
                continue;
            }
            let status = Command::new("sh")
                .args(["-c", command])
                .current_dir(&folder)
                // Where `source` in the manifest expects the wasm, whatever is set around us.
                .env("CARGO_TARGET_DIR", workspace(&manifest.root).join("target"))
                // Flags for the machine's own processor do not fit wasm.
                .env_remove("RUSTFLAGS")
                .env_remove("CARGO_ENCODED_RUSTFLAGS")
                .status()
                .with_context(|| format!("{command}: sh was not found"))?;
            ensure!(status.success(), "the component {id} was not built: `{command}` failed");
        }
    }
    Ok(())
}

/// The folder of the cargo workspace that the manifest is in.
fn workspace(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(folder)
}
