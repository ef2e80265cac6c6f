//! The machine, and the versions of all that takes part.

use std::collections::BTreeMap;
use std::process::Command;

use serde::{Deserialize, Serialize};
use sysinfo::System;

use crate::paths::root;
use crate::programs::OHA_VERSION;

/// Where the measurements were made.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Machine {
    /// The processor's own name.
    pub processor: String,
    /// How many of its cores there are to use.
    pub cores: usize,
    /// In bytes.
    pub memory: u64,
    /// The operating system.
    pub system: String,
    /// Its kernel.
    pub kernel: String,
    /// The load average of the minute before it began: what else was going on.
    pub load: f64,
    /// The day, UTC.
    pub day: String,
    /// Programs and their versions.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    /// In a few words.
    pub fn describe(&self) -> String {
        let gib = self.memory >> 30;
        format!("{} × {}, {gib} GiB, {}", self.cores, self.processor, self.kernel)
    }

    /// This machine, now.
    pub fn here(postgres: &str) -> anyhow::Result<Machine> {
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
            day: said("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default(),
            versions: versions(postgres),
        })
    }
}

fn versions(postgres: &str) -> BTreeMap<String, String> {
    // What stands behind the comma is where it is installed.
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
        if let Some(version) = said(program, arguments) {
            // "rustc 1.95.0 (…)", "Python 3.11.7"
            let number = version.split_once(' ').map_or(version.as_str(), |(_, number)| number);
            versions.insert(name.to_owned(), number.to_owned());
        }
    }
    let pinned = include_str!("../peers/fastapi/requirements.txt").lines();
    let pinned = pinned.filter_map(|line| line.split_once("=="));
    let named = ["fastapi", "gunicorn", "psycopg", "sqlmodel", "uvicorn"];
    versions.extend(
        pinned
            .filter(|(name, _)| named.contains(name))
            .map(|(name, version)| (name.to_owned(), version.to_owned())),
    );
    versions
}

/// The first line that a program prints; `None` when there is no such program.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
