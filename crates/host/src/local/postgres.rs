//! A PostgreSQL on this machine, for this project alone.
//!
//! The server's programs are those that are installed, version 15 or newer, or else those of
//! PostgreSQL 17 that come with this crate. It listens on loopback, asks for passwords, keeps its
//! files in one folder, and belongs to one process at a time.

mod bundled;
mod programs;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, test_kill_process};
use tokio_postgres::NoTls;

use super::process::Child;
pub use programs::Source;
use programs::{Account, Programs};

/// The database that there is from the start.
pub const DATABASE: &str = "katas";
/// The administrator.
pub const ADMINISTRATOR: &str = "postgres";

/// The file in the folder that says which process it belongs to.
const LOCK: &str = "lock";

/// How a server is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its files are. Made when it is missing.
    pub folder: PathBuf,
    /// Where the programs that come with this crate are unpacked.
    pub programs: PathBuf,
    /// Which programs may be used.
    pub source: Source,
    /// Whether to delete what is there and begin with an empty server.
    pub fresh: bool,
    /// Whether its data need not survive a power failure: for tests.
    pub ephemeral: bool,
}

/// A server that runs until it is stopped or dropped.
pub struct Postgres {
    options: Options,
    programs: Programs,
    account: Account,
    password: String,
    port: u16,
    child: Option<Child>,
    lock: File,
}

impl Postgres {
    /// Starts the server, with yesterday's data if there are any.
    pub async fn start(options: Options) -> anyhow::Result<Postgres> {
        let lock = lock(&options.folder)?;
        Postgres::start_locked(options, lock).await
    }

    /// Starts an empty server for tests, in a folder under `parent` that no other process is using.
    pub async fn start_empty(
        parent: &Path,
        source: Source,
        ephemeral: bool,
    ) -> anyhow::Result<Postgres> {
        let mut folders = (0..100).map(|number| parent.join(format!("postgres-{number}")));
        let (folder, lock) = folders
            .find_map(|folder| lock(&folder).ok().map(|lock| (folder, lock)))
            .with_context(|| format!("no folder in {} is free", parent.display()))?;
        let programs = parent.join("programs");
        let options = Options { folder, programs, source, fresh: true, ephemeral };
        Postgres::start_locked(options, lock).await
    }

    async fn start_locked(options: Options, lock: File) -> anyhow::Result<Postgres> {
        let folder = &options.folder;
        if options.fresh {
            clear(folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        let existing = existing_version(folder)?;
        let (programs, account) = Programs::find(&options, existing)?;
        let password = match existing {
            Some(_) => fs::read_to_string(folder.join("password"))
                .context("the database's password is missing; start over with --fresh")?,
            None => initialise(&options, &programs, account)?,
        };
        let mut postgres =
            Postgres { options, programs, account, password, port: 0, child: None, lock };
        postgres.run().await?;
        postgres.ensure_database().await?;
        Ok(postgres)
    }

    /// What runs: its version and where its programs are from.
    pub fn description(&self) -> &str {
        &self.programs.description
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    pub fn process(&self) -> Option<i32> {
        self.child.as_ref().map(Child::id)
    }

    /// The file that its log goes to.
    pub fn log(&self) -> PathBuf {
        self.options.folder.join("log")
    }

    /// A connection string for the administrator.
    pub fn administrator(&self, database: &str) -> String {
        self.url(ADMINISTRATOR, &self.password, database)
    }

    /// A connection string. Passwords that are made here need no encoding.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Stops the server and waits until it has ended. Its connections are closed.
    pub fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            // SIGINT is PostgreSQL's fast shutdown: it disconnects everybody, and loses nothing.
            child.signal(Signal::INT);
            let _ = child.wait();
        }
    }

    /// Ends the server as a crash would: the next start has to recover.
    pub fn crash(&mut self) {
        if let Some(child) = self.child.take() {
            child.signal(Signal::QUIT);
            let _ = child.wait();
        }
    }

    /// Starts it again after [`Postgres::stop`], at the same port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.run_at(self.port).await
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        // Between asking for a free port and using it, somebody else may take it.
        for _ in 0..3 {
            let port = free_port()?;
            if self.run_at(port).await.is_ok() {
                return Ok(());
            }
        }
        self.run_at(free_port()?).await
    }

    async fn run_at(&mut self, port: u16) -> anyhow::Result<()> {
        let folder = &self.options.folder;
        let log = self.log();
        let mut command = self.programs.command("postgres", self.account);
        command
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "password_encryption=scram-sha-256"])
            .args(["-c", "lc_messages=C"])
            // The lock is held by whoever has the file open: with it, the server holds it too, and
            // whoever comes next waits for the end of a server that has lost its parent.
            .stdin(self.lock.try_clone()?)
            .stdout(Stdio::null())
            .stderr(private(&log, self.account)?);
        if self.options.ephemeral {
            for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off"] {
                command.args(["-c", setting]);
            }
        }
        // Ctrl-C in a terminal goes to the whole group: the server is stopped after the requests.
        command.process_group(0);
        self.port = port;
        let (child, _) = Child::spawn(command, Signal::INT).context("postgres did not start")?;
        self.child = Some(child);
        self.wait_until_ready(&log).await
    }

    async fn wait_until_ready(&mut self, log: &Path) -> anyhow::Result<()> {
        let patience = Duration::from_secs(60);
        let start = Instant::now();
        let url = self.administrator("postgres");
        loop {
            let error = match connect(&url).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let ended = self.child.as_ref().is_none_or(Child::has_ended);
            if ended || start.elapsed() > patience {
                self.stop();
                let log = fs::read_to_string(log).unwrap_or_default();
                let last =
                    log.lines().rev().find(|line| line.contains("FATAL")).unwrap_or_default();
                bail!("PostgreSQL did not start: {error:#}\n{last}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ensure_database(&self) -> anyhow::Result<()> {
        let client = connect(&self.administrator("postgres")).await?;
        let known = client
            .query_opt("SELECT FROM pg_database WHERE datname = $1", &[&DATABASE])
            .await?
            .is_some();
        if !known {
            client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn connect(url: &str) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends when the client is dropped.
    tokio::spawn(connection);
    Ok(client)
}

/// Deletes all in the folder but its lock.
fn clear(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else if !path.ends_with(LOCK) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The lock of a folder, until the file is closed everywhere. The folder is made when it is missing.
fn lock(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.join(LOCK);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    let start = Instant::now();
    while file.try_lock().is_err() {
        let mut owner = String::new();
        file.read_to_string(&mut owner)?;
        // Its owner has been killed, and its server is on its way out.
        let ending = !is_alive(owner.trim()) && start.elapsed() < Duration::from_secs(20);
        ensure!(
            ending,
            "the database in {} is in use by process {}: stop that first",
            folder.display(),
            owner.trim()
        );
        std::thread::sleep(Duration::from_millis(50));
        file = File::options().read(true).write(true).open(&path)?;
    }
    file.set_len(0)?;
    file.write_all(std::process::id().to_string().as_bytes())?;
    Ok(file)
}

fn is_alive(pid: &str) -> bool {
    let pid = pid.parse().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// The version that wrote the data in the folder, if there are any.
fn existing_version(folder: &Path) -> anyhow::Result<Option<u32>> {
    match fs::read_to_string(folder.join("data/PG_VERSION")) {
        Ok(text) => Ok(Some(text.trim().parse().context("PG_VERSION is not a number")?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("PG_VERSION cannot be read"),
    }
}

/// Makes an empty cluster; returns the administrator's password.
fn initialise(options: &Options, programs: &Programs, account: Account) -> anyhow::Result<String> {
    let folder = &options.folder;
    // Beside its place first, in case that this is interrupted.
    let data = folder.join("data.new");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::create_dir(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    account.own(&data)?;
    let password = password()?;
    let file = folder.join("password");
    private(&file, account)?.write_all(password.as_bytes())?;
    let mut command = programs.command("initdb", account);
    command
        .arg("-D")
        .arg(&data)
        .args(["-U", ADMINISTRATOR, "--auth=scram-sha-256", "--encoding=UTF8"])
        .arg(format!("--pwfile={}", file.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // The same order of characters on every machine.
    if programs.major >= 17 {
        command.args(["--locale-provider=builtin", "--locale=C.UTF-8"]);
    } else {
        command.arg("--no-locale");
    }
    if options.ephemeral {
        command.arg("--no-sync");
    }
    let output = command.output().context("initdb did not start")?;
    ensure!(
        output.status.success(),
        "the database was not made: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::rename(data, folder.join("data"))?;
    Ok(password)
}

/// A new file that only its owner can read.
fn private(path: &Path, account: Account) -> anyhow::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path).with_context(|| format!("{}", path.display()))?;
    account.own(path)?;
    Ok(file)
}

/// A password nobody has to remember: 192 random bits, in digits that need no encoding.
pub fn password() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).context("no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
