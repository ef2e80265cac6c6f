//! A proxy between `migrate` and PostgreSQL that injects a network fault at a chosen message.
//!
//! In PostgreSQL's protocol (its documentation, "Message Formats"), a message is a type byte, a
//! length of four bytes that includes itself, and the payload. The client's first message has no
//! type byte.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// The fault to inject at the chosen client message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Drops all data in both directions without closing the connections.
    Silence,
    /// Closes the connection before the message reaches the server. Counts every message; the other
    /// faults count only those that the server responds to, since several messages can share a
    /// response.
    CutBefore,
    /// Closes the connection after the server has processed the message, before its response
    /// reaches the client.
    CutAfter,
}

/// A proxy on the loopback interface, for one run at a time.
pub struct Proxy {
    pub port: u16,
    plan: Arc<Mutex<Arc<Plan>>>,
}

/// The fault planned for a run.
pub struct Plan {
    fault: Fault,
    at: usize,
    seen: AtomicUsize,
    notify: mpsc::Sender<()>,
}

impl Plan {
    /// Returns whether the run has sent the chosen message.
    pub fn has_happened(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.at
    }
}

impl Proxy {
    pub fn new(server: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
        let port = listener.local_addr().expect("local address").port();
        let proxy = Proxy { port, plan: Arc::default() };
        let plan = Arc::clone(&proxy.plan);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let plan = Arc::clone(&plan.lock().expect("lock mutex"));
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                    connect(client, server, &plan);
                }
            }
        });
        proxy
    }

    /// Plans a fault for all connections from now on, at message number `at`, counted from 1. The
    /// receiver is notified when the fault occurs.
    pub fn plan(&self, fault: Fault, at: usize) -> (Arc<Plan>, mpsc::Receiver<()>) {
        let (notify, occurred) = mpsc::channel();
        let plan = Arc::new(Plan { fault, at, seen: AtomicUsize::new(0), notify });
        *self.plan.lock().expect("lock mutex") = Arc::clone(&plan);
        (plan, occurred)
    }

    /// Rewrites a URL of the server to go through the proxy.
    pub fn url(&self, url: &str, server: u16) -> String {
        url.replace(&format!(":{server}/"), &format!(":{}/", self.port))
    }
}

impl Default for Plan {
    fn default() -> Plan {
        let (fault, at, seen, notify) =
            (Fault::Silence, usize::MAX, AtomicUsize::new(0), mpsc::channel().0);
        Plan { fault, at, seen, notify }
    }
}

fn connect(client: TcpStream, server: TcpStream, plan: &Arc<Plan>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("set TCP_NODELAY");
    }
    let both = || [&client, &server].map(|stream| stream.try_clone().expect("clone socket"));
    for direction in [forward_requests, forward_responses] {
        let ([client, server], plan) = (both(), Arc::clone(plan));
        thread::spawn(move || {
            let _ = direction(&client, &server, &plan);
            for stream in [client, server] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

fn forward_requests(mut client: &TcpStream, mut server: &TcpStream, plan: &Plan) -> io::Result<()> {
    let mut is_first = true;
    loop {
        let message = read(client, !is_first)?;
        let has_response = is_first || b"pQSX".contains(&message[0]);
        is_first = false;
        let counts = plan.fault == Fault::CutBefore || has_response;
        if counts && plan.seen.fetch_add(1, Ordering::SeqCst) + 1 == plan.at {
            let _ = plan.notify.send(());
            match plan.fault {
                Fault::CutBefore => return Ok(()),
                Fault::CutAfter => {}
                Fault::Silence => return io::copy(&mut client, &mut io::sink()).map(drop),
            }
        }
        server.write_all(&message)?;
    }
}

fn forward_responses(mut client: &TcpStream, server: &TcpStream, plan: &Plan) -> io::Result<()> {
    loop {
        let message = read(server, true)?;
        match plan.fault {
            _ if !plan.has_happened() => client.write_all(&message)?,
            // ReadyForQuery, or an authentication request.
            Fault::CutAfter if b"ZR".contains(&message[0]) => return Ok(()),
            _ => {}
        }
    }
}

/// Reads one message.
pub fn read(mut stream: &TcpStream, has_kind: bool) -> io::Result<Vec<u8>> {
    let start = usize::from(has_kind);
    let mut message = vec![0; start + 4];
    stream.read_exact(&mut message)?;
    let length: [u8; 4] = message[start..].try_into().expect("four bytes");
    message.resize(start + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut message[start + 4..])?;
    Ok(message)
}
