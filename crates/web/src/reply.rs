//! The responses of handlers.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde::Serialize;

use crate::{Preconditions, Problem, Request};

/// The response of a handler.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: StatusCode,
    /// Names are in lower case, values are visible ASCII.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    pub(crate) cause: Option<String>,
}

/// A function that returns the next bytes of a body, `None` at the end.
pub type Stream = Box<dyn FnMut() -> Result<Option<Vec<u8>>, Problem>>;

pub(crate) enum Body {
    Buffer(Cow<'static, [u8]>),
    /// The length in bytes if it is known, and the function that produces them.
    Stream(Option<usize>, Stream),
}

impl Body {
    /// Returns the value of `content-length`, `None` if it is not known.
    pub(crate) fn length(&self) -> Option<usize> {
        match self {
            Body::Buffer(bytes) => Some(bytes.len()),
            Body::Stream(length, _) => *length,
        }
    }

    /// Returns the next bytes, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Cow<'static, [u8]>>, Problem> {
        match self {
            Body::Buffer(bytes) if bytes.is_empty() => Ok(None),
            Body::Buffer(bytes) => Ok(Some(std::mem::take(bytes))),
            Body::Stream(_, next) => Ok(next()?.map(Cow::Owned)),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "{length} bytes"),
            None => write!(f, "a stream"),
        }
    }
}

impl Reply {
    /// Creates a 200 with `value` as JSON.
    pub fn ok(value: &impl Serialize) -> Reply {
        Reply::json(StatusCode::OK, value)
    }

    /// Creates a 201 with `value` as JSON.
    pub fn created(value: &impl Serialize) -> Reply {
        Reply::json(StatusCode::CREATED, value)
    }

    /// Creates a 202 with `value` as JSON: the request will be processed later.
    pub fn accepted(value: &impl Serialize) -> Reply {
        Reply::json(StatusCode::ACCEPTED, value)
    }

    /// Creates a 204.
    pub fn no_content() -> Reply {
        Reply::new(StatusCode::NO_CONTENT)
    }

    /// Creates a 200 with a body of any media type.
    pub fn content(media_type: &str, body: impl Into<Cow<'static, [u8]>>) -> Reply {
        Reply::new(StatusCode::OK).body(media_type, Body::Buffer(body.into()))
    }

    /// Creates a 200 with a body that is produced while it is sent. `length` is its size in bytes if
    /// it is known.
    ///
    /// When `next` fails before the first byte is sent, the response is its [`Problem`]. A later
    /// failure truncates the body, which the client detects by `content-length` or, without a length,
    /// by the syntax of the body: JSON text is incomplete.
    pub fn stream(media_type: &str, length: Option<usize>, next: Stream) -> Reply {
        Reply::new(StatusCode::OK).body(media_type, Body::Stream(length, next))
    }

    /// Creates a 200 from JSON text, which is not parsed.
    pub fn json_text(text: String) -> Reply {
        Reply::content("application/json", text.into_bytes())
    }

    /// Creates a reply with `value` as JSON.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Reply {
        match serde_json::to_vec(value) {
            Ok(body) => Reply::new(status).body("application/json", Body::Buffer(body.into())),
            Err(error) => Problem::internal(error).into(),
        }
    }

    pub(crate) fn new(status: StatusCode) -> Reply {
        Reply { status, headers: Vec::new(), body: Body::Buffer(Cow::Borrowed(&[])), cause: None }
    }

    fn body(self, media_type: &str, body: Body) -> Reply {
        Reply { body, ..self.header("content-type", media_type) }
    }

    /// Sets a header, replacing an earlier value. The name is in lower case; the value is visible
    /// ASCII and contains no input from the client.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Sets a header unless the reply has it already.
    pub(crate) fn default_header(self, name: &'static str, value: &str) -> Reply {
        match self.headers.iter().any(|(known, _)| *known == name) {
            true => self,
            false => self.header(name, value),
        }
    }

    /// Sets a strong entity tag (without quotes), and `cache-control: no-cache`: caches revalidate
    /// the response before each use.
    pub fn with_etag(self, tag: &str) -> Reply {
        self.header("etag", format!("\"{tag}\"")).header("cache-control", "no-cache")
    }

    /// Evaluates the preconditions of a read. Returns 304 when the client already has the version
    /// `tag`, 412 when it requires another version, or else this reply with the tag.
    pub fn conditional(self, request: &Request, tag: &str) -> Result<Reply, Problem> {
        let Preconditions { if_match, if_none_match } = request.preconditions()?;
        if if_match.is_some_and(|required| !required.contains(tag)) {
            return Err(Problem::precondition_failed("the resource does not match If-Match"));
        }
        let unchanged = if_none_match.is_some_and(|known| known.contains(tag));
        let reply = if unchanged { Reply::new(StatusCode::NOT_MODIFIED) } else { self };
        Ok(reply.with_etag(tag))
    }

    /// Returns the status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the cause of a failure, for the log and for tests.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}
