//! The request that a handler reads.

use http::Method;
use json::FromFields;

use crate::body::Chunks;
use crate::{Preconditions, Problem, Query, accept, body};

/// Access to the parts of a request that are read on demand, from the host or from a test.
pub trait Source {
    /// The value of a header, repeated ones joined by commas. `None` when it is absent.
    fn header(&self, name: &str) -> Option<String>;

    /// The next bytes of the body, empty at its end.
    fn read(&self) -> Result<Vec<u8>, Interrupted>;

    /// Closes the body, of which everything has been read.
    fn finish(&self);

    /// Whether the body has been read to its end.
    fn is_finished(&self) -> bool;
}

/// The reason why a body ended before it was complete.
#[derive(Debug)]
pub enum Interrupted {
    /// The connection was closed.
    Closed,
    /// The client sent too little for too long.
    TimedOut,
}

/// A request whose path has been matched.
pub struct Request {
    pub(crate) method: Method,
    /// As sent by the client, percent-encoded.
    pub(crate) path: String,
    /// As sent by the client, without the question mark.
    pub(crate) query: String,
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) source: Box<dyn Source>,
}

impl Request {
    /// A request for `target`, a path with or without a query.
    pub(crate) fn new(method: Method, target: &str, source: Box<dyn Source>) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            parameters: Vec::new(),
            source,
        }
    }

    /// The value of a header (lower case), repeated ones joined by commas.
    ///
    /// Do not rely on the `spin-*` headers: clients can forge them.
    pub fn header(&self, name: &str) -> Option<String> {
        self.source.header(name)
    }

    /// The decoded path segment where the route has `{name}`. It is not empty.
    ///
    /// # Panics
    ///
    /// When the route has no such segment.
    pub fn param(&self, name: &str) -> &str {
        match self.parameters.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => value,
            None => panic!("the route has no segment {{{name}}}"),
        }
    }

    /// The query string; 400 when it is not UTF-8.
    pub fn query(&self) -> Result<Query, Problem> {
        Query::parse(&self.query)
    }

    /// Reads the body, a JSON object. 400, 413, 415 or 422 when it is not a valid `T`.
    ///
    /// The body is a stream: a second call finds it empty.
    pub fn json<T: FromFields>(&self) -> Result<T, Problem> {
        body::json(self).map(|(value, _)| value)
    }

    /// Reads the body like [`Request::json`], and returns its bytes as well.
    pub fn json_and_body<T: FromFields>(&self) -> Result<(T, Vec<u8>), Problem> {
        body::json(self)
    }

    /// The preconditions in `If-Match` and `If-None-Match`; 400 when they are malformed.
    pub fn preconditions(&self) -> Result<Preconditions, Problem> {
        Preconditions::new(self)
    }

    /// The chunks of the body as they arrive; 413 as soon as there are more than `limit` bytes.
    pub fn chunks(&self, limit: usize) -> Result<Chunks<'_>, Problem> {
        Chunks::new(self, limit)
    }

    /// Whether the body has a content coding, such as gzip.
    pub fn is_encoded(&self) -> bool {
        self.header("content-encoding").is_some_and(|coding| coding != "identity")
    }

    /// Whether `Content-Type` has this media type (lower case), whatever its parameters.
    pub fn has_media_type(&self, media_type: &str) -> bool {
        self.header("content-type").is_some_and(|it| accept::media_type(&it) == media_type)
    }

    /// Whether `Accept-Encoding` has this content coding (lower case).
    pub fn accepts_coding(&self, coding: &str) -> bool {
        self.header("accept-encoding").is_some_and(|it| accept::accepts_coding(&it, coding))
    }

    /// The media type that `Accept` prefers among these (lower case, without parameters), the first
    /// one of equals. `None` when it accepts none.
    pub fn preferred(&self, media_types: &[&'static str]) -> Option<&'static str> {
        let accept = self.header("accept").unwrap_or_default();
        let mut best = (0, None);
        for media_type in media_types {
            let quality = accept::quality(&accept, media_type);
            if quality > best.0 {
                best = (quality, Some(*media_type));
            }
        }
        best.1
    }
}
