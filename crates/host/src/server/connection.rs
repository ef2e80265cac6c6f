//! Client connections: their maximum number, and the timeouts that close them.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep};

use super::Service;
use crate::limits::Limits;

/// How long [`accept`] waits for requests in progress after it has been stopped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of connections beyond [`Limits::connections`].
const EXTRA_CONNECTIONS: usize = 64;
/// The value of [`Limits::idle`] for the connections beyond [`Limits::connections`].
const EXTRA_IDLE: Duration = Duration::from_secs(1);
/// The time for a closing connection to send the rest of its responses, as a multiple of
/// [`Limits::idle`]. At 8 KiB/s, the minimum rate of components, 1 MiB takes 128 s.
const CLOSING_IDLES: u32 = 6;
/// The maximum size of the head of an HTTP/2 request in bytes: the default of hyper, and of Spin.
const HTTP2_HEAD_BYTES: u32 = 16 << 10;
/// The HTTP/2 windows in bytes, which bound the unread part of request bodies. hyper's are 1 MiB.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
/// The timeout for the acknowledgment of an HTTP/2 ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The client at the other end of a connection.
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    /// Whether the connection exceeds [`Limits::connections`].
    pub(crate) is_extra: bool,
    activity: Activity,
}

impl Client {
    /// Counts a request as running until the returned guard is dropped.
    pub(crate) fn begin(self: &Arc<Client>) -> Running {
        self.activity.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }
}

/// A running request. Its connection is not idle.
pub(crate) struct Running(Arc<Client>);

impl Drop for Running {
    fn drop(&mut self) {
        let activity = &self.0.activity;
        activity.last_end.store(activity.now(), Ordering::Relaxed);
        activity.running.fetch_sub(1, Ordering::Release);
    }
}

/// The activity on a connection. Times are in milliseconds since it was accepted.
struct Activity {
    start: Instant,
    /// The number of running requests.
    running: AtomicUsize,
    last_end: AtomicU64,
    last_byte: AtomicU64,
}

impl Activity {
    fn new() -> Activity {
        Activity {
            start: Instant::now(),
            running: AtomicUsize::new(0),
            last_end: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn since(&self, event: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(event.load(Ordering::Relaxed)))
    }

    /// Returns the time since the last request ended, or zero while one is running.
    fn idle(&self) -> Duration {
        match self.running.load(Ordering::Acquire) {
            0 => self.since(&self.last_end),
            _ => Duration::ZERO,
        }
    }
}

/// Accepts connections until `stopped` changes, then waits for the requests in progress.
pub(crate) async fn accept(
    service: Arc<Service>,
    listener: TcpListener,
    mut stopped: watch::Receiver<()>,
) {
    let open = Arc::new(Semaphore::new(service.limits.connections));
    let extra = Arc::new(Semaphore::new(EXTRA_CONNECTIONS));
    let connections = watch::Sender::new(());
    loop {
        let next = async {
            let (stream, address) = listener.accept().await?;
            let permit = match open.clone().try_acquire_owned() {
                Ok(permit) => (permit, false),
                Err(_) => {
                    let permit = extra.clone().acquire_owned().await;
                    (permit.map_err(io::Error::other)?, true)
                }
            };
            io::Result::Ok((stream, address, permit))
        };
        tokio::select! {
            accepted = next => match accepted {
                Ok((stream, address, (permit, is_extra))) => {
                    let client = Client { address, is_extra, activity: Activity::new() };
                    let closing = connections.subscribe();
                    tokio::spawn(serve(service.clone(), stream, client.into(), permit, closing));
                }
                Err(error) => {
                    // Errors such as "too many open files" are transient.
                    (service.log)(&format!("warning: cannot accept a connection: {error}"));
                    sleep(Duration::from_millis(50)).await;
                }
            },
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    let finished = async {
        let _ = connections.send(()); // An error means that there are no connections.
        connections.closed().await;
        service.running.closed().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, finished).await.is_err() {
        (service.log)("warning: requests were still in progress 10 s after the shutdown began");
    }
}

async fn serve(
    service: Arc<Service>,
    stream: TcpStream,
    client: Arc<Client>,
    _permit: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<()>,
) {
    // Unlike under Spin, a small response does not wait for the acknowledgment of the previous one.
    let _ = stream.set_nodelay(true);
    let idle = if client.is_extra { EXTRA_IDLE } else { service.limits.idle };
    let stream = TokioIo::new(Tracked { stream, client: client.clone() });
    let handler = service_fn(|request| {
        let (service, client) = (service.clone(), client.clone());
        async move {
            let _running = client.begin();
            service.handle(request, &client).await
        }
    });
    let builder = builder(&service.limits, idle);
    let mut connection = pin!(builder.serve_connection(stream, handler));
    let mut closing: Option<Instant> = None;
    let result = loop {
        let wait = match closing {
            Some(_) => idle,
            None => idle.saturating_sub(client.activity.idle()),
        };
        tokio::select! {
            result = connection.as_mut() => break result,
            _ = stopped.changed(), if closing.is_none() => {
                connection.as_mut().graceful_shutdown();
                closing = Some(Instant::now());
            }
            () = sleep(wait) => {
                let activity = &client.activity;
                if activity.idle() < idle {
                    continue;
                }
                let Some(since) = closing else {
                    connection.as_mut().graceful_shutdown();
                    closing = Some(Instant::now());
                    continue;
                };
                // The client does not read the rest of a response, or reads it too slowly.
                let is_stalled = activity.since(&activity.last_byte) >= idle;
                if is_stalled || since.elapsed() >= CLOSING_IDLES * idle {
                    break Ok(());
                }
            }
        }
    };
    if let Err(error) = result {
        // Errors caused by a client that disconnects are not logged.
        let from_host = error.downcast_ref::<hyper::Error>().is_none_or(hyper::Error::is_user);
        if from_host {
            let text = format!("warning: a connection was closed without a response: {error}");
            (service.log)(&text);
        }
    }
}

fn builder(limits: &Limits, idle: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(limits.head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(HTTP2_HEAD_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(idle)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// A stream that records when bytes were last transferred.
struct Tracked {
    stream: TcpStream,
    client: Arc<Client>,
}

impl Tracked {
    fn record(&self) {
        let activity = &self.client.activity;
        activity.last_byte.store(activity.now(), Ordering::Relaxed);
    }
}

impl AsyncRead for Tracked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.record();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.record();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.record();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
