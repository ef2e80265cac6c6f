//! `courier` as a process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Bed;

/// A running `courier`. Killed on drop.
pub struct Courier {
    child: Child,
    log: Receiver<Value>,
}

/// Returns a command with the addresses of a bed.
pub fn command(bed: &Bed, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_courier"));
    command
        .args(arguments)
        .env_remove("API_TOKEN")
        .env("DATABASE_URL", &bed.database)
        .env("AMQP_URL", bed.amqp.as_deref().unwrap_or_default())
        .env("COURIER_APPLICATION_URL", bed.application.url());
    command
}

/// Runs a command to its end.
pub fn run(bed: &Bed, arguments: &[&str]) -> Output {
    command(bed, arguments).output().expect("run courier")
}

impl Courier {
    pub fn start(mut command: Command) -> Courier {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("start courier");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("a line of JSON"));
            }
        });
        Courier { child, log }
    }

    /// Waits for an event, and returns it.
    pub fn event(&self, name: &str) -> Value {
        loop {
            let event = self.log.recv_timeout(Duration::from_secs(60)).expect("another event");
            if event["event"] == name {
                return event;
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("send a signal");
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("wait")
    }

    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.wait();
    }

    /// Returns the resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let mut status = String::new();
        let file = std::fs::File::open(format!("/proc/{}/status", self.child.id()));
        file.expect("procfs").read_to_string(&mut status).expect("read");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
