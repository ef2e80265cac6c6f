//! The request's body, read at most once and never beyond its limit.

use http::StatusCode;
use json::FromFields;

use crate::{Problem, Request, accept};

/// The maximum size of a JSON body, 1 MiB.
const JSON_LIMIT: usize = 1 << 20;

/// The maximum number of bytes that are drained from a body after the response, 4 MiB.
#[cfg(any(test, target_arch = "wasm32"))]
const DRAIN_LIMIT: usize = 4 << 20;

/// Reads a body that is a JSON object. Returns the value and the bytes of the body.
pub(crate) fn json<T: FromFields>(request: &Request) -> Result<(T, Vec<u8>), Problem> {
    require_json(request)?;
    let body = read(request, JSON_LIMIT)?;
    match json::from_slice(&body) {
        Ok(value) => Ok((value, body)),
        Err(json::Error::Syntax(reason)) => {
            Err(Problem::bad_request(format!("the body is not JSON: {reason}")))
        }
        Err(json::Error::TooManyValues) => {
            let detail = format!("the body may have at most {} values", json::VALUES);
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Err(json::Error::Invalid(errors)) => Err(Problem::invalid(errors)),
    }
}

fn require_json(request: &Request) -> Result<(), Problem> {
    let detail = if request.is_encoded() {
        "send the body without Content-Encoding"
    } else if !request.header("content-type").is_some_and(|it| accept::is_json(&it)) {
        "send JSON with Content-Type: application/json"
    } else {
        return Ok(());
    };
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// Reads the whole body; 413 as soon as it is known to exceed `limit` bytes.
fn read(request: &Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut chunks = Chunks::new(request, limit)?;
    // Growing the buffer copies it, as often as the chunks require: tests/instruction_limits.rs
    // counts instructions.
    let mut body = Vec::with_capacity(chunks.content_length.unwrap_or_default());
    while let Some(chunk) = chunks.next()? {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The chunks of a body as they arrive.
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

    /// The next chunk, `None` at the end of the body. 400 when the connection is closed before it, 413
    /// when the body exceeds its limit.
    #[expect(clippy::should_implement_trait, reason = "an error is not an item")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        // The host never delivers more; to ask it once more costs a twentieth of a small request.
        if self.content_length == Some(self.received) {
            self.request.source.finish();
            return Ok(None);
        }
        let chunk = self
            .request
            .source
            .read()
            .map_err(|_| Problem::bad_request("the body ended before it was complete"))?;
        self.received += chunk.len();
        if self.received > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }
}

fn content_length(request: &Request) -> Option<usize> {
    request.header("content-length")?.parse().ok()
}

/// Reads the rest of the body after the response. Closing a connection with unread bytes resets it,
/// and a client that sends its whole request before it reads would lose the response. Not done for a
/// client that waits for `100 Continue`, nor beyond [`DRAIN_LIMIT`].
#[cfg(any(test, target_arch = "wasm32"))]
pub(crate) fn drain(request: &Request) {
    let finished = request.source.is_finished()
        || matches!(request.method, http::Method::GET | http::Method::HEAD);
    let waits = || request.header("expect").is_some();
    let too_long = || content_length(request).is_some_and(|length| length > DRAIN_LIMIT);
    if finished || waits() || too_long() {
        return;
    }
    let mut length = 0;
    while length <= DRAIN_LIMIT
        && let Ok(chunk) = request.source.read()
        && !chunk.is_empty()
    {
        length += chunk.len();
    }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body may have at most {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use http::{Method, header};
    use json::Fields;

    use super::*;
    use crate::native::receive;
    use crate::{Interrupted, Source};

    #[derive(Debug)]
    struct Word;

    impl FromFields for Word {
        fn from_fields(fields: &mut Fields) -> Option<Word> {
            fields.required::<String>("word").map(|_| Word)
        }
    }

    fn read_as(content_type: &str, body: impl Into<Vec<u8>>) -> Result<Word, Problem> {
        let request = http::Request::post("/").header(header::CONTENT_TYPE, content_type);
        json(&receive(request.body(body.into()).unwrap())).map(|(word, _)| word)
    }

    #[test]
    fn what_does_not_fit_is_invalid_and_what_is_not_json_is_bad() {
        let status = |body: &str| read_as("application/json", body).unwrap_err().status().as_u16();
        read_as("application/json", r#"{"word":"a"}"#).expect("fits");
        assert_eq!(status(r#"{"word":1}"#), 422);
        assert_eq!(status("null"), 422);
        assert_eq!(status(r#"{"word":"a""#), 400);
        assert_eq!(status(""), 400);
    }

    #[test]
    fn only_json_without_encoding_is_read() {
        let body = r#"{"word":"a"}"#;
        for taken in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
            read_as(taken, body).expect(taken);
        }
        for refused in ["text/plain", "application/jsonp", "json", ""] {
            assert_eq!(read_as(refused, body).unwrap_err().status(), 415, "{refused}");
        }
        let gzip = http::Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, "gzip");
        let refused = json::<Word>(&receive(gzip.body(body.into()).unwrap()));
        assert_eq!(refused.unwrap_err().status(), 415);
    }

    #[test]
    fn a_body_is_refused_at_one_byte_too_many_whether_announced_or_not() {
        let of = |length| format!("{{\"word\":{:?}}}", "a".repeat(length - r#"{"word":""}"#.len()));
        read_as("application/json", of(JSON_LIMIT)).expect("fits");
        let chunked = read_as("application/json", of(JSON_LIMIT + 1));
        assert_eq!(chunked.unwrap_err().status(), 413);
        let announced = http::Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, JSON_LIMIT + 1);
        let refused = json::<Word>(&receive(announced.body(Vec::new()).unwrap()));
        assert_eq!(refused.unwrap_err().status(), 413);
    }
    /// A body without an end; how many bytes of it have been read.
    #[derive(Default)]
    struct Endless {
        expect: bool,
        length: Option<usize>,
        read: Rc<Cell<usize>>,
    }

    impl Source for Endless {
        fn header(&self, name: &str) -> Option<String> {
            match name {
                "expect" => self.expect.then(|| "100-continue".to_owned()),
                "content-length" => self.length.map(|length| length.to_string()),
                _ => None,
            }
        }

        fn read(&self) -> Result<Vec<u8>, Interrupted> {
            self.read.set(self.read.get() + (1 << 20));
            Ok(vec![0; 1 << 20])
        }

        fn finish(&self) {}

        fn is_finished(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_body_that_nobody_wants_is_read_to_a_limit_and_only_where_the_client_sends_it() {
        let discarded = |method, source: Endless| {
            let read = source.read.clone();
            drain(&Request::new(method, "/", Box::new(source)));
            read.get()
        };
        assert_eq!(discarded(Method::POST, Endless::default()), DRAIN_LIMIT + (1 << 20));
        assert_eq!(discarded(Method::GET, Endless::default()), 0);
        let waiting = Endless { expect: true, ..Endless::default() };
        assert_eq!(discarded(Method::POST, waiting), 0);
        let long = Endless { length: Some(DRAIN_LIMIT + 1), ..Endless::default() };
        assert_eq!(discarded(Method::POST, long), 0);
    }
}
