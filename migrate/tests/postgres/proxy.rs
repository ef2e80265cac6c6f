//! A network that fails at a chosen moment: between `migrate` and PostgreSQL, counting messages.
//!
//! The protocol (PostgreSQL's documentation, "Message Formats"): a message is a byte that says what it
//! is, then its length with the four bytes of the length itself, then the rest. The client's first
//! message has no such byte.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// What happens at the chosen message of the client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing gets through any more, in either direction, and nobody is told.
    Silence,
    /// The connection ends before the message reaches the server. All messages count, and otherwise
    /// those that are answered: there are several to an answer.
    CutBefore,
    /// The connection ends when the server has done what the message asks for, and before its answer
    /// reaches the client.
    CutAfter,
}

/// A proxy on loopback. One run at a time goes through it.
pub struct Proxy {
    pub port: u16,
    plan: Arc<Mutex<Arc<Plan>>>,
}

/// What is to happen to a run.
pub struct Plan {
    fault: Fault,
    at: usize,
    seen: AtomicUsize,
    told: mpsc::Sender<()>,
}

impl Plan {
    /// Whether the run has come as far as to the message.
    pub fn has_happened(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.at
    }
}

impl Proxy {
    pub fn new(server: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        let proxy = Proxy { port, plan: Arc::default() };
        let plan = Arc::clone(&proxy.plan);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let plan = Arc::clone(&plan.lock().expect("no panic"));
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                    connect(client, server, &plan);
                }
            }
        });
        proxy
    }

    /// Does this to the connections that come from now on, at the `at`th of their messages, from 1.
    /// What is returned second hears of it.
    pub fn plan(&self, fault: Fault, at: usize) -> (Arc<Plan>, mpsc::Receiver<()>) {
        let (told, hears) = mpsc::channel();
        let plan = Arc::new(Plan { fault, at, seen: AtomicUsize::new(0), told });
        *self.plan.lock().expect("no panic") = Arc::clone(&plan);
        (plan, hears)
    }

    /// The URL of PostgreSQL, by way of the proxy.
    pub fn url(&self, url: &str, server: u16) -> String {
        url.replace(&format!(":{server}/"), &format!(":{}/", self.port))
    }
}

impl Default for Plan {
    fn default() -> Plan {
        let (fault, at, seen, told) =
            (Fault::Silence, usize::MAX, AtomicUsize::new(0), mpsc::channel().0);
        Plan { fault, at, seen, told }
    }
}

fn connect(client: TcpStream, server: TcpStream, plan: &Arc<Plan>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("it is TCP");
    }
    let both = || [&client, &server].map(|stream| stream.try_clone().expect("a descriptor"));
    for direction in [requests, answers] {
        let ([client, server], plan) = (both(), Arc::clone(plan));
        thread::spawn(move || {
            let _ = direction(&client, &server, &plan);
            for stream in [client, server] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

fn requests(mut client: &TcpStream, mut server: &TcpStream, plan: &Plan) -> io::Result<()> {
    let mut is_first = true;
    loop {
        let message = read(client, !is_first)?;
        let is_answered = is_first || b"pQSX".contains(&message[0]);
        is_first = false;
        let counts = plan.fault == Fault::CutBefore || is_answered;
        if counts && plan.seen.fetch_add(1, Ordering::SeqCst) + 1 == plan.at {
            let _ = plan.told.send(());
            match plan.fault {
                Fault::CutBefore => return Ok(()),
                Fault::CutAfter => {}
                Fault::Silence => return io::copy(&mut client, &mut io::sink()).map(drop),
            }
        }
        server.write_all(&message)?;
    }
}

fn answers(mut client: &TcpStream, server: &TcpStream, plan: &Plan) -> io::Result<()> {
    loop {
        let message = read(server, true)?;
        match plan.fault {
            _ if !plan.has_happened() => client.write_all(&message)?,
            // ReadyForQuery, or what is to be said next about who one is.
            Fault::CutAfter if b"ZR".contains(&message[0]) => return Ok(()),
            _ => {}
        }
    }
}

/// The next message.
pub fn read(mut stream: &TcpStream, has_kind: bool) -> io::Result<Vec<u8>> {
    let start = usize::from(has_kind);
    let mut message = vec![0; start + 4];
    stream.read_exact(&mut message)?;
    let length: [u8; 4] = message[start..].try_into().expect("they are four");
    message.resize(start + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut message[start + 4..])?;
    Ok(message)
}
