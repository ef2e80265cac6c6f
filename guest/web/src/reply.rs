//! What a handler answers with.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde::Serialize;

use crate::{Preconditions, Problem, Request};

/// A response; a pointer, as a [`Problem`] is.
#[derive(Debug)]
pub struct Reply(pub(crate) Box<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) status: StatusCode,
    /// Values are ours, and visible ASCII.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    pub(crate) cause: Option<String>,
}

/// What makes the next bytes of a body, `None` at its end.
pub type Stream = Box<dyn FnMut() -> Result<Option<Vec<u8>>, Problem>>;

/// A body, whole or in the making.
pub(crate) enum Body {
    Whole(Cow<'static, [u8]>),
    /// This many bytes, if all goes well.
    Stream(usize, Stream),
}

impl Body {
    /// The value of `content-length`.
    pub(crate) fn length(&self) -> usize {
        match self {
            Body::Whole(bytes) => bytes.len(),
            Body::Stream(length, _) => *length,
        }
    }

    /// The next bytes, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Cow<'static, [u8]>>, Problem> {
        match self {
            Body::Whole(bytes) if bytes.is_empty() => Ok(None),
            Body::Whole(bytes) => Ok(Some(std::mem::take(bytes))),
            Body::Stream(_, next) => Ok(next()?.map(Cow::Owned)),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.length())
    }
}

impl Reply {
    /// 200 with `value` as JSON.
    pub fn ok(value: &impl Serialize) -> Reply {
        Reply::json(StatusCode::OK, value)
    }

    /// 201 with `value` as JSON.
    pub fn created(value: &impl Serialize) -> Reply {
        Reply::json(StatusCode::CREATED, value)
    }

    /// 204: done, and nothing to say about it.
    pub fn no_content() -> Reply {
        Reply::new(StatusCode::NO_CONTENT)
    }

    /// 200 with a body of any media type.
    pub fn of(media_type: &str, body: impl Into<Cow<'static, [u8]>>) -> Reply {
        Reply::new(StatusCode::OK).body(media_type, Body::Whole(body.into()))
    }

    /// 200 with a body of `length` bytes that is made while it is sent. Where making it fails before
    /// any of it has been sent, the answer is that [`Problem`]; after that it breaks off, and the
    /// client misses what was announced.
    pub fn stream(media_type: &str, length: usize, next: Stream) -> Reply {
        Reply::new(StatusCode::OK).body(media_type, Body::Stream(length, next))
    }

    /// Text that is JSON already, such as a list that PostgreSQL has put together.
    pub fn json_text(status: StatusCode, text: String) -> Reply {
        Reply::new(status).whole("application/json", text.into_bytes())
    }

    fn json(status: StatusCode, value: &impl Serialize) -> Reply {
        match serde_json::to_vec(value) {
            Ok(body) => Reply::new(status).whole("application/json", body),
            // A map whose keys are not strings, say: a mistake that its first test shows.
            Err(_) => Problem::internal(&"a reply that is not JSON").into(),
        }
    }

    pub(crate) fn new(status: StatusCode) -> Reply {
        let (headers, body) = (Vec::new(), Body::Whole(Cow::Borrowed(&[])));
        Reply(Box::new(Parts { status, headers, body, cause: None }))
    }

    pub(crate) fn whole(self, media_type: &str, body: Vec<u8>) -> Reply {
        self.body(media_type, Body::Whole(body.into()))
    }

    fn body(self, media_type: &str, body: Body) -> Reply {
        let mut reply = self.header("content-type", media_type);
        reply.0.body = body;
        reply
    }

    /// With this header (lower case), in place of one by that name. The value must be visible ASCII,
    /// and nothing a client has sent.
    pub fn header(self, name: &'static str, value: impl Into<String>) -> Reply {
        self.with(name, value.into())
    }

    fn with(mut self, name: &'static str, value: String) -> Reply {
        self.0.headers.retain(|(known, _)| *known != name);
        self.0.headers.push((name, value));
        self
    }

    /// With the strong entity tag `tag`, ours and without quotes, and to be asked for again before
    /// it is used again.
    pub fn tagged(self, tag: &str) -> Reply {
        self.header("etag", format!("\"{tag}\"")).header("cache-control", "no-cache")
    }

    /// For reads: the reply that the client's preconditions on `tag` ask for. 304 when it has
    /// this version already, 412 when it wanted another.
    pub fn conditional(self, request: &Request, tag: &str) -> Result<Reply, Problem> {
        let Preconditions { if_match, if_none_match } = request.preconditions()?;
        if if_match.is_some_and(|wanted| !wanted.contain(tag)) {
            return Err(Problem::precondition_failed("it has changed since it was read"));
        }
        let known = if_none_match.is_some_and(|known| known.contain(tag));
        let reply = if known { Reply::new(StatusCode::NOT_MODIFIED) } else { self };
        Ok(reply.tagged(tag))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Why it failed, for the log and for tests: the client is never told.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}
