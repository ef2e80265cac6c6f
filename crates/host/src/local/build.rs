//! Builds the components, as `spin build` does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tokio::process::Command;

use super::process::{cargo, die_with_parent, remove_secrets};
use super::{Report, wasm_target};
use crate::manifest::Manifest;

/// Runs the components' build commands, each once. cargo rebuilds whatever is out of date. Dropping
/// the future stops the running command.
pub async fn components(manifest: &Manifest, report: Report<'_>) -> anyhow::Result<()> {
    let builds = builds(manifest)?;
    let targets: BTreeSet<_> =
        builds.iter().filter_map(|build| wasm_target(build.options)).collect();
    for target in targets {
        wasm_target::ensure(&manifest.root, target, report).await?;
    }
    if !builds.is_empty() {
        report("Building", "the components");
    }
    for build in builds {
        let command = build.command();
        let mut shell = build_command(std::process::Command::new("sh"), &build.folder);
        // Flags for the native target are invalid for wasm.
        shell.args(["-c", &command]).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let status =
            shell.status().await.with_context(|| format!("cannot run sh for `{command}`"))?;
        ensure!(
            status.success(),
            "cannot build {}: `{command}` failed: {status}; see its output above",
            build.subject()
        );
    }
    Ok(())
}

/// Runs a command in `folder`, without secrets. It uses cargo's default target directory, and ends with
/// this process or when it is dropped.
fn build_command(mut command: std::process::Command, folder: &Path) -> Command {
    // `source` in the manifest expects the wasm in the default directory.
    command.current_dir(folder).env_remove("CARGO_TARGET_DIR");
    remove_secrets(&mut command);
    die_with_parent(&mut command, Signal::KILL);
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command
}

/// Builds a binary of the workspace in `root` and returns its path. Dropping the future stops cargo.
pub async fn binary(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let mut cargo = build_command(cargo(), root);
    let status = cargo.args(["build", "--quiet", "--bin", name]).status().await;
    let status = status.context("cannot run cargo")?;
    ensure!(status.success(), "cannot build {name}: cargo failed: {status}; see its output above");
    Ok(root.join("target/debug").join(name))
}

/// A command to run, and the components that it builds.
struct Build<'m> {
    folder: PathBuf,
    /// The command without the packages.
    options: &'m str,
    packages: Vec<&'m str>,
    components: Vec<&'m str>,
}

impl Build<'_> {
    /// Returns what the command builds.
    fn subject(&self) -> String {
        match self.components[..] {
            [component] => format!("component {component}"),
            _ => "the components".to_owned(),
        }
    }

    fn command(&self) -> String {
        let packages: String = self.packages.iter().map(|name| format!(" -p {name}")).collect();
        format!("{}{packages}", self.options)
    }
}

/// Returns the build commands. Commands that differ only in the packages become one, so that cargo
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
            let (options, packages) = split_packages(command);
            let same = builds.iter_mut().find(|build| {
                (&build.folder, build.options, build.packages.is_empty())
                    == (&folder, options, packages.is_empty())
            });
            match same {
                Some(build) => {
                    build.packages.extend(packages);
                    build.components.push(id);
                }
                None => {
                    let (folder, components) = (folder.clone(), vec![id.as_str()]);
                    builds.push(Build { folder, options, packages, components });
                }
            }
        }
    }
    Ok(builds)
}

/// Splits `cargo build … -p PACKAGE -p PACKAGE` into the part before the packages and the packages.
/// Other commands have no packages.
fn split_packages(command: &str) -> (&str, Vec<&str>) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_=./".contains(c);
    let is_cargo = command.starts_with("cargo build ") && command.chars().all(is_plain);
    let (options, packages) = command.split_once(" -p ").unwrap_or((command, ""));
    let packages: Vec<_> = packages.split(" -p ").collect();
    match is_cargo && packages.iter().all(|name| !name.is_empty() && !name.contains(' ')) {
        true => (options, packages),
        false => (command, Vec::new()),
    }
}

/// Returns the WebAssembly target that a cargo command names.
fn wasm_target(command: &str) -> Option<&str> {
    let mut words = command.split([' ', '=']);
    words.find(|word| *word == "cargo")?;
    words.find(|word| *word == "--target")?;
    words.next().filter(|target| target.starts_with("wasm32-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasm_target_is_the_one_that_a_cargo_command_names() {
        let build = "cargo build --target wasm32-wasip1 --release";
        assert_eq!(wasm_target(build), Some("wasm32-wasip1"));
        assert_eq!(wasm_target("cargo build --target=wasm32-wasip2"), Some("wasm32-wasip2"));
        for other in ["cargo build", "make --target wasm32-wasip2", "cargo build --target x86_64"] {
            assert_eq!(wasm_target(other), None, "{other}");
        }
    }

    #[test]
    fn cargo_commands_that_differ_in_the_packages_are_joined() {
        let joined = "cargo build --release";
        assert_eq!(split_packages("cargo build --release -p a"), (joined, vec!["a"]));
        assert_eq!(split_packages("cargo build --release -p a -p b"), (joined, vec!["a", "b"]));
        assert_eq!(split_packages("cargo build -p b"), ("cargo build", vec!["b"]));
        for other in [
            "cargo build --release -p b --features x",
            "cargo build --release -p b && make",
            "cargo build --release",
            "make",
        ] {
            assert_eq!(split_packages(other), (other, vec![]));
        }
    }
}
