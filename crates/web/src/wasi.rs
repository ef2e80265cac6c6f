//! Serves requests of the host through `wasi:http`.

use std::cell::Cell;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::log::LogLine;
use crate::pace::Pace;
use crate::router::dispatch;
use crate::{Interrupted, Reply, Request, RequestSource, Routes, body};

use crate::bindings::wasi::cli::stdout::get_stdout;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::http::types as wasi;
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

pub use crate::bindings::export;
pub use crate::bindings::exports::wasi::http::incoming_handler::Guest;
pub use crate::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

/// Handles one request and writes its log line.
pub fn serve<C: Default>(
    component: &'static str,
    routes: Routes<C>,
    request: IncomingRequest,
    response: ResponseOutparam,
) {
    let start = now();
    let mut request = receive(request);
    let line = LogLine::new(component, &request);
    let (route, reply) = dispatch(routes, &C::default(), &mut request);
    let reply = send(&request.method, reply, response);
    log(&line.finish(route, &reply, now() - start));
    body::drain(&request);
}

fn receive(incoming: IncomingRequest) -> Request {
    let method = match incoming.method() {
        wasi::Method::Get => Method::GET,
        wasi::Method::Head => Method::HEAD,
        wasi::Method::Post => Method::POST,
        wasi::Method::Put => Method::PUT,
        wasi::Method::Delete => Method::DELETE,
        wasi::Method::Connect => Method::CONNECT,
        wasi::Method::Options => Method::OPTIONS,
        wasi::Method::Trace => Method::TRACE,
        wasi::Method::Patch => Method::PATCH,
        // The host accepts only valid names. No route handles CONNECT, so the fallback returns 405.
        wasi::Method::Other(name) => Method::from_bytes(name.as_bytes()).unwrap_or(Method::CONNECT),
    };
    let target = incoming.path_with_query().unwrap_or_default();
    let headers = incoming.headers();
    let source = Incoming { body: Cell::new(Body::Unread), headers, request: incoming };
    Request::new(method, &target, Box::new(source))
}

/// A request on the host. WASI requires child resources to be dropped first, so the order
/// of the fields matters.
struct Incoming {
    body: Cell<Body>,
    headers: wasi::Headers,
    request: IncomingRequest,
}

enum Body {
    Unread,
    Open(OpenBody),
    Ended,
}

struct OpenBody {
    stream: InputStream,
    pace: Pace,
    #[expect(dead_code, reason = "the stream is its child and has to be dropped first")]
    body: wasi::IncomingBody,
}

/// The maximum number of bytes to read from a body at a time.
const CHUNK_BYTES: u64 = 64 << 10;

impl RequestSource for Incoming {
    fn header(&self, name: &str) -> (usize, String) {
        let values = self.headers.get(name);
        // The headers read here are ASCII: a value with other bytes is invalid in any case.
        let joined = String::from_utf8(values.join(b", ".as_slice())).unwrap_or_default();
        (values.len(), joined)
    }

    fn read(&self, idle: Duration) -> Result<Vec<u8>, Interrupted> {
        let mut open = match self.body.replace(Body::Ended) {
            Body::Open(open) => open,
            Body::Ended => return Ok(Vec::new()),
            Body::Unread => {
                let body = self.request.consume().map_err(|()| Interrupted::Closed)?;
                let stream = body.stream().map_err(|()| Interrupted::Closed)?;
                OpenBody { stream, pace: Pace::new(now()), body }
            }
        };
        loop {
            match open.stream.read(CHUNK_BYTES) {
                Ok(bytes) if bytes.is_empty() => {
                    if !wait(&open.stream.subscribe(), &open.pace, idle) {
                        return Err(Interrupted::TimedOut);
                    }
                }
                Ok(bytes) => {
                    open.pace.advance(bytes.len());
                    self.body.set(Body::Open(open));
                    return Ok(bytes);
                }
                Err(StreamError::Closed) => return Ok(Vec::new()),
                Err(StreamError::LastOperationFailed(_)) => return Err(Interrupted::Closed),
            }
        }
    }

    fn finish(&self) {
        self.body.set(Body::Ended);
    }

    fn is_finished(&self) -> bool {
        let body = self.body.replace(Body::Ended);
        let finished = matches!(body, Body::Ended);
        self.body.set(body);
        finished
    }
}

/// Returns the time of the monotonic clock.
fn now() -> Duration {
    Duration::from_nanos(monotonic_clock::now())
}

/// Waits until the stream is ready. Returns `false` when the client has used up its time, of which
/// it may use `idle` at once.
fn wait(ready: &Pollable, pace: &Pace, idle: Duration) -> bool {
    let Some(remaining) = pace.remaining(now()) else { return false };
    let remaining = remaining.min(idle);
    let timeout = monotonic_clock::subscribe_duration(remaining.as_nanos() as u64);
    poll(&[ready, &timeout]).contains(&0)
}

/// Sends the body before the head. Returns the reply that was sent.
///
/// Spin does not set TCP_NODELAY: a head that is sent first delays its body by 40 ms, and a trap in
/// between would look like a complete response. The part of the body that exceeds the buffer of the
/// host (1 MiB in Spin) follows the head; a client then detects an incomplete body by
/// `content-length` or its syntax.
fn send(method: &Method, mut reply: Reply, out: ResponseOutparam) -> Reply {
    let response = wasi::OutgoingResponse::new(headers(&reply));
    // 200 is the default, and each call into the host takes 1 to 4 µs.
    if reply.status != StatusCode::OK {
        let _ = response.set_status_code(reply.status.as_u16());
    }
    // Spin omits the content over HTTP/1 only. A body that is never opened is empty: hosts compare
    // the bytes written with `content-length` only when a body is finished.
    if method == Method::HEAD || forbids_content(reply.status) {
        ResponseOutparam::set(out, Ok(response));
        return reply;
    }
    // Both calls fail only when they are repeated.
    let Ok(sink) = response.body() else { return reply };
    let Ok(stream) = sink.write() else { return reply };
    let mut unsent = Some((out, response));
    let mut send_head = || {
        if let Some((out, response)) = unsent.take() {
            ResponseOutparam::set(out, Ok(response));
        }
    };
    let mut pace = Pace::new(now());
    let failure = loop {
        match reply.body.next() {
            // An error means that the client has closed the connection or reads too slowly.
            Ok(Some(chunk)) if !write_all(&stream, &chunk, &mut pace, &mut send_head) => {
                break None;
            }
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(problem) => break Some(Reply::from(problem)),
        }
    };
    drop(stream);
    let Some(failure) = failure else {
        let _ = wasi::OutgoingBody::finish(sink, None);
        send_head();
        return reply;
    };
    match unsent {
        Some((out, _)) => send(method, failure, out),
        // Dropping the body without finishing it truncates the response.
        None => Reply { cause: failure.cause, ..reply },
    }
}

/// Writes the whole chunk. Sends the head as soon as the host's buffer is full. Returns `false`
/// when the client has closed the connection or reads too slowly.
fn write_all(
    stream: &OutputStream,
    mut chunk: &[u8],
    pace: &mut Pace,
    send_head: &mut dyn FnMut(),
) -> bool {
    while !chunk.is_empty() {
        let Ok(permitted) = stream.check_write() else { return false };
        let permitted = usize::try_from(permitted).unwrap_or(usize::MAX);
        if permitted == 0 {
            send_head();
            if !wait(&stream.subscribe(), pace, body::IDLE) {
                return false;
            }
            continue;
        }
        let (now, later) = chunk.split_at(permitted.min(chunk.len()));
        if stream.write(now).is_err() {
            return false;
        }
        pace.advance(now.len());
        chunk = later;
    }
    true
}

/// Returns whether responses with this status code have neither content nor a length (RFC 9110,
/// section 8.6).
fn forbids_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn headers(reply: &Reply) -> wasi::Fields {
    let bytes = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut headers: Vec<_> =
        reply.headers.iter().map(|(name, value)| bytes(name, value)).collect();
    let length = reply.body.length().filter(|_| !forbids_content(reply.status));
    headers.extend(length.map(|length| bytes("content-length", &length.to_string())));
    // One call for all headers. No host forbids any of them.
    wasi::Fields::from_list(&headers).unwrap_or_else(|_| wasi::Fields::new())
}

/// Writes the line: in one call if it has at most 4 KiB, the maximum of a WASI write.
fn log(line: &[u8]) {
    let stdout = get_stdout();
    for piece in line.chunks(4096) {
        // An error means that standard output is closed.
        let _ = stdout.blocking_write_and_flush(piece);
    }
}
