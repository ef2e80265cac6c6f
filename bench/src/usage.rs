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
        usage.cpu += cpu_of_ended_children(process.pid()).unwrap_or_default();
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

/// The CPU time of the children of a process that have ended, on Linux: connections of PostgreSQL
/// that were closed, for example.
fn cpu_of_ended_children(process: Pid) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name, which may have spaces; `cutime` and `cstime` are the
    // 16th and 17th (proc_pid_stat(5)), in ticks of 10 ms.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<u64>);
    Some(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::*;

    /// Runs a script until what its processes use satisfies `check`; `false` after ten seconds.
    fn reaches(script: &str, check: impl Fn(Usage) -> bool) -> bool {
        let mut shell = Command::new("sh");
        let mut child = shell.args(["-c", script]).process_group(0).spawn().unwrap();
        let (root, start) = (Pid::from_child(&child), Instant::now());
        let mut reached = false;
        while !reached && start.elapsed() < Duration::from_secs(10) {
            reached = check(of(root.as_raw_nonzero().get()).unwrap());
        }
        kill_process_group(root, Signal::KILL).unwrap();
        child.wait().unwrap();
        reached
    }

    #[test]
    fn memory_of_descendants_is_counted() {
        // `tail` keeps what `sleep` does not read.
        let script = "head -c 67108864 /dev/zero | tail -c 67108864 | sleep 60";
        assert!(reaches(script, |usage| usage.memory > 32 << 20));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn cpu_time_below_a_tick_is_counted() {
        // Starting `sleep` takes less than a tick of 10 ms.
        assert!(reaches("exec sleep 60", |usage| !usage.cpu.is_zero()));
    }
    #[test]
    #[cfg(target_os = "linux")]
    fn cpu_time_of_ended_children_is_counted() {
        let script = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo; sleep 60";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdout(Stdio::piped()).process_group(0);
        let mut child = shell.spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let root = Pid::from_child(&child);
        let cpu = of(root.as_raw_nonzero().get()).unwrap().cpu;
        kill_process_group(root, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(cpu > Duration::from_millis(30), "{cpu:?}");
    }
}
