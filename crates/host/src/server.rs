//! The HTTP server. Each request runs in a fresh instance, as under Spin's HTTP trigger.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::app::App;
use crate::component::ComponentConfig;
use crate::manifest::StaticResponse;
use crate::pool::Pools;
use crate::router::RouteMatch;
use crate::state::State;
use crate::variables::Variables;
use crate::{Log, headers, local_host};

/// How long [`Server::stop`] waits for requests in progress.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of a [`Server`].
pub struct Config {
    /// Values for the manifest's variables. They take precedence over `SPIN_VARIABLE_<NAME>` in
    /// the environment, in `.env`, and over the manifest's defaults, in this order.
    pub variables: BTreeMap<String, String>,
    /// Whether a request for a host other than `localhost` and IP addresses gets a 421 response:
    /// for a listener on the loopback interface, a protection against DNS rebinding.
    pub local_hosts_only: bool,
    /// Receives the guests' output and the host's messages.
    pub log: Log,
}

/// A running HTTP server for an [`App`].
pub struct Server {
    service: Arc<Service>,
    address: SocketAddr,
    stop: watch::Sender<()>,
    accept_task: JoinHandle<()>,
}

impl Server {
    /// Serves the application on `listener`, until [`Server::stop`] is called.
    pub fn start(app: Arc<App>, listener: TcpListener, config: Config) -> anyhow::Result<Server> {
        let address = listener.local_addr()?;
        let service = Arc::new(Service::new(app, config)?);
        let (stop, stopped) = watch::channel(());
        let accept_task = tokio::spawn(accept(service.clone(), listener, stopped));
        Ok(Server { service, address, stop, accept_task })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the largest memory of any instance of the component so far, in bytes.
    pub fn peak_memory(&self, component: &str) -> Option<usize> {
        let config = self.service.components.get(component)?;
        Some(config.peak_memory.load(Ordering::Relaxed))
    }

    /// Returns the most WebAssembly instructions that the component ran between two host calls, and
    /// resets the count. Spin never interrupts a guest between two host calls. Returns `None`
    /// unless the application is metered.
    pub fn take_longest_run(&self, component: &str) -> Option<u64> {
        let config = self.service.components.get(component)?;
        self.service.app.metered.then(|| config.longest_run.swap(0, Ordering::Relaxed))
    }

    /// Returns the WebAssembly instructions of all requests to the component, and resets the count.
    /// Waits until no guest is running, because a guest may continue after its response. Returns
    /// `None` unless the application is metered.
    pub async fn take_instructions(&self, component: &str) -> Option<u64> {
        let config = self.service.components.get(component)?;
        self.service.running.closed().await;
        self.service.app.metered.then(|| config.instructions.swap(0, Ordering::Relaxed))
    }

    /// Stops accepting connections and waits up to ten seconds for requests in progress. Spin does
    /// not wait.
    pub async fn stop(self) {
        // An error means that the task has already ended.
        let _ = self.stop.send(());
        let _ = self.accept_task.await;
    }
}

struct Service {
    app: Arc<App>,
    components: BTreeMap<String, Arc<ComponentConfig>>,
    local_hosts_only: bool,
    log: Log,
    /// Closed when no guest is running: each running guest holds a receiver.
    running: watch::Sender<()>,
}

type Body = UnsyncBoxBody<Bytes, wasmtime_wasi_http::Error>;

impl Service {
    fn new(app: Arc<App>, config: Config) -> anyhow::Result<Service> {
        let variables = Variables::resolve(&app.manifest, &config.variables)?;
        let pools = Arc::new(Pools::new());
        let components = app.manifest.component.iter().map(|(id, component)| {
            let log = config.log.clone();
            let config = ComponentConfig::new(id, component, &variables, pools.clone(), log)
                .with_context(|| format!("component {id}"))?;
            Ok((id.clone(), Arc::new(config)))
        });
        let components = components.collect::<anyhow::Result<_>>()?;
        let Config { local_hosts_only, log, .. } = config;
        Ok(Service { app, components, local_hosts_only, log, running: watch::Sender::new(()) })
    }

    /// Handles a request. An error closes the connection without a response, as in Spin.
    async fn handle(
        &self,
        mut request: Request<Incoming>,
        client: SocketAddr,
    ) -> anyhow::Result<Response<Body>> {
        if self.local_hosts_only && !local_host::is_requested(&request) {
            return Ok(empty(StatusCode::MISDIRECTED_REQUEST));
        }
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix("/.well-known/spin/") {
            return self.well_known(name);
        }
        let Some(route) = self.app.router.find(&path) else {
            return Ok(empty(StatusCode::NOT_FOUND));
        };
        make_absolute(&mut request)?;
        let trigger = &self.app.manifest.trigger.http[route.trigger];
        if let Some(response) = &trigger.static_response {
            return static_response(response);
        }
        if !headers::are_utf8(request.headers()) {
            return non_utf8_header();
        }
        let component = trigger.component.as_deref().unwrap_or_default();
        match self.run(component, request, &route, client).await {
            Ok(response) => Ok(response),
            Err(error) => {
                (self.log)(&format!("error: {component}: {error:?}"));
                Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    /// Handles a path under `/.well-known/spin/`, which Spin never routes to a component.
    fn well_known(&self, name: &str) -> anyhow::Result<Response<Body>> {
        #[derive(Serialize)]
        struct Info<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            version: &'a str,
        }

        match name {
            "health" => Ok(Response::new(full("OK"))),
            "info" => {
                let application = &self.app.manifest.application;
                let info = Info { name: &application.name, version: &application.version };
                Ok(Response::builder()
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(full(serde_json::to_vec_pretty(&info)?))?)
            }
            _ => Ok(empty(StatusCode::NOT_FOUND)),
        }
    }

    /// Runs a fresh instance of the component. The guest may continue after its response, and is
    /// not stopped when the client disconnects.
    async fn run(
        &self,
        id: &str,
        mut request: Request<Incoming>,
        route: &RouteMatch<'_>,
        client: SocketAddr,
    ) -> anyhow::Result<Response<Body>> {
        let uri = request.uri().clone();
        headers::append_spin_headers(request.headers_mut(), &uri, route, client)?;
        let pre = self.app.components.get(id).context("no such component")?;
        let config = &self.components[id];
        let mut store = Store::new(&self.app.engine, State::new(config.clone()));
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.limiter(|state| state);
        if self.app.metered {
            meter(&mut store)?;
        }
        let proxy = pre.instantiate_async(&mut store).await?;
        // The scheme is always http, even behind a proxy that terminates TLS.
        let incoming =
            store.data_mut().http().new_incoming_request(types::Scheme::Http, request)?;
        let (sender, receiver) = oneshot::channel();
        let component = config.clone();
        let out = store.data_mut().http().new_response_outparam_from_callback(move |response| {
            let response = response.map(|response| response.map(|body| peek(body, &component)));
            // The receiver is dropped when the client has disconnected.
            let _ = sender.send(response);
        })?;
        let running = self.running.subscribe();
        let guest = tokio::spawn(async move {
            let _running = running;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, incoming, out).await
        });
        match receiver.await {
            Ok(response) => {
                let component = config.clone();
                tokio::spawn(async move {
                    if let Ok(Err(error)) = guest.await {
                        component.warn(&format!("failed after setting its response: {error:?}"));
                    }
                });
                response.map_err(|code| anyhow!("the guest set an error as response: {code:?}"))
            }
            Err(_) => {
                guest.await.context("the host panicked while running the guest")??;
                Err(anyhow!("the guest returned without setting a response"))
            }
        }
    }
}

/// Counts the instructions of the instance: in total, and the most between two host calls.
fn meter(store: &mut Store<State>) -> wasmtime::Result<()> {
    store.set_fuel(u64::MAX)?;
    let mut fuel_at_entry = u64::MAX;
    store.call_hook(move |store, hook| {
        let fuel = store.get_fuel()?;
        if hook.exiting_host() {
            fuel_at_entry = fuel;
        } else {
            let consumed = fuel_at_entry.saturating_sub(fuel);
            store.data().component.longest_run.fetch_max(consumed, Ordering::Relaxed);
            store.data().component.instructions.fetch_add(consumed, Ordering::Relaxed);
        }
        Ok(())
    });
    Ok(())
}

/// Makes the request's URI absolute, with the authority of its target or its `Host` header. Fails
/// if both are missing or differ; Spin closes the connection then.
fn make_absolute(request: &mut Request<Incoming>) -> anyhow::Result<()> {
    let host = request.headers().get(header::HOST);
    let host = host.map(|host| Authority::try_from(host.as_bytes())).transpose()?;
    let mut parts = request.uri().clone().into_parts();
    let authority = match (host, parts.authority.take()) {
        (Some(host), Some(target)) if host != target => {
            return Err(anyhow!("the Host header differs from the authority in the target"));
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err(anyhow!("missing Host header")),
    };
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(())
}

fn static_response(config: &StaticResponse) -> anyhow::Result<Response<Body>> {
    let mut response = Response::builder().status(config.status_code.unwrap_or(200));
    for (name, value) in &config.headers {
        response = response.header(name, value);
    }
    Ok(response.body(full(config.body.clone().unwrap_or_default()))?)
}

/// Returns a 400 response for a header that is not UTF-8. Spin returns an empty 500.
fn non_utf8_header() -> anyhow::Result<Response<Body>> {
    const PROBLEM: &str = r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"a header is not UTF-8"}"#;
    Ok(Response::builder()
        .status(StatusCode::BAD_REQUEST)
        .header(header::CONTENT_TYPE, "application/problem+json")
        .body(full(PROBLEM))?)
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = status;
    response
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Polls the first frame of the body when the guest sets its response, and logs a warning if there
/// is none yet: under Spin, a head sent before the body stalls every keep-alive connection for
/// 40 ms.
fn peek(mut body: HyperOutgoingBody, component: &ComponentConfig) -> Body {
    let mut context = TaskContext::from_waker(Waker::noop());
    let first = match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(first) => Some(first),
        Poll::Pending => {
            component.warn("the head was sent before the body: Spin stalls it for 40 ms");
            None
        }
    };
    PeekedBody { first, rest: body }.boxed_unsync()
}

/// A body whose first frame has already been polled.
struct PeekedBody {
    first: Option<Option<Result<Frame<Bytes>, wasmtime_wasi_http::Error>>>,
    rest: HyperOutgoingBody,
}

impl hyper::body::Body for PeekedBody {
    type Data = Bytes;
    type Error = wasmtime_wasi_http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.first.take() {
            Some(None) => {
                // Later polls must return the end of the body too.
                self.first = Some(None);
                Poll::Ready(None)
            }
            Some(frame) => Poll::Ready(frame),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}

async fn accept(service: Arc<Service>, listener: TcpListener, mut stopped: watch::Receiver<()>) {
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => serve(service.clone(), &connections, stream, client),
                Err(error) => {
                    // Errors such as "too many open files" are transient.
                    (service.log)(&format!("warning: cannot accept a connection: {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    let finished = async {
        connections.shutdown().await;
        service.running.closed().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, finished).await.is_err() {
        (service.log)("warning: requests were still in progress 10 s after the shutdown began");
    }
}

fn serve(
    service: Arc<Service>,
    connections: &GracefulShutdown,
    stream: TcpStream,
    client: SocketAddr,
) {
    // Unlike Spin: a small response does not wait for the acknowledgment of the previous one.
    let _ = stream.set_nodelay(true);
    let log = service.log.clone();
    let service = service_fn(move |request| {
        let service = service.clone();
        async move { service.handle(request, client).await }
    });
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Errors caused by a client that disconnects are not logged.
            let from_host = error.downcast_ref::<hyper::Error>().is_none_or(hyper::Error::is_user);
            if from_host {
                log(&format!("warning: a connection was closed without a response: {error}"));
            }
        }
    });
}
