//! Floor component `ladder`: a request handler that runs a selectable number of steps. The digit in
//! `/ladder/<digit>/…` selects the last step to run. Step 0 is the component `hello`.
//!
//! The steps are those of `crates/web`, written without a library, so that the cost of a step is
//! mostly that of the engine.

use std::hint::black_box;

use floor_http::bindings::fermyon::spin::variables;
use floor_http::bindings::wasi::cli::stdout::get_stdout;
use floor_http::bindings::wasi::clocks::monotonic_clock::now;
use floor_http::bindings::wasi::io::streams::StreamError;
use floor_http::{BODY, Guest, IncomingRequest, ResponseOutparam, respond};
use serde::{Deserialize, Serialize};

// Step 1 reads method and path. It always runs because the path contains the digit.
const ROUTE: u8 = 2;
const REQUEST_HEADERS: u8 = 3;
const REQUEST_BODY: u8 = 4;
const JSON: u8 = 5;
const RESPONSE_HEADERS: u8 = 6;
const LOG: u8 = 7;
const VARIABLE: u8 = 8;

/// As many routes as a component of the product. The last one matches.
const ROUTES: &[&str] = &[
    "/api/v1/newentry",
    "/api/v1/entries",
    "/api/v1/entries/{word}",
    "/api/v2/entries",
    "/api/v2/entries/{word}",
    "/api/v1/look/{word}",
];

#[derive(Deserialize, Serialize)]
struct Entry {
    word: String,
    definition: String,
}

struct Ladder;

impl Guest for Ladder {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        black_box(request.method());
        let (step, path) = split(&target);
        let start = (step >= LOG).then(now);
        let route = if step >= ROUTE { find_route(path) } else { None };
        if step >= REQUEST_HEADERS {
            let headers = request.headers();
            for name in ["accept", "content-type", "content-encoding", "traceparent"] {
                black_box(headers.get(name));
            }
        }
        let content = if step >= REQUEST_BODY { read_body(&request) } else { Vec::new() };
        let body = if step >= JSON {
            let entry: Entry = serde_json::from_slice(&content).expect("the body is an entry");
            serde_json::to_vec(&entry).expect("the entry is JSON")
        } else {
            BODY.as_bytes().to_vec()
        };
        if step >= VARIABLE {
            black_box(variables::get("database_url").expect("database_url is set"));
        }
        let headers: &[_] = match step >= RESPONSE_HEADERS {
            true => &[("content-type", "application/json"), ("api-version", "1")],
            false => &[],
        };
        respond(out, headers, &body);
        if let Some(start) = start {
            log(route.unwrap_or_default(), now() - start);
        }
    }
}

/// Splits `/ladder/<digit>/…` into the step and the rest of the path.
fn split(target: &str) -> (u8, &str) {
    let rest = target.strip_prefix("/ladder/").expect("the path begins with /ladder/");
    let (digit, path) = rest.split_at(1);
    (digit.parse().expect("a digit follows"), path)
}

/// Returns the first route whose segments equal those of the path or are `{…}`.
fn find_route(path: &str) -> Option<&'static str> {
    let matches = |route: &str| {
        let (mut expected, mut actual) = (route.split('/'), path.split('/'));
        loop {
            match (expected.next(), actual.next()) {
                (None, None) => return true,
                (Some(expected), Some(actual))
                    if expected.starts_with('{') && !actual.is_empty() => {}
                (Some(expected), Some(actual)) if expected == actual => {}
                _ => return false,
            }
        }
    };
    ROUTES.iter().copied().find(|route| matches(route))
}

/// Reads a request body to its end.
fn read_body(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    let mut content = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(bytes) => content.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return content,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
}

/// Writes a log line in the format of `crates/web`.
fn log(route: &str, nanoseconds: u64) {
    let micros = nanoseconds / 1000;
    let line = format!(
        "{{\"component\":\"ladder\",\"method\":\"POST\",\"route\":\"{route}\",\"status\":200,\
         \"ms\":{}.{:03}}}\n",
        micros / 1000,
        micros % 1000
    );
    get_stdout().blocking_write_and_flush(line.as_bytes()).expect("standard output is open");
}

floor_http::export!(Ladder with_types_in floor_http::bindings);
