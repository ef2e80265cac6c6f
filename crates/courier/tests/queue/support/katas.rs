//! The real application as a process.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use child_process::Child;
use rustix::process::Signal;
use tempfile::TempDir;

use super::Bed;

/// Returns the root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root")
}

/// A running `katas up`. Killed when this process dies.
pub struct Katas {
    folder: TempDir,
    address: SocketAddr,
    /// The URL of the database for `katas_app`.
    database: String,
    child: Option<Child>,
}

impl Katas {
    /// Builds the program, which cargo does not if it runs only the tests of this package, and starts it.
    pub async fn start(bed: &Bed) -> Katas {
        let mut build = child_process::cargo();
        build.args(["build", "--quiet", "--workspace", "--bin", "katas"]).current_dir(root());
        assert!(build.status().expect("run cargo").success());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let mut katas = Katas {
            folder: super::folder("katas"),
            address: listener.local_addr().expect("address"),
            database: bed.application_database.clone(),
            child: None,
        };
        drop(listener);
        katas.run().await;
        katas
    }

    /// Starts the process, and waits until it serves.
    pub async fn run(&mut self) {
        let program = Path::new(env!("CARGO_BIN_EXE_courier")).with_file_name("katas");
        let mut command = Command::new(program);
        command
            .current_dir(root())
            .args(["up", "--listen", &self.address.to_string(), "--database-url", &self.database])
            .args(["--queue", "none"])
            .arg("--state")
            .arg(self.folder.path())
            .env_remove("DATABASE_URL")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let (child, stderr) = Child::spawn(command, Signal::KILL).expect("start katas");
        let (serves, is_serving) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut serves = Some(serves);
            let mut log = String::new();
            for line in BufReader::new(stderr.expect("piped")).lines().map_while(Result::ok) {
                if line.contains("Serving ") {
                    serves.take().map(|it| it.send(Ok(())));
                }
                if serves.is_some() {
                    log = log + &line + "\n";
                }
            }
            serves.take().map(|it| it.send(Err(log)));
        });
        is_serving.await.expect("a result").expect("katas serves");
        self.child = Some(child);
    }

    pub fn kill(&mut self) {
        let child = self.child.take().expect("katas runs");
        child.signal(Signal::KILL);
        child.wait().expect("wait");
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn database(&self) -> &str {
        &self.database
    }
}
