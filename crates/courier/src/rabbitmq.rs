//! A private RabbitMQ server as a child process, for a laptop and for tests.
//!
//! It uses an installed RabbitMQ. The server listens on the loopback interface only, requires a
//! password, and stores its files in one directory. It runs as an unprivileged account if this
//! process runs as root. On Linux, the server is killed when this process dies; confirmed messages
//! survive that.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use child_process::{Account, Child};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::amqp::{Address, Broker};
use crate::{Error, Secret};

/// The name of the user.
const USER: &str = "katas";

/// The virtual host of [`RabbitMq::url`].
pub const VHOST: &str = "katas";

/// How long the server may take to start. It takes 10 seconds of CPU time.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The options of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the server's files. It is created if missing.
    pub folder: PathBuf,
    /// Further virtual hosts.
    pub vhosts: Vec<String>,
    /// Policies, in the format of RabbitMQ's definitions files.
    pub policies: Vec<Value>,
}

/// A RabbitMQ server. It is stopped on drop.
pub struct RabbitMq {
    options: Options,
    program: PathBuf,
    account: Account,
    password: String,
    port: u16,
    children: Option<Children>,
    is_ready: bool,
    _lock: File,
}

struct Children {
    /// The port mapper of Erlang. The server would start one itself, and leave it behind.
    epmd: Child,
    server: Child,
}

/// Returns the path of an installed `rabbitmq-server`. This is not the wrapper in `/usr/sbin`,
/// which changes to the account of the system service.
pub fn find() -> Option<PathBuf> {
    let debian = Path::new("/usr/lib/rabbitmq/lib").read_dir().into_iter().flatten().flatten();
    let debian = debian.map(|entry| entry.path().join("sbin"));
    let others = ["/opt/rabbitmq/sbin", "/opt/homebrew/sbin", "/usr/local/sbin"];
    let folders = debian.chain(others.map(PathBuf::from));
    let programs = folders.map(|folder| folder.join("rabbitmq-server"));
    programs.filter(|program| program.is_file()).max()
}

impl RabbitMq {
    /// Starts the server with its existing data, if any.
    pub async fn start(options: Options) -> Result<RabbitMq, Error> {
        let program = find().ok_or_else(|| {
            Error::Unavailable("RabbitMQ is not installed; install rabbitmq-server".to_owned())
        })?;
        let folder = &options.folder;
        let failed = |error: io::Error| {
            Error::Unexpected(format!("cannot prepare {}: {error}", folder.display()))
        };
        DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
        let lock = lock(folder).map_err(failed)?;
        let account =
            Account::other_than_root(folder, &["rabbitmq", "nobody"]).ok_or_else(|| {
                let folder = folder.display();
                Error::Usage(format!("no account other than root can access {folder}"))
            })?;
        let password = prepare(&options, account).map_err(failed)?;
        let mut server = RabbitMq {
            options,
            program,
            account,
            password,
            port: 0,
            children: None,
            is_ready: false,
            _lock: lock,
        };
        server.run(free_port().map_err(|error| Error::Unexpected(error.to_string()))?).await?;
        Ok(server)
    }

    /// Returns the URL of the virtual host [`VHOST`].
    pub fn url(&self) -> String {
        self.vhost_url(VHOST)
    }

    /// Returns the URL of a virtual host. The name must not need percent-encoding.
    pub fn vhost_url(&self, vhost: &str) -> String {
        format!("amqp://{USER}:{}@127.0.0.1:{}/{vhost}", self.password, self.port)
    }

    /// Returns the process ids of a running server and its port mapper.
    pub fn processes(&self) -> Option<[i32; 2]> {
        self.children.as_ref().map(|Children { epmd, server }| [server.id(), epmd.id()])
    }

    /// Stops the server and waits until it has ended.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Kills the server, as a crash would.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Stops the server if it is running, and starts it again on the same port.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.run(self.port).await
    }

    fn end(&mut self, signal: Signal) {
        if let Some(Children { epmd, server }) = self.children.take() {
            server.signal(signal);
            let _ = server.wait();
            epmd.signal(Signal::KILL);
            let _ = epmd.wait();
        }
    }

    async fn run(&mut self, port: u16) -> Result<(), Error> {
        self.port = port;
        self.is_ready = false;
        let start = || {
            let epmd_port = free_port()?;
            let epmd = self.spawn(OsStr::new("epmd"), epmd_port, |command| {
                command.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
            })?;
            let server = self.spawn(self.program.as_os_str(), epmd_port, |_| ())?;
            Ok(Children { epmd, server })
        };
        self.children = Some(start().map_err(|error: io::Error| {
            Error::Unexpected(format!("cannot start {}: {error}", self.program.display()))
        })?);
        self.wait_until_ready().await?;
        self.is_ready = true;
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<(), Error> {
        let address = Address::new(Secret::Text(self.url()), None)?;
        let start = Instant::now();
        loop {
            let error = match Broker::connect(&address, "start").await {
                Ok(broker) => {
                    broker.close().await;
                    return Ok(());
                }
                Err(error) => error,
            };
            let ended = self.children.as_ref().is_none_or(|children| children.server.has_ended());
            if ended || start.elapsed() > START_TIMEOUT {
                self.kill();
                let log = self.options.folder.join("log");
                return Err(Error::Unavailable(format!(
                    "RabbitMQ did not start: {error}; see {}",
                    log.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn spawn(
        &self,
        program: &OsStr,
        epmd_port: u16,
        configure: impl FnOnce(&mut Command),
    ) -> io::Result<Child> {
        let folder = &self.options.folder;
        let output = File::options().append(true).open(folder.join("output"))?;
        let mut command = Command::new(program);
        configure(&mut command);
        command.env_clear();
        for name in ["PATH", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", folder)
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd_port.to_string())
            .env("RABBITMQ_NODENAME", "katas@localhost")
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", free_port()?.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("enabled_plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", "/nonexistent")
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            )
            // Replaces the shell by the server, so that the child is the server itself.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C in a terminal signals the whole process group, but the server must outlive the
            // deliveries in progress.
            .process_group(0);
        self.account.apply(&mut command);
        Ok(Child::spawn(command, Signal::KILL)?.0)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        match self.is_ready {
            true => self.stop(),
            // A server that is starting may ignore SIGTERM. It has no new messages yet.
            false => self.kill(),
        }
    }
}

/// Writes the files that the server reads. Returns the password, which is created once.
fn prepare(options: &Options, account: Account) -> io::Result<String> {
    let folder = &options.folder;
    account.take_ownership(folder)?;
    for name in ["data", "log"] {
        let path = folder.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        account.take_ownership(&path)?;
    }
    let password = match fs::read_to_string(folder.join("password")) {
        Ok(password) => password,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let password = random_hex()?;
            write(&folder.join("password"), &password, 0o600, Account::Current)?;
            password
        }
        Err(error) => return Err(error),
    };
    // Erlang's port mapper and the server share the cookie, which protects the node.
    write(&folder.join(".erlang.cookie"), &random_hex()?, 0o400, account)?;
    write(&folder.join("enabled_plugins"), "[].\n", 0o600, account)?;
    write(&folder.join("output"), "", 0o600, account)?;
    let definitions = folder.join("definitions.json");
    write(&definitions, &self::definitions(options, &password).to_string(), 0o600, account)?;
    let configuration =
        format!("load_definitions = {}\nlog.console = false\n", definitions.display());
    write(&folder.join("rabbitmq.conf"), &configuration, 0o600, account)?;
    Ok(password)
}

/// Returns the definitions that the server loads when it starts.
fn definitions(options: &Options, password: &str) -> Value {
    let vhosts: Vec<&str> =
        [VHOST].into_iter().chain(options.vhosts.iter().map(String::as_str)).collect();
    let permission = |vhost: &&str| {
        let (configure, write, read) = ("^katas\\.", "^(katas\\.|amq\\.default$)", "^katas\\.");
        json!({
            "user": USER, "vhost": vhost, "configure": configure, "write": write, "read": read,
        })
    };
    json!({
        "users": [{ "name": USER, "password": password, "tags": "" }],
        "vhosts": vhosts.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "permissions": vhosts.iter().map(permission).collect::<Vec<_>>(),
        "policies": options.policies,
    })
}

/// Replaces a file. Its mode and owner are set before it has contents.
fn write(path: &Path, contents: &str, mode: u32, account: Account) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    account.take_ownership(path)?;
    file.write_all(contents.as_bytes())
}

/// Locks a directory until the file is closed.
fn lock(folder: &Path) -> io::Result<File> {
    let path = folder.join("lock");
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(io::Error::other("another process uses it")),
    }
}

fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
