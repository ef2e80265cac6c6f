//! The HTTP server. Each request runs in a fresh instance, as under Spin's HTTP trigger.

mod connection;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context as TaskContext, Poll, Waker};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Frame, Incoming};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::app::App;
use crate::component::ComponentConfig;
use crate::limits::Limits;
use crate::manifest::{Manifest, StaticResponse};
use crate::pool::Pools;
use crate::request_body::{self, RequestBody};
use crate::router::RouteMatch;
use crate::state::State;
use crate::variables::Variables;
use crate::{Log, headers, local_host};
use connection::Client;

/// The maximum number of small bodies that are read before their instances start, 16 MiB in total.
const MAX_SMALL_BODIES: usize = 1000;

/// The configuration of a [`Server`].
pub struct Config {
    /// Values for the manifest's variables. A variable without one takes its value from
    /// `SPIN_VARIABLE_<NAME>` in the environment, from `.env`, or from the manifest's default, in
    /// this order.
    pub variables: BTreeMap<String, String>,
    /// Whether a request for a host other than `localhost` or an IP address gets a 421 response.
    /// This protects a listener on the loopback interface from DNS rebinding.
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
    /// Serves the application on `listener` with the default [`Limits`], until [`Server::stop`] is
    /// called.
    pub fn start(app: Arc<App>, listener: TcpListener, config: Config) -> anyhow::Result<Server> {
        Server::start_with_limits(app, listener, config, Limits::default())
    }

    /// Like [`Server::start`], but with these limits.
    pub fn start_with_limits(
        app: Arc<App>,
        listener: TcpListener,
        config: Config,
        limits: Limits,
    ) -> anyhow::Result<Server> {
        let address = listener.local_addr()?;
        let service = Arc::new(Service::new(app, config, limits)?);
        let (stop, stopped) = watch::channel(());
        let accept_task = tokio::spawn(connection::accept(service.clone(), listener, stopped));
        Ok(Server { service, address, stop, accept_task })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves another build of the application from now on. Requests in progress end with the
    /// previous one. The variables keep their values.
    pub fn replace(&self, app: Arc<App>) -> anyhow::Result<()> {
        self.service.replace(app)
    }

    /// Returns the largest memory of any instance of the component so far, in bytes.
    pub fn peak_memory(&self, component: &str) -> Option<usize> {
        let application = self.service.application();
        let config = application.components.get(component)?;
        Some(config.peak_memory.load(Ordering::Relaxed))
    }

    /// Returns the largest number of WebAssembly instructions that the component ran between two
    /// host calls, and resets it. Spin never interrupts a guest between two host calls. Returns
    /// `None` unless the application is metered.
    pub fn take_longest_run(&self, component: &str) -> Option<u64> {
        let application = self.service.application();
        let config = application.components.get(component)?;
        application.app.metered.then(|| config.longest_run.swap(0, Ordering::Relaxed))
    }

    /// Returns the number of WebAssembly instructions of all requests to the component, and resets
    /// it. Waits until no guest is running, because a guest may continue after its response.
    /// Returns `None` unless the application is metered.
    pub async fn take_instructions(&self, component: &str) -> Option<u64> {
        let application = self.service.application();
        let config = application.components.get(component)?;
        self.service.running.closed().await;
        application.app.metered.then(|| config.instructions.swap(0, Ordering::Relaxed))
    }

    /// Stops accepting connections and waits up to ten seconds for requests in progress. Spin does
    /// not wait.
    pub async fn stop(self) {
        // An error means that the task has already ended.
        let _ = self.stop.send(());
        let _ = self.accept_task.await;
    }
}

/// The state of a [`Server`] that all requests share.
pub(crate) struct Service {
    application: RwLock<Arc<Application>>,
    /// The values for the variables of the manifest.
    variables: BTreeMap<String, String>,
    pools: Arc<Pools>,
    local_hosts_only: bool,
    pub(crate) log: Log,
    /// Closed when no guest is running: each running guest holds a receiver.
    pub(crate) running: watch::Sender<()>,
    pub(crate) limits: Limits,
    instances: Arc<Semaphore>,
    incomplete_bodies: Arc<Semaphore>,
    /// Bounds the memory of small bodies that are read before their instances start.
    small_bodies: Semaphore,
}

/// An application, and the configuration of its components.
struct Application {
    app: Arc<App>,
    components: BTreeMap<String, Arc<ComponentConfig>>,
}

impl Application {
    fn new(
        app: Arc<App>,
        variables: &BTreeMap<String, String>,
        pools: &Arc<Pools>,
        log: &Log,
    ) -> anyhow::Result<Application> {
        let variables = Variables::resolve(&app.manifest, variables)?;
        let components = app.manifest.component.iter().map(|(id, component)| {
            let (pools, log) = (pools.clone(), log.clone());
            let config = ComponentConfig::new(id, component, &variables, pools, log)
                .with_context(|| format!("component {id}"))?;
            Ok((id.clone(), Arc::new(config)))
        });
        let components = components.collect::<anyhow::Result<_>>()?;
        Ok(Application { app, components })
    }
}

type Body = UnsyncBoxBody<Bytes, wasmtime_wasi_http::Error>;

impl Service {
    fn new(app: Arc<App>, config: Config, limits: Limits) -> anyhow::Result<Service> {
        let Config { variables, local_hosts_only, log } = config;
        let pools = Arc::new(Pools::new(limits.pool_wait));
        let application = Application::new(app, &variables, &pools, &log)?;
        Ok(Service {
            application: RwLock::new(Arc::new(application)),
            variables,
            pools,
            local_hosts_only,
            log,
            running: watch::Sender::new(()),
            instances: Arc::new(Semaphore::new(limits.instances)),
            incomplete_bodies: Arc::new(Semaphore::new(limits.incomplete_bodies)),
            small_bodies: Semaphore::new(MAX_SMALL_BODIES),
            limits,
        })
    }

    fn application(&self) -> Arc<Application> {
        self.application.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, app: Arc<App>) -> anyhow::Result<()> {
        let application = Application::new(app, &self.variables, &self.pools, &self.log)?;
        *self.application.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(application);
        Ok(())
    }

    /// Handles a request. An error closes the connection without a response, as in Spin.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        client: &Arc<Client>,
    ) -> anyhow::Result<Response<Body>> {
        let method = request.method().clone();
        Ok(omit_content(&method, self.respond(request, client).await?))
    }

    async fn respond(
        &self,
        mut request: Request<Incoming>,
        client: &Arc<Client>,
    ) -> anyhow::Result<Response<Body>> {
        if self.local_hosts_only && !local_host::is_requested(&request) {
            return Ok(empty(StatusCode::MISDIRECTED_REQUEST));
        }
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix("/.well-known/spin/") {
            return well_known(name, &self.application().app.manifest);
        }
        if client.is_extra {
            return too_many("connections");
        }
        let application = self.application();
        let Some(route) = application.app.router.find(&path) else {
            return Ok(empty(StatusCode::NOT_FOUND));
        };
        make_absolute(&mut request)?;
        let trigger = &application.app.manifest.trigger.http[route.trigger];
        if let Some(response) = &trigger.static_response {
            return static_response(response);
        }
        if !headers::are_utf8(request.headers()) {
            return problem(StatusCode::BAD_REQUEST, "a header is not UTF-8");
        }
        let component = trigger.component.as_deref().unwrap_or_default();
        let Some(request) = self.admit_body(request).await else {
            return too_many("incomplete requests");
        };
        let Ok(instance) = self.instances.clone().try_acquire_owned() else {
            return too_many("requests in progress");
        };
        match self.run(&application, component, request, &route, client, instance).await {
            Ok(response) => Ok(response),
            Err(error) => {
                (self.log)(&format!("error: {component}: {error:?}"));
                Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    /// Counts a body as incomplete until its end has been read. Returns `None` if too many bodies
    /// are incomplete.
    async fn admit_body(&self, request: Request<Incoming>) -> Option<Request<Body>> {
        let (head, body) = request.into_parts();
        let body = if body.is_end_stream() {
            full("")
        } else if let Ok(permit) = self.incomplete_bodies.clone().try_acquire_owned() {
            RequestBody::new(body, permit, self.limits.body_idle).boxed_unsync()
        } else {
            let _permit = self.small_bodies.try_acquire().ok()?;
            full(request_body::read_small(body).await?)
        };
        Some(Request::from_parts(head, body))
    }

    /// Runs a fresh instance of the component. The guest may continue after its response, and is
    /// not stopped when the client disconnects.
    async fn run(
        &self,
        Application { app, components }: &Application,
        id: &str,
        mut request: Request<Body>,
        route: &RouteMatch<'_>,
        client: &Arc<Client>,
        instance: OwnedSemaphorePermit,
    ) -> anyhow::Result<Response<Body>> {
        let uri = request.uri().clone();
        headers::append_spin_headers(request.headers_mut(), &uri, route, client.address)?;
        let pre = app.components.get(id).context("no such component")?;
        let config = &components[id];
        let mut store = Store::new(&app.engine, State::new(config.clone()));
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.limiter(|state| state);
        if app.metered {
            meter(&mut store)?;
        }
        let proxy = pre.instantiate_async(&mut store).await?;
        // The scheme is always http, even behind a proxy that terminates TLS.
        let incoming =
            store.data_mut().http().new_incoming_request(types::Scheme::Http, request)?;
        let (sender, receiver) = oneshot::channel();
        let component = config.clone();
        let instance = Arc::new(instance);
        let sending = instance.clone();
        let out = store.data_mut().http().new_response_outparam_from_callback(move |response| {
            let peek = |body| peek(body, &component, sending);
            let response = response.map(|response| response.map(peek));
            // The receiver is dropped when the client has disconnected.
            let _ = sender.send(response);
        })?;
        let running = (self.running.subscribe(), client.begin(), instance);
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

/// Handles a path under `/.well-known/spin/`, which Spin never routes to a component.
fn well_known(name: &str, manifest: &Manifest) -> anyhow::Result<Response<Body>> {
    #[derive(Serialize)]
    struct Info<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        version: &'a str,
    }

    match name {
        "health" => Ok(Response::new(full("OK"))),
        "info" => {
            let application = &manifest.application;
            let info = Info { name: &application.name, version: &application.version };
            Ok(Response::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .body(full(serde_json::to_vec_pretty(&info)?))?)
        }
        _ => Ok(empty(StatusCode::NOT_FOUND)),
    }
}

/// Counts the instructions of the instance: the total, and the maximum between two host calls.
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
/// if both are missing or they differ; Spin closes the connection in these cases.
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

/// Returns a 503 response that asks for a retry.
fn too_many(what: &str) -> anyhow::Result<Response<Body>> {
    let detail = format!("too many {what}; try again later");
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, &detail)?;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Ok(response)
}

/// Returns problem details in the format of `crates/web`.
fn problem(status: StatusCode, detail: &str) -> anyhow::Result<Response<Body>> {
    #[derive(Serialize)]
    struct Problem<'a> {
        r#type: &'a str,
        title: &'a str,
        status: u16,
        detail: &'a str,
    }

    let title = status.canonical_reason().unwrap_or_default();
    let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail };
    Ok(Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/problem+json")
        .body(full(serde_json::to_vec(&problem)?))?)
}

/// Removes the content of responses that must not have any: those to HEAD, 204 and 304. Preserves
/// the length of a response to HEAD. Spin leaves this to hyper, which does it over HTTP/1 only.
fn omit_content(method: &Method, response: Response<Body>) -> Response<Body> {
    let forbids_content =
        matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if method != Method::HEAD && !forbids_content {
        return response;
    }
    let (mut head, body) = response.into_parts();
    if let (Some(length), false) = (body.size_hint().exact(), forbids_content) {
        head.headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, full(""))
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
fn peek(
    mut body: HyperOutgoingBody,
    component: &ComponentConfig,
    instance: Arc<OwnedSemaphorePermit>,
) -> Body {
    let mut context = TaskContext::from_waker(Waker::noop());
    let first = match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(first) => Some(first),
        Poll::Pending => {
            component.warn("the head was sent before the body: Spin stalls it for 40 ms");
            None
        }
    };
    PeekedBody { first, rest: body, _instance: instance }.boxed_unsync()
}

/// A body whose first frame has already been polled.
struct PeekedBody {
    first: Option<Option<Result<Frame<Bytes>, wasmtime_wasi_http::Error>>>,
    rest: HyperOutgoingBody,
    /// Counts the instance until the response has been sent.
    _instance: Arc<OwnedSemaphorePermit>,
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
