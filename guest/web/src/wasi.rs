//! Between `wasi:http` and the rest. The only file that knows wasm.

use std::cell::Cell;
use std::time::Duration;

use http::Method;

use crate::log::Line;
use crate::router::answer;
use crate::{Interrupted, Problem, Reply, Request, Routes, Source, body};

#[expect(missing_docs, reason = "generated from wit/world.wit")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "http",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "web::wasi::bindings",
    });
}

use bindings::fermyon::spin::variables;
use bindings::wasi::cli::stdout::get_stdout;
use bindings::wasi::clocks::monotonic_clock::now;
use bindings::wasi::http::types as wasi;
use bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

pub use bindings::export;
pub use bindings::exports::wasi::http::incoming_handler::Guest;
pub use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

/// Answers one request and writes its log line.
pub fn serve<C, E: Into<Problem>>(
    component: &'static str,
    routes: Routes<C, E>,
    context: fn() -> C,
    request: IncomingRequest,
    response: ResponseOutparam,
) {
    let start = now();
    let mut request = receive(request);
    let line = Line::begin(component, &request);
    // The context, and with it the database connection, is given back before the answer is sent.
    let (route, reply) = answer(routes, &context(), &mut request);
    let reply = send(reply, response);
    log(&line.end(route, &reply, Duration::from_nanos(now() - start)));
    body::discard(&request);
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
        // The methods that nothing here answers: which of them it is makes no difference.
        wasi::Method::Patch | wasi::Method::Other(_) => Method::PATCH,
    };
    let target = incoming.path_with_query().unwrap_or_default();
    let headers = incoming.headers();
    let source = Incoming { body: Cell::new(Body::NotOpened), headers, request: incoming };
    Request::new(method, &target, Box::new(source))
}

/// A request that the host holds. Fields are dropped in this order, children first, as WASI asks.
struct Incoming {
    body: Cell<Body>,
    headers: wasi::Headers,
    request: IncomingRequest,
}

enum Body {
    NotOpened,
    Open(OpenBody),
    Ended,
}

struct OpenBody {
    stream: InputStream,
    #[expect(dead_code, reason = "the stream is its child, and has to be dropped first")]
    body: wasi::IncomingBody,
}

/// The value of a variable of the application; `None` when the component has none of that name.
pub(crate) fn variable(name: &str) -> Option<String> {
    variables::get(name).ok()
}

/// How much of a body is asked for at a time.
const CHUNK: u64 = 64 << 10;

impl Source for Incoming {
    fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers.get(name).into_iter();
        let mut joined = values.next()?;
        for value in values {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(&value);
        }
        // What we look for is ASCII: other text can only differ from it.
        Some(String::from_utf8(joined).unwrap_or_default())
    }

    fn read(&self) -> Result<Vec<u8>, Interrupted> {
        let open = match self.body.replace(Body::Ended) {
            Body::Open(open) => open,
            Body::Ended => return Ok(Vec::new()),
            Body::NotOpened => {
                let body = self.request.consume().map_err(|()| Interrupted)?;
                let stream = body.stream().map_err(|()| Interrupted)?;
                OpenBody { stream, body }
            }
        };
        match open.stream.blocking_read(CHUNK) {
            Ok(bytes) => {
                self.body.set(Body::Open(open));
                Ok(bytes)
            }
            Err(StreamError::Closed) => Ok(Vec::new()),
            Err(StreamError::LastOperationFailed(_)) => Err(Interrupted),
        }
    }
}

/// Sends the body before the head; what has been sent. Spin does not set TCP_NODELAY: a head sent
/// first waits 40 ms for its body's turn, and a trap in between would look like a complete answer.
/// What the host does not take at once (Spin takes 1 MiB) follows the head; `content-length` then
/// tells the client when something is missing.
fn send(mut reply: Reply, out: ResponseOutparam) -> Reply {
    let response = wasi::OutgoingResponse::new(fields(&reply));
    let _ = response.set_status_code(reply.0.status.as_u16());
    // Neither has been taken before.
    let Ok(sink) = response.body() else { return reply };
    let Ok(stream) = sink.write() else { return reply };
    let mut unsent = Some((out, response));
    // In one place, so that the compiler sees that no error is ever sent: the code for all 39 is 1 KB.
    let mut head = || {
        if let Some((out, response)) = unsent.take() {
            ResponseOutparam::set(out, Ok(response));
        }
    };
    let broken = loop {
        match reply.0.body.next() {
            // An error here is a client that went away: there is nobody to tell.
            Ok(Some(chunk)) if write_all(&stream, &chunk, &mut head).is_err() => break None,
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(problem) => break Some(Reply::from(problem)),
        }
    };
    drop(stream);
    let Some(problem) = broken else {
        let _ = wasi::OutgoingBody::finish(sink, None);
        head();
        return reply;
    };
    match unsent {
        Some((out, _)) => send(problem, out),
        // What is not finished is cut off.
        None => {
            reply.0.cause = problem.0.cause;
            reply
        }
    }
}

/// Writes all of the chunk, and lets the head go where the host does not take it at once.
fn write_all(
    stream: &OutputStream,
    mut chunk: &[u8],
    head: &mut dyn FnMut(),
) -> Result<(), StreamError> {
    while !chunk.is_empty() {
        let permitted = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if permitted == 0 {
            head();
            stream.blocking_flush()?;
            continue;
        }
        let (now, later) = chunk.split_at(permitted.min(chunk.len()));
        stream.write(now)?;
        chunk = later;
    }
    Ok(())
}

fn fields(reply: &Reply) -> wasi::Fields {
    let fields = wasi::Fields::new();
    // These statuses have no body, and so no length (RFC 9110, section 8.6).
    if !matches!(reply.0.status.as_u16(), 204 | 304) {
        let _ = fields.append("content-length", reply.0.body.length().to_string().as_bytes());
    }
    for (name, value) in &reply.0.headers {
        // A host may forbid a header; the answer is still right without it.
        let _ = fields.append(name, value.as_bytes());
    }
    fields
}

/// Writes the line in one piece, up to the 4 KiB that WASI takes at a time: the lines of several
/// requests must not mix.
fn log(line: &str) {
    let stdout = get_stdout();
    for piece in line.as_bytes().chunks(4096) {
        // Nobody is left to be told that the log is gone.
        let _ = stdout.blocking_write_and_flush(piece);
    }
}
