//! Answering requests: one instance each, as Spin's HTTP trigger does it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

use crate::manifest::{Component, StaticResponse};
use crate::outbound::AllowedHosts;
use crate::postgres::Pools;
use crate::router::RouteMatch;
use crate::state::State;
use crate::variables::Variables;
use crate::{App, Log, headers};

/// How long requests may take to finish once the server has been told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What one server runs an application with.
pub struct Config {
    /// Values for the manifest's variables. They take precedence over `SPIN_VARIABLE_<NAME>` in
    /// the environment, in `.env`, and over the manifest's defaults, in this order.
    pub variables: BTreeMap<String, String>,
    /// Where lines go.
    pub log: Log,
}

/// An application that is being served.
pub struct Server {
    service: Arc<Service>,
    address: SocketAddr,
    stop: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves the application on `listener`, until [`Server::stop`] is called.
    pub fn start(app: Arc<App>, listener: TcpListener, config: Config) -> anyhow::Result<Server> {
        let address = listener.local_addr()?;
        let service = Arc::new(Service::new(app, config)?);
        let (stop, stopped) = watch::channel(());
        let accepting = tokio::spawn(accept(service.clone(), listener, stopped));
        Ok(Server { service, address, stop, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most memory that one instance of the component has had so far, in bytes.
    pub fn memory(&self, component: &str) -> Option<usize> {
        let config = self.service.components.get(component)?;
        Some(config.memory.load(Ordering::Relaxed))
    }

    /// The most that the component has done between two calls of the host since this was last asked, in WebAssembly
    /// instructions: under Spin nothing interrupts it there. `None` unless the application is
    /// metered.
    pub fn work(&self, component: &str) -> Option<u64> {
        let config = self.service.components.get(component)?;
        self.service.app.metered.then(|| config.work.swap(0, Ordering::Relaxed))
    }

    /// The WebAssembly instructions of all the component's requests since this was last asked. Waits
    /// until no request is under way: a guest may go on after it has answered. `None` unless the
    /// application is metered.
    pub async fn instructions(&self, component: &str) -> Option<u64> {
        let config = self.service.components.get(component)?;
        self.service.running.closed().await;
        self.service.app.metered.then(|| config.instructions.swap(0, Ordering::Relaxed))
    }

    /// Accepts no more, lets the requests that are under way finish, and ends. Spin does not wait.
    pub async fn stop(self) {
        // An error would be that it has ended already.
        let _ = self.stop.send(());
        let _ = self.accepting.await;
    }
}

/// What a component is given, the same for all its requests.
pub(crate) struct ComponentConfig {
    pub(crate) id: String,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) pools: Arc<Pools>,
    pub(crate) log: Log,
    /// The most memory that one instance has had so far, in bytes.
    pub(crate) memory: AtomicUsize,
    /// The most instructions between two calls of the host so far.
    work: AtomicU64,
    /// The instructions of all requests so far.
    instructions: AtomicU64,
}

impl ComponentConfig {
    fn new(
        id: &str,
        component: &Component,
        variables: &Variables,
        pools: Arc<Pools>,
        log: Log,
    ) -> anyhow::Result<ComponentConfig> {
        let mut own = BTreeMap::new();
        for (name, template) in &component.variables {
            own.insert(name.clone(), variables.expand(template)?);
        }
        let hosts = component.allowed_outbound_hosts.iter().map(|host| variables.expand(host));
        Ok(ComponentConfig {
            id: id.to_owned(),
            variables: own,
            environment: component.environment.clone(),
            allowed_hosts: AllowedHosts::parse(&hosts.collect::<anyhow::Result<Vec<_>>>()?)?,
            pools,
            log,
            memory: AtomicUsize::new(0),
            work: AtomicU64::new(0),
            instructions: AtomicU64::new(0),
        })
    }

    /// Tells what would hurt this component under Spin.
    pub(crate) fn warn(&self, text: &str) {
        (self.log)(&format!("warning: {}: {text}", self.id));
    }
}

struct Service {
    app: Arc<App>,
    components: BTreeMap<String, Arc<ComponentConfig>>,
    log: Log,
    /// Held by every guest that runs: when all are gone, so are the guests.
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
                .with_context(|| format!("the component {id}"))?;
            Ok((id.clone(), Arc::new(config)))
        });
        let components = components.collect::<anyhow::Result<_>>()?;
        Ok(Service { app, components, log: config.log, running: watch::Sender::new(()) })
    }

    /// Answers a request. An error closes the connection without an answer, as Spin does.
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        client: SocketAddr,
    ) -> anyhow::Result<Response<Body>> {
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix("/.well-known/spin/") {
            return self.well_known(name);
        }
        let Some(route) = self.app.router.find(&path) else {
            return Ok(empty(StatusCode::NOT_FOUND));
        };
        make_absolute(&mut request)?;
        let trigger = &self.app.manifest.trigger.http[route.trigger];
        if let Some(fixed) = &trigger.static_response {
            return respond_fixed(fixed);
        }
        if !headers::are_text(request.headers()) {
            return odd_header();
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

    /// What Spin answers by itself: nothing of it can be routed to a component.
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

    /// Runs a fresh instance of the component. It may go on after it has answered, and is not
    /// stopped when the client goes away.
    async fn run(
        &self,
        id: &str,
        mut request: Request<Incoming>,
        route: &RouteMatch<'_>,
        client: SocketAddr,
    ) -> anyhow::Result<Response<Body>> {
        let uri = request.uri().clone();
        headers::complete(request.headers_mut(), &uri, route, client)?;
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
        // A component sees plain HTTP, whatever stands before the server.
        let incoming =
            store.data_mut().http().new_incoming_request(types::Scheme::Http, request)?;
        let (answer, answered) = oneshot::channel();
        let warn = config.clone();
        let out = store.data_mut().http().new_response_outparam_from_callback(move |response| {
            let response = response.map(|response| response.map(|body| first_frame(body, &warn)));
            // Nobody waits for the answer any more when the client has gone.
            let _ = answer.send(response);
        })?;
        let running = self.running.subscribe();
        let guest = tokio::spawn(async move {
            let _running = running;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, incoming, out).await
        });
        match answered.await {
            Ok(response) => {
                let log = config.clone();
                tokio::spawn(async move {
                    if let Ok(Err(error)) = guest.await {
                        log.warn(&format!("failed after it had begun to answer: {error:?}"));
                    }
                });
                response.map_err(|code| anyhow!("the guest answered with an error: {code:?}"))
            }
            Err(_) => {
                guest.await.context("the guest panicked the host")??;
                Err(anyhow!("the guest returned without an answer"))
            }
        }
    }
}

/// Counts the instructions of the instance, between each two calls of the host and in all.
fn meter(store: &mut Store<State>) -> wasmtime::Result<()> {
    store.set_fuel(u64::MAX)?;
    let mut left = u64::MAX;
    store.call_hook(move |store, hook| {
        let now = store.get_fuel()?;
        if hook.exiting_host() {
            left = now;
        } else {
            let done = left.saturating_sub(now);
            store.data().component.work.fetch_max(done, Ordering::Relaxed);
            store.data().component.instructions.fetch_add(done, Ordering::Relaxed);
        }
        Ok(())
    });
    Ok(())
}

/// The authority of the request, from its target or its `Host`. Without one, or with two that
/// differ, Spin closes the connection.
fn make_absolute(request: &mut Request<Incoming>) -> anyhow::Result<()> {
    let host = request.headers().get(header::HOST);
    let host = host.map(|host| Authority::try_from(host.as_bytes())).transpose()?;
    let mut parts = request.uri().clone().into_parts();
    let authority = match (host, parts.authority.take()) {
        (Some(host), Some(target)) if host != target => {
            return Err(anyhow!("the Host differs from the authority in the target"));
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err(anyhow!("there is no Host")),
    };
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(())
}

fn respond_fixed(fixed: &StaticResponse) -> anyhow::Result<Response<Body>> {
    let mut response = Response::builder().status(fixed.status_code.unwrap_or(200));
    for (name, value) in &fixed.headers {
        response = response.header(name, value);
    }
    Ok(response.body(full(fixed.body.clone().unwrap_or_default()))?)
}

/// Kinder than Spin, which answers with an empty 500: it is the client's mistake.
fn odd_header() -> anyhow::Result<Response<Body>> {
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

/// Looks, at the moment at which a guest sets its response, whether the body has begun: under Spin,
/// a head that is sent before it waits 40 ms for the body on every kept connection.
fn first_frame(mut body: HyperOutgoingBody, component: &ComponentConfig) -> Body {
    let mut context = TaskContext::from_waker(Waker::noop());
    let first = match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(first) => Some(first),
        Poll::Pending => {
            component.warn("the head was sent before the body: Spin would stall it for 40 ms");
            None
        }
    };
    Begun { first, rest: body }.boxed_unsync()
}

/// A body whose first frame has been taken already.
struct Begun {
    first: Option<Option<Result<Frame<Bytes>, wasmtime_wasi_http::Error>>>,
    rest: HyperOutgoingBody,
}

impl hyper::body::Body for Begun {
    type Data = Bytes;
    type Error = wasmtime_wasi_http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.first.take() {
            Some(None) => {
                // The end stays the end.
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
                    // Too many open files, say: it passes, and ending would help nobody.
                    (service.log)(&format!("warning: a connection was not accepted: {error}"));
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
    if tokio::time::timeout(DRAIN, finished).await.is_err() {
        (service.log)("warning: some requests did not finish in time");
    }
}

fn serve(
    service: Arc<Service>,
    connections: &GracefulShutdown,
    stream: TcpStream,
    client: SocketAddr,
) {
    // Kinder than Spin: a small answer does not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let log = service.log.clone();
    let service = service_fn(move |request| {
        let service = service.clone();
        async move { service.answer(request, client).await }
    });
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // A client that goes away is no news.
            let ours = error.downcast_ref::<hyper::Error>().is_none_or(hyper::Error::is_user);
            if ours {
                log(&format!("warning: a connection was closed without an answer: {error}"));
            }
        }
    });
}
