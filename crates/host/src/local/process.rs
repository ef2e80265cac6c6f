//! Child processes that do not outlive this one, however it ends.

use std::io;
use std::process::{ChildStderr, Command, ExitStatus};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

/// A child process. When this process is killed, even with SIGKILL, Linux sends the child the
/// signal that it was started with.
pub struct Child {
    pid: Pid,
    waiting: JoinHandle<io::Result<ExitStatus>>,
}

impl Child {
    /// Starts the child. `last` is what it is sent when this process dies. Its standard error comes
    /// back when the command says that it is piped.
    pub fn spawn(mut command: Command, last: Signal) -> io::Result<(Child, Option<ChildStderr>)> {
        die_with_parent(&mut command, last);
        // A thread that lives for as long as the child does.
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

    /// The process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.waiting.is_finished()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            // An error is a child that has ended since.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end.
    pub fn wait(self) -> io::Result<ExitStatus> {
        self.waiting.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }
}

/// Has the command sent a signal when the thread that starts it ends, with its process at the
/// latest.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the only way to run code between fork and exec")]
pub fn die_with_parent(command: &mut Command, signal: Signal) {
    use std::os::unix::process::CommandExt;

    let parent = rustix::process::getpid();
    // SAFETY: both calls are async-signal-safe, and neither allocates.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(signal))?;
            // The parent may have died before it was asked for.
            match rustix::process::getppid() {
                Some(now) if now == parent => Ok(()),
                _ => Err(io::ErrorKind::Other.into()),
            }
        });
    }
}

/// Elsewhere a child outlives a parent that is killed with SIGKILL, and only then.
#[cfg(not(target_os = "linux"))]
pub fn die_with_parent(_: &mut Command, _: Signal) {}
