//! Runs the application with Spin in place of this host.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::net::TcpStream;

use super::private_file;
use super::process::{Child, remove_secrets};
use crate::Log;
use crate::manifest::Manifest;
use crate::variables::Variables;

/// A `spin up` process. It is stopped on drop.
pub struct Spin(Option<Child>);

/// Checks that the `spin` command is installed.
pub fn ensure_installed() -> anyhow::Result<()> {
    let mut command = Command::new("spin");
    remove_secrets(&mut command);
    match command.arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!("cannot run spin; install it from https://spinframework.dev or omit --engine"),
    }
}

impl Spin {
    /// Starts `spin up` with [`runtime_config`] and waits until it accepts connections.
    ///
    /// `state` is the directory of the runtime configuration. `environment` is set for Spin, not
    /// for the guests. `log` receives the output of both.
    pub async fn start(
        manifest: &Path,
        state: &Path,
        listen: SocketAddr,
        variables: &BTreeMap<String, String>,
        environment: &[(&str, &str)],
        log: Log,
    ) -> anyhow::Result<Spin> {
        let config = state.join("runtime-config.toml");
        let text = runtime_config(&Manifest::read(manifest)?, variables)?;
        private_file::create_directory(state)
            .and_then(|()| private_file::create(&config)?.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = Command::new("spin");
        command.arg("up").arg("--from").arg(manifest);
        command.args(["--listen", &listen.to_string()]);
        command.arg("--runtime-config-file").arg(&config);
        // The runtime configuration contains the value of every variable.
        remove_secrets(&mut command);
        // Otherwise errors that Spin returns to guests may contain a backtrace.
        command.env("RUST_LIB_BACKTRACE", "0");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C in a terminal signals the whole process group; `Drop` sends SIGINT instead.
        command.process_group(0);
        let (child, stderr) = Child::spawn(command, Signal::INT).context("cannot start spin")?;
        std::thread::spawn(move || {
            for line in stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()) {
                log(&line.unwrap_or_default());
            }
        });
        let spin = Spin(Some(child));
        while TcpStream::connect(listen).await.is_err() {
            if spin.has_ended() {
                bail!("spin exited before it accepted connections; see its output above");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(spin)
    }

    /// Returns the process id.
    pub fn process(&self) -> Option<i32> {
        self.0.as_ref().map(Child::id)
    }

    /// Returns whether the process has ended.
    pub fn has_ended(&self) -> bool {
        self.0.as_ref().is_none_or(Child::has_ended)
    }
}

impl Drop for Spin {
    /// Stops the process and waits until it has ended.
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            child.signal(Signal::INT);
            let _ = child.wait();
        }
    }
}

/// Returns a runtime configuration for Spin in which a static provider has a value for every
/// variable of the manifest: from `overrides`, the environment, or the default.
///
/// Spin asks its environment provider for a variable without a static value. It resolves all
/// variables each time a component opens a database connection, so each such variable costs 22 µs
/// and 2.5 futex calls per connection.
pub fn runtime_config(
    manifest: &Manifest,
    overrides: &BTreeMap<String, String>,
) -> anyhow::Result<String> {
    // No log files: they reduce throughput by a third, and `log` receives the lines. Spin 4 rejects
    // the empty `--log-dir` that Spin 3 accepts.
    let mut text = String::from(
        "log_dir = \"\"\n\n[[variables_provider]]\ntype = \"static\"\n\n\
         [variables_provider.values]\n",
    );
    for (name, value) in Variables::resolve(manifest, overrides)?.iter() {
        // A JSON string is a TOML string.
        writeln!(text, "{name} = {}", serde_json::to_string(value)?)?;
    }
    Ok(text)
}
