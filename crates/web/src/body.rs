//! Reads request bodies: once, and up to a limit.

use std::time::Duration;

use http::StatusCode;
use json::FromFields;

use crate::{Interrupted, Problem, Request, accept};

/// The maximum size of a JSON body: 1 MiB.
const MAX_JSON_BYTES: usize = 1 << 20;

/// The media type of a JSON Merge Patch (RFC 7396).
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// The maximum time without a byte of a body.
pub(crate) const IDLE: Duration = Duration::from_secs(30);

/// Like [`IDLE`], for a body that is drained: `lingering_timeout` of nginx.
#[cfg(any(test, target_arch = "wasm32"))]
const DRAIN_IDLE: Duration = Duration::from_secs(5);

/// The maximum number of bytes to drain from a body after the response: 100 MiB. Larger than any
/// body that a component accepts, so that a client with a file slightly too large learns the limit.
#[cfg(any(test, target_arch = "wasm32"))]
const MAX_DRAIN_BYTES: usize = 100 << 20;

/// Parses the body, a JSON object. Returns the value and the raw body.
pub(crate) fn json<T: FromFields>(request: &Request) -> Result<(T, Vec<u8>), Problem> {
    require(request, "application/json", accept::is_json)?;
    parse(request)
}

/// Parses the body, a JSON Merge Patch. `application/json` is accepted as well, but no other JSON:
/// a JSON Patch (RFC 6902) has another meaning.
pub(crate) fn merge_patch<T: FromFields>(request: &Request) -> Result<T, Problem> {
    let is_merge_patch = |content_type: &str| {
        [MERGE_PATCH, "application/json"].contains(&accept::media_type(content_type).as_str())
    };
    // RFC 5789, section 2.2
    require(request, MERGE_PATCH, is_merge_patch)
        .map_err(|problem| problem.header("accept-patch", MERGE_PATCH))?;
    parse(request).map(|(value, _)| value)
}

fn parse<T: FromFields>(request: &Request) -> Result<(T, Vec<u8>), Problem> {
    let body = read(request, MAX_JSON_BYTES)?;
    match json::from_slice(&body) {
        Ok(value) => Ok((value, body)),
        Err(json::Error::Syntax(reason)) => {
            Err(Problem::bad_request(format!("the body is not valid JSON: {reason}")))
        }
        Err(json::Error::TooManyValues) => {
            let detail = format!("the body exceeds {} values", json::MAX_VALUES);
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Err(json::Error::Invalid(errors)) => Err(Problem::invalid(errors)),
    }
}

/// Returns 415 unless the body is uncompressed and has an accepted media type.
fn require(
    request: &Request,
    expected: &str,
    is_accepted: impl Fn(&str) -> bool,
) -> Result<(), Problem> {
    let detail = if request.is_encoded() {
        "Content-Encoding not supported; send the body uncompressed".to_owned()
    } else if !request.header("content-type")?.is_some_and(|value| is_accepted(&value)) {
        format!("Content-Type not supported; send {expected}")
    } else {
        return Ok(());
    };
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// Reads the whole body. Returns 413 as soon as the size exceeds `limit` bytes.
fn read(request: &Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut chunks = Chunks::new(request, limit)?;
    // A growing buffer is copied a number of times that depends on the chunks, which would make the
    // instruction counts in the tests vary.
    let mut body = Vec::with_capacity(chunks.content_length.unwrap_or_default());
    while let Some(chunk) = chunks.next()? {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The chunks of a body, read one at a time.
pub struct Chunks<'r> {
    request: &'r Request,
    limit: usize,
    received: usize,
    content_length: Option<usize>,
}

impl Chunks<'_> {
    pub(crate) fn new(request: &Request, limit: usize) -> Result<Chunks<'_>, Problem> {
        let content_length = content_length(request);
        if content_length.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        Ok(Chunks { request, limit, received: 0, content_length })
    }

    /// Reads the next chunk. Returns `None` at the end of the body, 400 when the connection is
    /// closed earlier, 408 when the client is too slow, and 413 when the body exceeds its limit.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot return `Result<Option>`")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        // The host never delivers more than `Content-Length`. Another call, to detect the end of
        // the stream, would take 5 % of a small request.
        if self.content_length == Some(self.received) {
            self.request.source.finish();
            return Ok(None);
        }
        let chunk = self.request.source.read(IDLE).map_err(|reason| match reason {
            Interrupted::Closed => {
                Problem::bad_request("the connection was closed before the body was complete")
            }
            Interrupted::TimedOut => {
                Problem::new(StatusCode::REQUEST_TIMEOUT, "the body arrived too slowly")
            }
        })?;
        self.received += chunk.len();
        if self.received > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }
}

fn content_length(request: &Request) -> Option<usize> {
    request.list_header("content-length")?.parse().ok()
}

/// Reads and discards the rest of the body after the response.
///
/// Closing a connection with unread bytes resets it, and a client that sends its whole request
/// before it reads would lose the response: Python's urllib, Node's fetch. The time is bounded by
/// [`DRAIN_IDLE`] and [`crate::pace`]. A client that waits for `100 Continue` does not send the
/// body, so nothing is read; nor is a body longer than [`MAX_DRAIN_BYTES`].
#[cfg(any(test, target_arch = "wasm32"))]
pub(crate) fn drain(request: &Request) {
    let finished = request.source.is_finished()
        || matches!(request.method, http::Method::GET | http::Method::HEAD);
    let expects_continue = || request.list_header("expect").is_some();
    let too_long = || content_length(request).is_some_and(|length| length > MAX_DRAIN_BYTES);
    if finished || expects_continue() || too_long() {
        return;
    }
    let mut length = 0;
    while length <= MAX_DRAIN_BYTES
        && let Ok(chunk) = request.source.read(DRAIN_IDLE)
        && !chunk.is_empty()
    {
        length += chunk.len();
    }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body exceeds {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use http::{Method, header};
    use json::Fields;

    use super::*;
    use crate::RequestSource;
    use crate::native::receive;

    #[derive(Debug)]
    struct Word;

    impl FromFields for Word {
        fn from_fields(fields: &mut Fields) -> Option<Word> {
            fields.required::<String>("word").map(|_| Word)
        }
    }

    #[test]
    fn merge_patch_accepts_its_media_type_and_plain_json() {
        let patch = |content_type: &str| {
            let request = http::Request::patch("/").header(header::CONTENT_TYPE, content_type);
            merge_patch::<Word>(&receive(request.body(br#"{"word":""}"#.into()).unwrap()))
        };
        for good in ["application/merge-patch+json", "Application/JSON; charset=utf-8"] {
            patch(good).expect(good);
        }
        for bad in ["application/json-patch+json", "application/vnd.x+json", "text/plain"] {
            let reply = crate::Reply::from(patch(bad).unwrap_err());
            assert_eq!(reply.status(), 415, "{bad}");
            assert!(reply.headers.contains(&("accept-patch", MERGE_PATCH.to_owned())), "{bad}");
        }
    }

    fn read_as(content_type: &str, body: impl Into<Vec<u8>>) -> Result<Word, Problem> {
        let request = http::Request::post("/").header(header::CONTENT_TYPE, content_type);
        json(&receive(request.body(body.into()).unwrap())).map(|(word, _)| word)
    }

    #[test]
    fn invalid_object_returns_422_and_malformed_json_returns_400() {
        let status = |body: &str| read_as("application/json", body).unwrap_err().status().as_u16();
        read_as("application/json", r#"{"word":"a"}"#).expect("a valid object");
        assert_eq!(status(r#"{"word":1}"#), 422);
        assert_eq!(status("null"), 422);
        assert_eq!(status(r#"{"word":"a""#), 400);
        assert_eq!(status(""), 400);
    }

    #[test]
    fn body_with_other_media_type_or_encoding_returns_415() {
        let body = r#"{"word":"a"}"#;
        for accepted in
            ["application/json", "Application/JSON; charset=utf-8", "application/x+json"]
        {
            read_as(accepted, body).expect(accepted);
        }
        for rejected in ["text/plain", "application/jsonp", "json", ""] {
            assert_eq!(read_as(rejected, body).unwrap_err().status(), 415, "{rejected}");
        }
        let gzip = http::Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, "gzip");
        let encoded = json::<Word>(&receive(gzip.body(body.into()).unwrap()));
        assert_eq!(encoded.unwrap_err().status(), 415);
    }

    #[test]
    fn repeated_content_type_returns_400() {
        let request = http::Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_TYPE, "application/json");
        let rejected = json::<Word>(&receive(request.body(r#"{"word":"a"}"#.into()).unwrap()));
        assert_eq!(rejected.unwrap_err().status(), 400);
    }

    #[test]
    fn body_over_limit_returns_413_with_and_without_content_length() {
        let body =
            |length| format!("{{\"word\":{:?}}}", "a".repeat(length - r#"{"word":""}"#.len()));
        read_as("application/json", body(MAX_JSON_BYTES)).expect("a body at the limit");
        let chunked = read_as("application/json", body(MAX_JSON_BYTES + 1));
        assert_eq!(chunked.unwrap_err().status(), 413);
        let with_length = http::Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, MAX_JSON_BYTES + 1);
        let rejected = json::<Word>(&receive(with_length.body(Vec::new()).unwrap()));
        assert_eq!(rejected.unwrap_err().status(), 413);
    }

    /// A body that never ends. Counts the bytes read.
    #[derive(Default)]
    struct Endless {
        expect: bool,
        length: Option<usize>,
        read: Rc<Cell<usize>>,
    }

    impl RequestSource for Endless {
        fn header(&self, name: &str) -> (usize, String) {
            let value = match name {
                "expect" => self.expect.then(|| "100-continue".to_owned()),
                "content-length" => self.length.map(|length| length.to_string()),
                _ => None,
            };
            (usize::from(value.is_some()), value.unwrap_or_default())
        }

        fn read(&self, _: Duration) -> Result<Vec<u8>, Interrupted> {
            self.read.set(self.read.get() + (1 << 20));
            Ok(vec![0; 1 << 20])
        }

        fn finish(&self) {}

        fn is_finished(&self) -> bool {
            false
        }
    }

    #[test]
    fn unread_body_is_drained_up_to_the_limit_unless_the_client_waits() {
        let drained = |method, source: Endless| {
            let read = source.read.clone();
            drain(&Request::new(method, "/", Box::new(source)));
            read.get()
        };
        assert_eq!(drained(Method::POST, Endless::default()), MAX_DRAIN_BYTES + (1 << 20));
        assert_eq!(drained(Method::GET, Endless::default()), 0);
        let waiting = Endless { expect: true, ..Endless::default() };
        assert_eq!(drained(Method::POST, waiting), 0);
        let long = Endless { length: Some(MAX_DRAIN_BYTES + 1), ..Endless::default() };
        assert_eq!(drained(Method::POST, long), 0);
    }
}
