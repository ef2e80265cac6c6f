//! An OTLP collector that stores the spans it receives.

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

/// An HTTP endpoint for traces, and the spans it has received.
pub(crate) struct Collector {
    endpoint: String,
    store: Arc<SpanStore>,
}

#[derive(Default)]
struct SpanStore {
    spans: Mutex<Vec<Span>>,
    added: Condvar,
}

/// The fields of a span that tests need. Ids are in hexadecimal.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace_id: String,
    pub(crate) parent_id: String,
    /// The string attributes of all events.
    pub(crate) events: Vec<String>,
}

impl Collector {
    /// Starts a collector on a free port. It runs until the test process ends.
    pub(crate) fn start() -> Collector {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let store: Arc<SpanStore> = Arc::default();
        RUNTIME.spawn(accept(listener, store.clone()));
        Collector { endpoint: format!("http://{address}/v1/traces"), store }
    }

    /// Returns the environment variables that make Spin export its spans here without delay.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 2] {
        [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &self.endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "10")]
    }

    /// Waits until spans with all of these names have arrived, and returns all spans.
    pub(crate) fn wait_for(&self, names: &[&str]) -> Vec<Span> {
        let is_missing = |name, spans: &[Span]| spans.iter().all(|span| span.name != name);
        let spans = self.store.spans.lock().expect("no panic");
        let timeout = Duration::from_secs(30);
        let result = self.store.added.wait_timeout_while(spans, timeout, |spans| {
            names.iter().any(|&name| is_missing(name, spans))
        });
        let (spans, result) = result.expect("no panic");
        assert!(!result.timed_out(), "expected {names:?} in {spans:?}");
        spans.clone()
    }
}

async fn accept(listener: TcpListener, store: Arc<SpanStore>) {
    while let Ok((stream, _)) = listener.accept().await {
        let store = store.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| receive(request, store.clone()));
            let builder = Builder::new(TokioExecutor::new());
            // Fails when Spin exits.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn receive(
    request: Request<Incoming>,
    store: Arc<SpanStore>,
) -> anyhow::Result<Response<Empty<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    // ExportTraceServiceRequest: resource_spans, scope_spans, spans.
    let spans = values(&body, &[1, 2, 2]).into_iter().map(|span| Span {
        name: strings(&span, &[5]).concat(),
        trace_id: hex(&span, &[1]),
        parent_id: hex(&span, &[4]),
        events: strings(&span, &[11, 3, 2, 1]), // events, attributes, value, string_value
    });
    store.spans.lock().expect("no panic").extend(spans);
    store.added.notify_all();
    Ok(Response::default())
}

/// Returns the values of a nested field, whose path consists of field numbers. The numbers are from
/// `opentelemetry/proto/trace/v1/trace.proto`, where they are stable.
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

fn strings(message: &[u8], path: &[u32]) -> Vec<String> {
    let string = |value| String::from_utf8(value).expect("UTF-8");
    values(message, path).into_iter().map(string).collect()
}

fn hex(message: &[u8], path: &[u32]) -> String {
    let bytes = values(message, path).concat();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
