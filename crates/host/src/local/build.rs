//! Builds the components, as `spin build` does.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tokio::process::Command;

use super::process::{die_with_parent, remove_secrets};
use super::{Report, wasm_target};
use crate::manifest::Manifest;

/// Runs the components' build commands, each once. cargo rebuilds whatever is out of date. Dropping
/// the future stops the running command.
pub async fn components(manifest: &Manifest, report: Report<'_>) -> anyhow::Result<()> {
    let builds = builds(manifest)?;
    if builds.iter().any(|build| build.command.split_whitespace().any(|word| word == "cargo")) {
        wasm_target::ensure(&manifest.root, report).await?;
    }
    if !builds.is_empty() {
        report("Building", "the components");
    }
    for Build { folder, command, components } in builds {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &command])
            .current_dir(folder)
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
            "cannot build component {}: `{command}` failed: {status}; see its output above",
            components.join(", ")
        );
    }
    Ok(())
}

/// A command to run, and the components that it builds.
#[derive(Debug, PartialEq)]
struct Build<'m> {
    folder: PathBuf,
    command: String,
    components: Vec<&'m str>,
}

/// Returns the build commands. Commands that differ only in the package become one, so that cargo
/// builds the components in parallel.
fn builds(manifest: &Manifest) -> anyhow::Result<Vec<Build<'_>>> {
    let mut builds: Vec<Build> = Vec::new();
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
            let same = |build: &&mut Build| {
                build.folder == folder
                    && (build.command == *command || differs_in_package(&build.command, command))
            };
            match builds.iter_mut().find(same) {
                Some(build) if build.command == *command => build.components.push(id),
                Some(build) => {
                    let package = command.rsplit(' ').next().unwrap_or_default();
                    build.command += &format!(" -p {package}");
                    build.components.push(id);
                }
                None => builds.push(Build {
                    folder: folder.clone(),
                    command: command.clone(),
                    components: vec![id],
                }),
            }
        }
    }
    Ok(builds)
}

/// Returns whether both are the same `cargo build … -p PACKAGE`, except for the packages.
fn differs_in_package(a: &str, b: &str) -> bool {
    fn options(command: &str) -> Option<&str> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_=./".contains(c);
        let plain = command.starts_with("cargo build ") && command.chars().all(is_plain);
        let (options, packages) = command.split_once(" -p ").filter(|_| plain)?;
        packages.split(" -p ").all(|it| !it.is_empty() && !it.contains(' ')).then_some(options)
    }
    options(a).is_some() && options(a) == options(b)
}

/// Returns the root of the cargo workspace that contains `folder`.
fn workspace(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_commands_that_differ_in_the_package_are_joined() {
        let command = |package: &str| format!("cargo build --release -p {package}");
        assert!(differs_in_package(&command("a"), &command("b")));
        assert!(differs_in_package(&format!("{} -p b", command("a")), &command("c")));
        for other in [
            "cargo build -p b",
            "cargo build --release -p b --features x",
            "cargo build --release -p b && make",
            "cargo build --release",
            "make",
        ] {
            assert!(!differs_in_package(&command("a"), other), "{other}");
            assert!(!differs_in_package(other, other) || other.ends_with("-p b"), "{other}");
        }
    }
}
