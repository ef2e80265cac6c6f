//! How much memory and processor time a process and all below it have taken.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// What a tree of processes has taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Resident, in bytes. What processes share is counted for each.
    pub memory: u64,
    /// Since each of them began, on all cores together.
    pub cpu: Duration,
}

/// What a process and all that descend from it have taken.
pub fn of(process: i32) -> anyhow::Result<Usage> {
    let mut system = System::new_with_specifics(RefreshKind::nothing())?;
    let kind = ProcessRefreshKind::nothing().with_memory().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let root = Pid::from(usize::try_from(process)?);
    let belongs = |mut pid: Pid| loop {
        if pid == root {
            return true;
        }
        match system.process(pid).and_then(|process| process.parent()) {
            Some(parent) => pid = parent,
            None => return false,
        }
    };
    // Linux lists threads as tasks of their own, with the memory of the process.
    let processes = system.processes().values().filter(|it| it.thread_kind().is_none());
    let mut usage = Usage { memory: 0, cpu: Duration::ZERO };
    for process in processes.filter(|it| belongs(it.pid())) {
        usage.memory += process.memory();
        usage.cpu += exact_cpu(process.pid())
            .unwrap_or_else(|| Duration::from_millis(process.accumulated_cpu_time()));
    }
    Ok(usage)
}

/// The CPU time of a process with a single thread, on Linux.
///
/// `accumulated_cpu_time` counts ticks of 10 ms there. A measurement of two seconds takes about one
/// tick of each of PostgreSQL's 64 processes, so their sum would be wrong by some 7 %. `schedstat`
/// has nanoseconds, but of one thread, and nothing of threads that have ended.
fn exact_cpu(process: Pid) -> Option<Duration> {
    let folder = Path::new("/proc").join(process.to_string());
    let threads = fs::read_dir(folder.join("task")).ok()?.count();
    let schedstat = fs::read_to_string(folder.join("schedstat")).ok()?;
    let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
    (threads == 1).then(|| Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_holds_is_counted() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = of(own).unwrap();
        let held = vec![1_u8; 64 << 20];
        let after = of(own).unwrap();
        assert!(after.memory > before.memory + (32 << 20), "{}", held[1]);
        assert!(after.cpu >= before.cpu);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn cpu_time_below_a_tick_is_counted() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let cpu = of(pid).unwrap().cpu;
        child.kill().unwrap();
        child.wait().unwrap();
        // Starting `sleep` takes less than a tick of 10 ms, and more than nothing.
        assert!(!cpu.is_zero());
    }
}
