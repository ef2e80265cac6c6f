//! Programs that are run: found, or built and installed first.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use katas_host::local::process::die_with_parent;
use rustix::process::Signal;

use crate::paths::{folder, root};

/// The version of the load generator.
pub const OHA_VERSION: &str = "1.16.0";

/// Runs a command to its end; fails, with what it said, when the command does.
pub fn complete(mut command: Command) -> anyhow::Result<String> {
    die_with_parent(&mut command, Signal::TERM);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} did not start"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", complained.trim());
    Ok(said.into_owned())
}

/// cargo, as it runs us.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The host as people run it: `cargo run -- up`, without the cargo.
pub fn katas() -> PathBuf {
    root().join("target/debug/katas")
}

/// Builds it.
pub fn build_katas() -> anyhow::Result<()> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "katas-host", "--bin", "katas"]);
    complete(build).map(drop)
}

/// The load generator, installed beside the results when it is not there.
pub fn oha() -> anyhow::Result<PathBuf> {
    let tools = folder().join("tools");
    let program = tools.join("bin/oha");
    let mut ask = Command::new(&program);
    ask.arg("--version");
    let installed = complete(ask).is_ok_and(|it| it.trim() == format!("oha {}", OHA_VERSION));
    if !installed {
        let mut install = cargo();
        install.args(["install", "oha", "--locked", "--quiet", "--version", OHA_VERSION]);
        install.arg("--root").arg(&tools);
        complete(install)?;
    }
    Ok(program)
}

/// Where the Python peer's programs are.
pub fn python(program: &str) -> PathBuf {
    folder().join("python/bin").join(program)
}

/// Whether there is a Python to make an environment with.
pub fn has_python() -> bool {
    let mut ask = Command::new("python3");
    ask.arg("--version");
    complete(ask).is_ok()
}

/// Makes an environment for Python with the peer's requirements.
pub fn install_python() -> anyhow::Result<()> {
    let environment = folder().join("python");
    let wanted = root().join("bench/peers/fastapi/requirements.txt");
    let installed = environment.join("requirements.txt");
    let same = std::fs::read(&installed).ok() == Some(std::fs::read(&wanted)?);
    if !same {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(&environment);
        complete(make)?;
        let mut install = Command::new(python("pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&wanted);
        complete(install)?;
        std::fs::copy(&wanted, &installed)?;
    }
    Ok(())
}

/// A program of PostgreSQL's clients, if it is installed.
pub fn postgres(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(debian.map(|version| version.path().join("bin")));
    folders.into_iter().map(|folder| folder.join(program)).find(|path| Path::is_file(path))
}
