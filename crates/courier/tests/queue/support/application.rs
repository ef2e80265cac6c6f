//! An HTTP server in place of the application, with scripted responses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// A received request.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub path: String,
    pub key: Option<String>,
    pub authorization: Option<String>,
    pub body: String,
}

/// What the server does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reaction {
    /// Stores the effect, and responds with 201.
    Accept,
    /// Responds with this status and this `detail`.
    Refuse(u16, &'static str),
    /// Closes the connection without a response.
    Cut,
    /// Stores the effect, and closes the connection without a response.
    AcceptAndCut,
    /// Stores the effect, and responds once a permit is released.
    AcceptLate,
}

type Script = Box<dyn Fn(&Received) -> Reaction + Send + Sync>;

pub struct Application {
    address: SocketAddr,
    state: Arc<State>,
    server: Option<AbortHandle>,
    /// Ends the connections.
    alive: watch::Sender<()>,
}

pub struct State {
    script: Mutex<Script>,
    ready: Mutex<bool>,
    received: Mutex<Vec<Received>>,
    /// The number of times that each effect was requested. A key is an effect: a repetition of a
    /// request has no further one.
    effects: Mutex<HashMap<String, u32>>,
    /// Permits for [`Reaction::AcceptLate`].
    pub late: Semaphore,
}

impl Application {
    pub async fn start() -> Application {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let state = State {
            script: Mutex::new(Box::new(|_| Reaction::Accept)),
            ready: Mutex::new(true),
            received: Mutex::default(),
            effects: Mutex::default(),
            late: Semaphore::new(0),
        };
        let mut application = Application {
            address: listener.local_addr().expect("address"),
            state: Arc::new(state),
            server: None,
            alive: watch::Sender::new(()),
        };
        application.serve(listener);
        application
    }

    fn serve(&mut self, listener: TcpListener) {
        let (state, alive) = (self.state.clone(), self.alive.subscribe());
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                tokio::spawn(connection(stream, state.clone(), alive.clone()));
            }
        });
        self.server = Some(server.abort_handle());
    }

    /// Closes all connections, and refuses new ones.
    pub fn stop(&mut self) {
        self.server.take().expect("the application runs").abort();
        self.alive = watch::Sender::new(());
    }

    /// Accepts connections again.
    pub async fn restart(&mut self) {
        super::eventually("the port is free", async || {
            TcpListener::bind(self.address).await.is_ok()
        })
        .await;
        let listener = TcpListener::bind(self.address).await.expect("bind");
        self.serve(listener);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the reaction to each request.
    pub fn script(&self, script: impl Fn(&Received) -> Reaction + Send + Sync + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
    }

    /// Sets whether `/db-check` responds with 200.
    pub fn set_ready(&self, ready: bool) {
        *self.state.ready.lock().unwrap() = ready;
    }

    /// Returns the requests so far, without those for `/db-check`.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Returns the number of requests with a path so far.
    pub fn count(&self, path: &str) -> usize {
        self.received().iter().filter(|received| received.path == path).count()
    }

    /// Returns how often each effect has been stored or repeated.
    pub fn effects(&self) -> HashMap<String, u32> {
        self.state.effects.lock().unwrap().clone()
    }

    /// Lets responses of [`Reaction::AcceptLate`] pass.
    pub fn release(&self, count: usize) {
        self.state.late.add_permits(count);
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>, mut alive: watch::Receiver<()>) {
    let service = service_fn(move |request| {
        let state = state.clone();
        // An error closes the connection.
        async move {
            respond(request, &state)
                .await
                .ok_or(std::io::ErrorKind::BrokenPipe)
                .map_err(std::io::Error::from)
        }
    });
    tokio::select! {
        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
        _ = alive.changed() => {}
    }
}

async fn respond(request: Request<Incoming>, state: &State) -> Option<Response<Full<Bytes>>> {
    let status = |status: u16, body: String| {
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Some(response)
    };
    if request.method() == Method::GET && request.uri().path() == "/db-check" {
        return status(if *state.ready.lock().unwrap() { 200 } else { 503 }, String::new());
    }
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.headers()["content-type"], "application/json");
    let header = |name| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
    let mut received = Received {
        path: request.uri().path().to_owned(),
        key: header("idempotency-key"),
        authorization: header("authorization"),
        body: String::new(),
    };
    let body = request.into_body().collect().await.ok()?.to_bytes();
    received.body = String::from_utf8(body.to_vec()).unwrap();
    state.received.lock().unwrap().push(received.clone());
    let reaction = (state.script.lock().unwrap())(&received);
    if matches!(reaction, Reaction::Accept | Reaction::AcceptAndCut | Reaction::AcceptLate) {
        let effect = received.key.unwrap_or(received.body);
        *state.effects.lock().unwrap().entry(effect).or_default() += 1;
    }
    match reaction {
        Reaction::Accept => status(201, "{}".to_owned()),
        Reaction::Refuse(code, detail) => status(code, format!("{{\"detail\":\"{detail}\"}}")),
        Reaction::Cut | Reaction::AcceptAndCut => None,
        Reaction::AcceptLate => {
            state.late.acquire().await.ok()?.forget();
            status(201, "{}".to_owned())
        }
    }
}
