//! The HTTP endpoints for Kubernetes and Prometheus: `/healthz`, `/readyz` and `/metrics`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::shared::Shared;

/// How long a client may take to send its request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the endpoints. Never returns.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // For example, there are too many open files.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let shared = shared.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = respond(request.method(), request.uri().path(), &shared);
            async { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

fn respond(method: &Method, path: &str, shared: &Shared) -> Response<Full<Bytes>> {
    let missing = shared.metrics.missing();
    let (status, text) = match path {
        _ if method != Method::GET => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if missing.is_empty() => (StatusCode::OK, "ready\n".to_owned()),
        "/readyz" => {
            let lines = missing.iter().map(|peer| format!("not connected to {peer}\n"));
            (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
        }
        "/metrics" => (StatusCode::OK, shared.metrics.render()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let content_type = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Peer, Timing};

    #[test]
    fn readiness_requires_all_connections() {
        let shared = Shared::new(Timing::default(), Arc::new(|_| ()));
        shared.metrics.require(Peer::Database);
        let status = |path| respond(&Method::GET, path, &shared).status();
        assert_eq!(status("/readyz"), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status("/healthz"), StatusCode::OK);
        shared.metrics.set_connected(Peer::Database, true);
        assert_eq!(status("/readyz"), StatusCode::OK);
        assert_eq!(status("/"), StatusCode::NOT_FOUND);
        let post = respond(&Method::POST, "/metrics", &shared).status();
        assert_eq!(post, StatusCode::METHOD_NOT_ALLOWED);
    }
}
