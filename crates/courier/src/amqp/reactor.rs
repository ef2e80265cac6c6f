//! The connections of the AMQP library, with this crate's TLS configuration. The library's own TLS
//! support would add PKCS #12 and its obsolete ciphers.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tokio_util::compat::TokioAsyncReadCompatExt;

/// A connection, encrypted or not.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Opens connections on tokio's runtime.
#[derive(Clone)]
pub(super) struct TlsReactor {
    tokio: Tokio,
    handle: Handle,
    /// `None` for connections without TLS.
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Returns the current tokio runtime, with TLS to the named server if given.
pub(super) fn runtime(
    tls: Option<(TlsConnector, ServerName<'static>)>,
) -> Runtime<RuntimeParts<Tokio, TlsReactor>> {
    let tokio = Tokio::current();
    let reactor = TlsReactor { tokio: tokio.clone(), handle: Handle::current(), tls };
    Runtime::new(RuntimeParts::new(tokio, reactor))
}

impl Reactor for TlsReactor {
    type TcpStream = Box<dyn Connection>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let (tls, handle) = (self.tls.clone(), self.handle.clone());
        async move {
            // The library polls this on a thread of its own, outside of tokio's context.
            let connected = handle.spawn(connect(address, tls)).await;
            connected.map_err(io::Error::other)?
        }
    }
}

async fn connect(
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
) -> io::Result<Box<dyn Connection>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(match tls {
        None => Box::new(tcp.compat()),
        Some((tls, name)) => Box::new(tls.connect(name, tcp).await?.compat()),
    })
}

impl std::fmt::Debug for TlsReactor {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("TlsReactor").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}
