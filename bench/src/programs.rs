//! External programs: located, built or installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use katas_host::local::process::{cargo, die_with_parent};
use rustix::process::Signal;

use crate::paths::{output_directory, root};

/// The version of oha to install.
pub const OHA_VERSION: &str = "1.16.0";

/// Runs a command and returns its standard output. Fails with its standard error if the command
/// fails.
pub fn run(mut command: Command) -> anyhow::Result<String> {
    die_with_parent(&mut command, Signal::TERM);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", stderr.trim());
    Ok(stdout.into_owned())
}

/// Returns the path of the host. If it only has to work, the profile of `cargo run` suffices, which
/// compiles faster.
pub fn katas(must_be_fast: bool) -> PathBuf {
    let directory = if must_be_fast { "optimized" } else { "debug" };
    root().join("target").join(directory).join("katas")
}

/// Builds the host.
pub fn build_katas(must_be_fast: bool) -> anyhow::Result<()> {
    let profile = if must_be_fast { "optimized" } else { "dev" };
    let mut build = cargo();
    build.current_dir(root());
    build.args(["build", "--quiet", "--package", "katas-host", "--bin", "katas"]);
    build.args(["--profile", profile]);
    run(build).map(drop)
}

/// Returns the path of oha, and installs it first if necessary. If it only has to work, a debug build
/// suffices, which compiles faster.
pub fn oha(must_be_fast: bool) -> anyhow::Result<PathBuf> {
    let release = output_directory().join("tools");
    let debug = output_directory().join("tools-debug");
    let is_installed = |tools: &Path| {
        let mut version = Command::new(tools.join("bin/oha"));
        version.arg("--version");
        run(version).is_ok_and(|version| version.trim() == format!("oha {OHA_VERSION}"))
    };
    let tools = if must_be_fast || is_installed(&release) { release } else { debug };
    if !is_installed(&tools) {
        let mut install = cargo();
        install.current_dir(root());
        install.args(["install", "oha", "--locked", "--quiet", "--version", OHA_VERSION]);
        if !must_be_fast {
            install.arg("--debug");
        }
        install.arg("--root").arg(&tools);
        run(install)?;
    }
    Ok(tools.join("bin/oha"))
}

/// Returns the path of a program in the Python environment of the FastAPI peer.
pub fn python(program: &str) -> PathBuf {
    output_directory().join("python/bin").join(program)
}

/// Returns whether Python is installed.
pub fn has_python() -> bool {
    let mut version = Command::new("python3");
    version.arg("--version");
    run(version).is_ok()
}

/// Creates a Python environment with the requirements of the FastAPI peer.
pub fn install_python() -> anyhow::Result<()> {
    let environment = output_directory().join("python");
    let requirements = root().join("bench/peers/fastapi/requirements.txt");
    let installed = environment.join("requirements.txt");
    let is_current = std::fs::read(&installed).ok() == Some(std::fs::read(&requirements)?);
    if !is_current {
        let mut create = Command::new("python3");
        create.args(["-m", "venv", "--clear"]).arg(&environment);
        run(create)?;
        let mut install = Command::new(python("pip"));
        install
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements);
        run(install)?;
        std::fs::copy(&requirements, &installed)?;
    }
    Ok(())
}

/// Returns the path of a PostgreSQL client program, if it is installed.
pub fn postgres(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    directories.extend(debian.map(|version| version.path().join("bin")));
    directories
        .into_iter()
        .map(|directory| directory.join(program))
        .find(|path| Path::is_file(path))
}
