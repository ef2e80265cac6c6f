//! Child processes and the signals that end them.

use std::io;
use std::process::{ChildStderr, Command, ExitStatus};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

/// A child process. On Linux, it receives a signal when this process dies, even by SIGKILL.
pub struct Child {
    pid: Pid,
    waiting: JoinHandle<io::Result<ExitStatus>>,
}

impl Child {
    /// Starts the child. It receives `death_signal` when this process dies. Also returns its
    /// standard error if the command pipes it.
    pub fn spawn(
        mut command: Command,
        death_signal: Signal,
    ) -> io::Result<(Child, Option<ChildStderr>)> {
        die_with_parent(&mut command, death_signal);
        // The death signal is sent when the spawning thread ends, so the thread must live as long
        // as the child.
        let (started, start) = mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return Err(io::ErrorKind::Other.into());
                }
            };
            let _ = started.send(Ok((child.id(), child.stderr.take())));
            child.wait()
        });
        let (pid, stderr) = start.recv().map_err(io::Error::other)??;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::Other)?;
        Ok((Child { pid, waiting }, stderr))
    }

    /// Returns the process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Returns whether the process has ended.
    pub fn has_ended(&self) -> bool {
        self.waiting.is_finished()
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            // An error means that the child has ended since.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for the process to end.
    pub fn wait(self) -> io::Result<ExitStatus> {
        self.waiting.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }
}

/// Makes the kernel send `signal` to the command's process when the thread that spawns it ends.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the only way to run code between fork and exec")]
pub fn die_with_parent(command: &mut Command, signal: Signal) {
    use std::os::unix::process::CommandExt;

    let parent = rustix::process::getpid();
    // SAFETY: both calls are async-signal-safe, and neither allocates.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(signal))?;
            // The parent may have died before the call above.
            match rustix::process::getppid() {
                Some(now) if now == parent => Ok(()),
                _ => Err(io::ErrorKind::Other.into()),
            }
        });
    }
}

/// Does nothing: outside Linux, a child outlives a parent that is killed with SIGKILL.
#[cfg(not(target_os = "linux"))]
pub fn die_with_parent(_: &mut Command, _: Signal) {}
