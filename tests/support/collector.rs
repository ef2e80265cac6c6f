//! A collector of spans: what an engine sends OTLP to.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use protobuf::CodedInputStream;
use protobuf::rt::WireType;
use tokio::net::TcpListener;

use crate::support::RUNTIME;

/// Keeps every span that it is sent.
pub(crate) struct Collector {
    endpoint: String,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    more: Condvar,
}

/// What the tests look at in a span. Ids are in hexadecimal digits.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace_id: String,
    pub(crate) parent_id: String,
    /// The texts among the attributes of its events.
    pub(crate) events: Vec<String>,
}

impl Collector {
    /// On a port of its own, for as long as the tests run.
    pub(crate) fn start() -> Collector {
        let bound = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = bound.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let kept: Arc<Kept> = Arc::default();
        RUNTIME.spawn(accept(listener, kept.clone()));
        Collector { endpoint: format!("http://{address}/v1/traces"), kept }
    }

    /// What tells an engine to send its spans here, and soon.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 2] {
        [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &self.endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "10")]
    }

    /// All spans so far, once there is one of each of these names.
    pub(crate) fn wait_for(&self, names: &[&str]) -> Vec<Span> {
        let is_missing = |name, spans: &[Span]| spans.iter().all(|span| span.name != name);
        let spans = self.kept.spans.lock().expect("no panic");
        let limit = Duration::from_secs(30);
        let waited = self.kept.more.wait_timeout_while(spans, limit, |spans| {
            names.iter().any(|&name| is_missing(name, spans))
        });
        let (spans, timeout) = waited.expect("no panic");
        assert!(!timeout.timed_out(), "{names:?} in {spans:?}");
        spans.clone()
    }
}

async fn accept(listener: TcpListener, kept: Arc<Kept>) {
    while let Ok((stream, _)) = listener.accept().await {
        let kept = kept.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| keep(request, kept.clone()));
            let builder = Builder::new(TokioExecutor::new());
            // The engine's end ends it.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn keep(
    request: Request<Incoming>,
    kept: Arc<Kept>,
) -> anyhow::Result<Response<Empty<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    // ExportTraceServiceRequest: resource_spans, scope_spans, spans.
    let spans = values(&body, &[1, 2, 2]).into_iter().map(|span| Span {
        name: texts(&span, &[5]).concat(),
        trace_id: digits(&span, &[1]),
        parent_id: digits(&span, &[4]),
        events: texts(&span, &[11, 3, 2, 1]), // events, attributes, value, string_value
    });
    kept.spans.lock().expect("no panic").extend(spans);
    kept.more.notify_all();
    Ok(Response::default())
}

/// What stands in a message under these numbers of fields, one inside of the other. The numbers are
/// those of `opentelemetry/proto/trace/v1/trace.proto`, which are stable.
fn values(message: &[u8], path: &[u32]) -> Vec<Vec<u8>> {
    let Some((&field, rest)) = path.split_first() else { return vec![message.to_owned()] };
    let mut input = CodedInputStream::from_bytes(message);
    let mut found = Vec::new();
    while let Some(tag) = input.read_raw_tag_or_eof().expect("a tag") {
        match WireType::new(tag & 7).expect("a type") {
            WireType::LengthDelimited if tag >> 3 == field => {
                found.extend(values(&input.read_bytes().expect("a value"), rest));
            }
            other => input.skip_field(other).expect("a value"),
        }
    }
    found
}

fn texts(message: &[u8], path: &[u32]) -> Vec<String> {
    let text = |value| String::from_utf8(value).expect("UTF-8");
    values(message, path).into_iter().map(text).collect()
}

fn digits(message: &[u8], path: &[u32]) -> String {
    let bytes = values(message, path).concat();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
