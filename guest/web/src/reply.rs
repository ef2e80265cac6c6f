//! What a handler answers with.

use http::StatusCode;
use serde::Serialize;

use crate::{Preconditions, Problem, Request};

/// A response whose body is complete. Large bodies are streamed to the client from here.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: StatusCode,
    /// Values are ours, and visible ASCII.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) cause: Option<String>,
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

    /// Text that is JSON already, such as a list that PostgreSQL has put together.
    pub fn json_text(status: StatusCode, text: String) -> Reply {
        Reply::new(status).body("application/json", text.into_bytes())
    }

    fn json(status: StatusCode, value: &impl Serialize) -> Reply {
        match serde_json::to_vec(value) {
            Ok(body) => Reply::new(status).body("application/json", body),
            // A map whose keys are not strings, say: a mistake that its first test shows.
            Err(_) => Problem::internal(&"a reply that is not JSON").into(),
        }
    }

    pub(crate) fn new(status: StatusCode) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new(), cause: None }
    }

    pub(crate) fn body(self, media_type: &str, body: Vec<u8>) -> Reply {
        Reply { body, ..self.header("content-type", media_type) }
    }

    /// With this header (lower case). The value must be visible ASCII, and nothing a client has sent.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
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
        self.status
    }

    /// Why it failed, for the log and for tests: the client is never told.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}
