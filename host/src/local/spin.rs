//! The real Spin, with the database that is ready for it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::process::Child;

/// A `spin up` that runs until it is stopped.
pub(super) struct Spin(Child);

/// Fails with what to do when there is no `spin` command.
pub(super) fn ensure_installed() -> anyhow::Result<()> {
    match Command::new("spin").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!(
            "spin was not found; install it from https://spinframework.dev, or leave out --engine"
        ),
    }
}

impl Spin {
    /// Starts `spin up` and waits until it answers.
    ///
    /// The variables are given by a static provider: under Spin that is a quarter faster than the
    /// environment, and keeps the password out of it.
    pub(super) async fn start(
        manifest: &Path,
        state: &Path,
        listen: SocketAddr,
        variables: &BTreeMap<String, String>,
    ) -> anyhow::Result<Spin> {
        let config = state.join("runtime-config.toml");
        write_config(&config, variables)
            .with_context(|| format!("{} cannot be written", config.display()))?;
        let mut command = Command::new("spin");
        command.arg("up").arg("--from").arg(manifest);
        command.args(["--listen", &listen.to_string()]);
        command.arg("--runtime-config-file").arg(&config);
        command.arg("--log-dir").arg(state.join("logs"));
        // Ctrl-C in a terminal goes to the whole group: we pass it on ourselves.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = Child::spawn(command, Signal::INT).context("spin did not start")?;
        while tokio::net::TcpStream::connect(listen).await.is_err() {
            if child.has_ended() {
                bail!("spin ended before it answered; what it said stands above");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Spin(child))
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    /// Stops it, and waits until it has ended.
    pub(super) fn stop(self) {
        self.0.signal(Signal::INT);
        let _ = self.0.wait();
    }
}

fn write_config(path: &Path, variables: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "[[variables_provider]]\ntype = \"static\"\n\n[variables_provider.values]")?;
    for (name, value) in variables {
        // JSON's strings are TOML's.
        writeln!(file, "{name} = {}", serde_json::to_string(value)?)?;
    }
    Ok(())
}
