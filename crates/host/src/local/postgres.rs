//! A local PostgreSQL server for this project.
//!
//! It uses an installed PostgreSQL 15 or newer, or the bundled PostgreSQL 17. The server listens on
//! the loopback interface, requires passwords, and stores its files in one directory, which a lock
//! file reserves for one process at a time.

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

use anyhow::{Context, anyhow, bail, ensure};
use child_process::Account;
use rustix::process::{Pid, Signal, test_kill_process};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use super::private_file;
use super::process::Child;
pub use programs::PostgresInstall;
use programs::Programs;

/// The name of the database.
pub const DATABASE: &str = "katas";
/// The name of the superuser.
pub const ADMINISTRATOR: &str = "postgres";

/// The lock file in the server's directory. It contains the id of the process that holds the lock.
const LOCK: &str = "lock";

/// The options of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the server's files. It is created if missing.
    pub folder: PathBuf,
    /// The directory into which the bundled PostgreSQL is unpacked.
    pub programs: PathBuf,
    /// The PostgreSQL installation to use.
    pub install: PostgresInstall,
    /// Whether to delete existing data first.
    pub fresh: bool,
    /// Whether to save time in tests: a crash may lose data, and autovacuum is off.
    pub ephemeral: bool,
}

/// A PostgreSQL server. It is stopped on drop.
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
    /// Starts the server with its existing data, if any.
    pub async fn start(options: Options) -> anyhow::Result<Postgres> {
        let lock = lock(&options.folder)?;
        Postgres::start_locked(options, lock).await
    }

    /// Fails if another process uses the directory. Creates nothing.
    pub fn ensure_unused(folder: &Path) -> anyhow::Result<()> {
        match folder.join(LOCK).exists() {
            true => lock(folder).map(drop),
            false => Ok(()),
        }
    }

    /// Starts an empty server for tests, in a directory under `parent` that no other process uses.
    pub async fn start_empty(
        parent: &Path,
        install: PostgresInstall,
        ephemeral: bool,
    ) -> anyhow::Result<Postgres> {
        let mut folders = (0..100).map(|number| parent.join(format!("postgres-{number}")));
        let (folder, lock) =
            folders.find_map(|folder| lock(&folder).ok().map(|lock| (folder, lock))).with_context(
                || format!("all server directories in {} are in use", parent.display()),
            )?;
        let programs = parent.join("programs");
        let options = Options { folder, programs, install, fresh: true, ephemeral };
        Postgres::start_locked(options, lock).await
    }

    async fn start_locked(options: Options, lock: File) -> anyhow::Result<Postgres> {
        let folder = &options.folder;
        if options.fresh {
            clear(folder)
                .with_context(|| format!("cannot delete files in {}", folder.display()))?;
        }
        let existing = existing_version(folder)?;
        let (programs, account) = Programs::find(&options, existing)?;
        let password = match existing {
            Some(_) => fs::read_to_string(folder.join("password")).map_err(|error| {
                anyhow!("cannot read the superuser password: {error}; delete the data with --fresh")
            })?,
            None => initialize(&options, &programs, account)?,
        };
        let mut postgres =
            Postgres { options, programs, account, password, port: 0, child: None, lock };
        postgres.run().await?;
        postgres.ensure_database().await?;
        Ok(postgres)
    }

    /// Returns the version and the origin of the programs.
    pub fn description(&self) -> &str {
        &self.programs.description
    }

    /// Returns whether this is the bundled PostgreSQL, whose timeouts never fire.
    pub fn is_bundled(&self) -> bool {
        self.programs.bundled
    }

    /// Returns the port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process id of a running server.
    pub fn process(&self) -> Option<i32> {
        self.child.as_ref().map(Child::id)
    }

    /// Returns the path of the server's log file.
    pub fn log(&self) -> PathBuf {
        self.options.folder.join("log")
    }

    /// Returns a connection string for the superuser.
    pub fn administrator(&self, database: &str) -> String {
        self.url(ADMINISTRATOR, &self.password, database)
    }

    /// Returns a connection string. The password must not need percent-encoding; those of
    /// [`password`] do not.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Stops the server and waits until it has ended. All connections are closed.
    pub fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            // SIGINT requests a fast shutdown, which disconnects all clients.
            child.signal(Signal::INT);
            let _ = child.wait();
        }
    }

    /// Ends the server with an immediate shutdown. The next start performs crash recovery.
    pub fn crash(&mut self) {
        if let Some(child) = self.child.take() {
            child.signal(Signal::QUIT);
            let _ = child.wait();
        }
    }

    /// Stops the server if it is running, and starts it again on the same port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.run_at(self.port).await
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        // Another process may take the port between `free_port` and the start of the server.
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
            // The lock is held as long as any process has the file open. The server inherits it, so
            // that the next process waits for a server whose parent has died.
            .stdin(self.lock.try_clone()?)
            .stdout(Stdio::null())
            .stderr(create_private(&log, self.account)?);
        if self.options.ephemeral {
            // Autovacuum would visit each of hundreds of databases every minute.
            for setting in ["fsync", "synchronous_commit", "full_page_writes", "autovacuum"] {
                command.args(["-c", &format!("{setting}=off")]);
            }
        }
        // Ctrl-C in a terminal signals the whole process group, but the server must outlive the
        // requests in progress.
        command.process_group(0);
        self.port = port;
        let (child, _) = Child::spawn(command, Signal::INT).context("cannot start postgres")?;
        self.child = Some(child);
        self.wait_until_ready(&log).await
    }

    async fn wait_until_ready(&mut self, log: &Path) -> anyhow::Result<()> {
        let timeout = Duration::from_secs(60);
        let start = Instant::now();
        let url = self.administrator("postgres");
        loop {
            let error = match connect(&url).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let code = error.downcast_ref().and_then(tokio_postgres::Error::code);
            if code == Some(&SqlState::INVALID_PASSWORD) {
                self.stop();
                bail!(
                    "the password in {} is not the superuser's; restore it, or delete the data \
                     with --fresh",
                    self.options.folder.join("password").display()
                );
            }
            let ended = self.child.as_ref().is_none_or(Child::has_ended);
            if ended || start.elapsed() > timeout {
                self.stop();
                let text = fs::read_to_string(log).unwrap_or_default();
                let fatal = text.lines().rev().find_map(|line| line.split_once("FATAL: "));
                let cause = fatal.map_or(format!("{error:#}"), |(_, it)| it.trim().to_owned());
                bail!("PostgreSQL did not start: {cause}; see {}", log.display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ensure_database(&self) -> anyhow::Result<()> {
        let client = connect(&self.administrator("postgres")).await?;
        let exists = client
            .query_opt("SELECT FROM pg_database WHERE datname = $1", &[&DATABASE])
            .await?
            .is_some();
        if !exists {
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
    // The task ends when the client is dropped.
    tokio::spawn(connection);
    Ok(client)
}

/// Deletes everything in the directory except the lock file.
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

/// Locks a directory, which is created if missing. The lock is released when all processes have
/// closed the file.
fn lock(folder: &Path) -> anyhow::Result<File> {
    private_file::create_directory(folder).with_context(|| {
        format!("cannot create {}; choose another directory with --state", folder.display())
    })?;
    let path = folder.join(LOCK);
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)
    };
    let mut file = open().with_context(|| format!("cannot open {}", path.display()))?;
    // A user who can read the file can lock it.
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot restrict the mode of {}", path.display()))?;
    let start = Instant::now();
    while file.try_lock().is_err() {
        let mut owner = String::new();
        file.read_to_string(&mut owner)?;
        let (folder, owner) = (folder.display(), owner.trim());
        ensure!(
            !is_alive(owner),
            "the database in {folder} is in use by process {owner}; stop that process first"
        );
        // The owner has been killed, and its server is shutting down.
        ensure!(
            start.elapsed() < Duration::from_secs(20),
            "the server of the database in {folder} is still shutting down; try again"
        );
        std::thread::sleep(Duration::from_millis(50));
        file = open()?;
    }
    file.set_len(0)?;
    file.write_all(std::process::id().to_string().as_bytes())?;
    Ok(file)
}

fn is_alive(pid: &str) -> bool {
    let pid = pid.parse().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// Returns the major version of the data in the directory, if there is any.
fn existing_version(folder: &Path) -> anyhow::Result<Option<u32>> {
    match fs::read_to_string(folder.join("data/PG_VERSION")) {
        Ok(text) => Ok(Some(text.trim().parse().context("PG_VERSION is not a number")?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("cannot read PG_VERSION"),
    }
}

/// Creates an empty database cluster. Returns the superuser's password.
fn initialize(options: &Options, programs: &Programs, account: Account) -> anyhow::Result<String> {
    let folder = &options.folder;
    // Renamed at the end, so that an interrupted run leaves no half-initialized data directory.
    let data = folder.join("data.new");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::create_dir(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    account.take_ownership(&data)?;
    let password = password()?;
    let file = folder.join("password");
    create_private(&file, account)?.write_all(password.as_bytes())?;
    let mut command = programs.command("initdb", account);
    command
        .arg("-D")
        .arg(&data)
        .args(["-U", ADMINISTRATOR, "--auth=scram-sha-256", "--encoding=UTF8"])
        .arg(format!("--pwfile={}", file.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // The collation must be the same on every machine.
    if programs.major >= 17 {
        command.args(["--locale-provider=builtin", "--locale=C.UTF-8"]);
    } else {
        command.arg("--no-locale");
    }
    if options.ephemeral {
        command.arg("--no-sync");
    }
    let output = command.output().context("cannot start initdb")?;
    ensure!(
        output.status.success(),
        "cannot initialize the database: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::rename(data, folder.join("data"))?;
    Ok(password)
}

/// Creates a file that only `account` can access.
fn create_private(path: &Path, account: Account) -> anyhow::Result<File> {
    let file = private_file::create(path);
    let file = file.with_context(|| format!("cannot create {}", path.display()))?;
    account.take_ownership(path)?;
    Ok(file)
}

/// Returns a new password of 192 random bits in hexadecimal, which needs no percent-encoding.
pub fn password() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).context("cannot read random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
