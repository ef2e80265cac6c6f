//! An installed PostgreSQL as a child process.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use child_process::{Account, Child};
use migrations::{Database, Project, UpOptions};
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::eventually;

/// The database from which those of the tests are copied.
const TEMPLATE: &str = "template_katas";

/// A server with its files in a directory. Killed when this process dies.
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    account: Account,
    port: u16,
    child: Option<Child>,
}

impl Postgres {
    /// Starts a new server in an existing directory.
    pub async fn start(folder: &Path) -> Postgres {
        let account = Account::other_than_root(folder, &["postgres", "nobody"]);
        let account = account.expect("an account that can access the directory");
        account.take_ownership(folder).expect("change owner");
        let program = test_tools::POSTGRES.find().expect("PostgreSQL is installed");
        let programs = program.parent().expect("a directory").to_owned();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind").local_addr();
        let port = port.expect("address").port();
        let mut postgres =
            Postgres { folder: folder.to_owned(), programs, account, port, child: None };
        let mut command = postgres.command("initdb");
        command.args(["-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"]);
        let output = command.output().expect("run initdb");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        postgres.run().await;
        postgres.prepare().await;
        postgres
    }

    /// Creates the roles, and a template with the schema of the application.
    async fn prepare(&self) {
        let create = format!("CREATE DATABASE {TEMPLATE}");
        execute(&self.url("postgres", "postgres"), &create).await;
        let project = Project::built_in();
        let administrator = Database::new(&self.url("postgres", TEMPLATE)).expect("a valid URL");
        let administrator = administrator.allow_superuser(true);
        migrations::bootstrap(&project, &administrator, &[], true, &|_| ()).await.expect("roles");
        // The tests run at the same time.
        let limit = [("katas_courier".to_owned(), 150)];
        migrations::limit_connections(&administrator, &limit, &|_| ()).await.expect("limit");
        let owner = administrator.role("katas_owner");
        migrations::up(&project, &owner, UpOptions::default(), &|_| ()).await.expect("migrate");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-D").arg(self.folder.join("data")).env("LC_ALL", "C").current_dir("/");
        self.account.apply(&mut command);
        command
    }

    pub async fn run(&mut self) {
        let mut command = self.command("postgres");
        let log = File::create(self.folder.join("log")).expect("create log");
        command
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=200"])
            .args(["-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(Child::spawn(command, Signal::QUIT).expect("start postgres").0);
        let url = self.url("postgres", "postgres");
        eventually("PostgreSQL accepts connections", async || {
            PgConnection::connect(&url).await.is_ok()
        })
        .await;
    }

    /// Ends the server without a shutdown. The next start performs crash recovery.
    pub fn crash(&mut self) {
        let child = self.child.take().expect("the server runs");
        child.signal(Signal::QUIT);
        child.wait().expect("wait");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a database with the schema of the application. Returns its name.
    pub async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
        execute(&self.url("postgres", "postgres"), &create).await;
        name
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.crash();
        }
    }
}

/// Executes statements.
pub async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("connect");
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("execute");
    connection.close().await.expect("close");
}
