//! Memory and CPU time of a process and its descendants.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// The resource usage of a process tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Resident memory in bytes. Shared memory counts once per process.
    pub memory: u64,
    /// CPU time since the start of each process, summed over all cores.
    pub cpu: Duration,
}

/// Returns the resource usage of a process and its descendants.
pub fn of_process_tree(process: i32) -> anyhow::Result<Usage> {
    let mut system = System::new_with_specifics(RefreshKind::nothing())?;
    let kind = ProcessRefreshKind::nothing().with_memory().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let root = Pid::from(usize::try_from(process)?);
    let is_in_tree = |mut pid: Pid| loop {
        if pid == root {
            return true;
        }
        match system.process(pid).and_then(|process| process.parent()) {
            Some(parent) => pid = parent,
            None => return false,
        }
    };
    // On Linux, threads are listed too, each with the memory of its process.
    let processes = system.processes().values().filter(|process| process.thread_kind().is_none());
    let mut usage = Usage { memory: 0, cpu: Duration::ZERO };
    for process in processes.filter(|process| is_in_tree(process.pid())) {
        usage.memory += process.memory();
        usage.cpu += exact_cpu(process.pid())
            .unwrap_or_else(|| Duration::from_millis(process.accumulated_cpu_time()));
        usage.cpu += cpu_of_ended_children(process.pid()).unwrap_or_default();
    }
    Ok(usage)
}

/// Returns the CPU time of a single-threaded process in nanoseconds, on Linux.
///
/// `accumulated_cpu_time` has a resolution of 10 ms there. In a measurement of two seconds, each of
/// PostgreSQL's 64 processes uses about 10 ms, so their sum would be wrong by some 7 %. `schedstat`
/// has nanoseconds, but only of one thread and not of ended threads.
fn exact_cpu(process: Pid) -> Option<Duration> {
    let directory = Path::new("/proc").join(process.to_string());
    let threads = fs::read_dir(directory.join("task")).ok()?.count();
    let schedstat = fs::read_to_string(directory.join("schedstat")).ok()?;
    let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
    (threads == 1).then(|| Duration::from_nanos(nanoseconds))
}

/// Returns the CPU time of ended children of a process, such as the backends of closed PostgreSQL
/// connections, on Linux.
fn cpu_of_ended_children(process: Pid) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program name, which may contain spaces; `cutime` and `cstime` are the
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

    /// Runs a script until the usage of its processes satisfies `check`. Returns `false` after ten
    /// seconds.
    fn reaches(script: &str, check: impl Fn(Usage) -> bool) -> bool {
        let mut shell = Command::new("sh");
        let mut child = shell.args(["-c", script]).process_group(0).spawn().unwrap();
        let (root, start) = (Pid::from_child(&child), Instant::now());
        let mut reached = false;
        while !reached && start.elapsed() < Duration::from_secs(10) {
            reached = check(of_process_tree(root.as_raw_nonzero().get()).unwrap());
        }
        kill_process_group(root, Signal::KILL).unwrap();
        child.wait().unwrap();
        reached
    }

    #[test]
    fn memory_of_descendants_is_counted() {
        // `tail` holds the data in memory because `sleep` does not read it.
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
        let cpu = of_process_tree(root.as_raw_nonzero().get()).unwrap().cpu;
        kill_process_group(root, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(cpu > Duration::from_millis(30), "{cpu:?}");
    }
}
