//! How much memory a process and all below it have.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// The resident memory of a process and all that descend from it, in bytes. What they share is
/// counted for each.
pub fn resident(process: i32) -> anyhow::Result<u64> {
    let kind = ProcessRefreshKind::nothing().with_memory();
    let mut system = System::new_with_specifics(RefreshKind::nothing())?;
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
    Ok(processes.filter(|it| belongs(it.pid())).map(|it| it.memory()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_holds_is_counted() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = resident(own).unwrap();
        assert!(before > 0);
        let held = vec![1_u8; 64 << 20];
        assert!(resident(own).unwrap() > before + (32 << 20), "{}", held[1]);
    }
}
