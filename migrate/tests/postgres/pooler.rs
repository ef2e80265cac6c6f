//! Poolers that switch sessions between transactions are rejected with an explanation.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::proxy::read;
use crate::support::{Project, SERVER, assert_failed, eventually};

const ITEM: (&str, &str) = ("0001_item.up.sql", "CREATE TABLE app.item (id int);");
const REASON: &str = "connected to a connection pooler";

fn url_with_port(project: &Project, port: u16) -> String {
    project.url.replace(&format!(":{}/", SERVER.port()), &format!(":{port}/"))
}

#[test]
#[cfg_attr(not(has_pgbouncer), ignore = "PgBouncer is not installed")]
fn pgbouncer_is_rejected() {
    let program = test_tools::PGBOUNCER.find().expect("PgBouncer is installed");
    for ignored in ["extra_float_digits", "extra_float_digits, options"] {
        let project = Project::new(&[ITEM]);
        let bouncer = PgBouncer::start(&program, ignored);
        let output = project.command_at(&url_with_port(&project, bouncer.port), &["up"]).output();
        assert_failed(&output.expect("run migrate"), 9, REASON);
        let schema = "SELECT coalesce(to_regnamespace('app')::text, 'nothing')";
        assert_eq!(project.value(schema), "nothing");
    }
}

struct PgBouncer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    fn start(program: &Path, ignored: &str) -> PgBouncer {
        let folder = tempfile::tempdir().expect("create temp dir");
        // PgBouncer does not run as root. The user it switches to has to read the folder.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("set permissions");
        let (settings, users) = (folder.path().join("settings"), folder.path().join("users"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
        let port = listener.local_addr().expect("local address").port();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\nignore_startup_parameters = {ignored}\n",
            SERVER.port(),
            users.display()
        );
        std::fs::write(&settings, text).expect("write file");
        std::fs::write(&users, "\"tester\" \"\"\n").expect("write file");
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command.arg(settings).stderr(Stdio::null()).spawn().expect("start PgBouncer");
        eventually("PgBouncer listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        PgBouncer { child, port, _folder: folder }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When the test pooler switches to its other session.
#[derive(Clone, Copy, PartialEq)]
enum Switch {
    /// After every transaction.
    Always,
    /// At the first explicit BEGIN, which follows the acquisition of the lock.
    AtBegin,
}

#[test]
fn pooler_that_preserves_settings_is_rejected() {
    for switch in [Switch::Always, Switch::AtBegin] {
        let project = Project::new(&[ITEM]);
        let output =
            project.command_at(&url_with_port(&project, start_pooler(switch)), &["up"]).output();
        assert_failed(&output.expect("run migrate"), 9, REASON);
        let table = "SELECT coalesce(to_regclass('app.item')::text, 'nothing')";
        assert_eq!(project.value(table), "nothing");
    }
}

/// Starts a pooler with two sessions for each client, and returns its port.
fn start_pooler(switch: Switch) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
    let port = listener.local_addr().expect("local address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = serve_client(&client, switch);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

fn serve_client(mut client: &TcpStream, switch: Switch) -> io::Result<()> {
    let startup = read(client, false)?;
    let open_session = || -> io::Result<(TcpStream, Vec<u8>)> {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, SERVER.port()))?;
        server.write_all(&startup)?;
        let greeting = read_until_ready(&server)?;
        Ok((server, greeting))
    };
    let (mut current, greeting) = open_session()?;
    let (mut other, _) = open_session()?;
    client.write_all(&greeting)?;
    loop {
        let message = read(client, true)?;
        if switch == Switch::AtBegin && message[5..].starts_with(b"RESET ALL; BEGIN") {
            std::mem::swap(&mut current, &mut other);
        }
        current.write_all(&message)?;
        if b"QS".contains(&message[0]) {
            let response = read_until_ready(&current)?;
            client.write_all(&response)?;
            // The last byte of ReadyForQuery: idle, not in a transaction.
            if switch == Switch::Always && response.ends_with(b"I") {
                std::mem::swap(&mut current, &mut other);
            }
        }
    }
}

/// Reads the server's messages up to and including ReadyForQuery.
fn read_until_ready(server: &TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let message = read(server, true)?;
        all.extend_from_slice(&message);
        if message[0] == b'Z' {
            return Ok(all);
        }
    }
}
