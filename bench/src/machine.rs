//! The machine and the versions of the programs that take part in a measurement.

use std::collections::BTreeMap;
use std::process::Command;

use serde::{Deserialize, Serialize};
use sysinfo::System;

use crate::paths::root;
use crate::programs::OHA_VERSION;

/// The machine that measurements were made on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Machine {
    /// The processor model.
    pub processor: String,
    /// The number of available cores.
    pub cores: usize,
    /// The size of the memory in bytes.
    pub memory: u64,
    /// The operating system.
    pub system: String,
    /// The version of the kernel.
    pub kernel: String,
    /// The one-minute load average before the run: other activity on the machine.
    pub load: f64,
    /// The date of the run, in UTC.
    pub day: String,
    /// The versions of programs by name.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    /// Describes the machine in one line.
    pub fn describe(&self) -> String {
        let gib = self.memory >> 30;
        format!("{} × {}, {gib} GiB, {}", self.cores, self.processor, self.kernel)
    }

    /// Returns a description of this machine.
    pub fn current(postgres: &str) -> anyhow::Result<Machine> {
        let mut system = System::new()?;
        system.refresh_memory();
        system.refresh_cpu_all();
        let processor = system.cpus().first().map(|cpu| cpu.brand().to_owned());
        Ok(Machine {
            processor: processor.unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: system.total_memory(),
            system: System::long_os_version().unwrap_or_default(),
            kernel: System::kernel_version().unwrap_or_default(),
            load: System::load_average()?.one,
            day: first_line_of("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default(),
            versions: versions(postgres),
        })
    }
}

fn versions(postgres: &str) -> BTreeMap<String, String> {
    // The install location follows the comma.
    let postgres = postgres.split(',').next().unwrap_or_default();
    let mut versions = BTreeMap::from([
        ("katas".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("oha".to_owned(), OHA_VERSION.to_owned()),
        ("PostgreSQL".to_owned(), postgres.trim_start_matches("PostgreSQL ").to_owned()),
    ]);
    for (name, program, arguments) in [
        ("commit", "git", ["rev-parse", "--short", "HEAD"].as_slice()),
        ("Rust", "rustc", &["--version"]),
        ("Spin", "spin", &["--version"]),
        ("Python", "python3", &["--version"]),
    ] {
        if let Some(version) = first_line_of(program, arguments) {
            // "rustc 1.95.0 (…)", "Python 3.11.7"
            let number = version.split_once(' ').map_or(version.as_str(), |(_, number)| number);
            versions.insert(name.to_owned(), number.to_owned());
        }
    }
    let pinned = include_str!("../peers/fastapi/requirements.txt").lines();
    let pinned = pinned.filter_map(|line| line.split_once("=="));
    let listed = ["fastapi", "gunicorn", "psycopg", "sqlmodel", "uvicorn"];
    versions.extend(
        pinned
            .filter(|(name, _)| listed.contains(name))
            .map(|(name, version)| (name.to_owned(), version.to_owned())),
    );
    versions
}

/// Runs a program and returns the first line of its output, or `None` if it fails.
fn first_line_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
