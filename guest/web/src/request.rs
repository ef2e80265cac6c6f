//! What a handler is given.

use http::Method;
use json::FromObject;

use crate::body::Chunks;
use crate::{Preconditions, Problem, Query, accept, body};

/// Where the parts of a request come from that are only read when they are asked for: the host, or
/// a test.
pub trait Source {
    /// The header's value; several are joined by commas. `None` when there is none.
    fn header(&self, name: &str) -> Option<String>;

    /// The next bytes of the body, none at its end.
    fn read(&self) -> Result<Vec<u8>, Interrupted>;
}

/// The body ended before it was complete.
#[derive(Debug)]
pub struct Interrupted;

/// A request whose path has been matched.
pub struct Request {
    pub(crate) method: Method,
    /// As the client sent it, percent-encoded.
    pub(crate) path: String,
    /// As the client sent it, without the question mark.
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

    /// The value of a header (lower case); several are joined by commas.
    ///
    /// The headers named `spin-…` can be forged by the client: nothing may depend on them.
    pub fn header(&self, name: &str) -> Option<String> {
        self.source.header(name)
    }

    /// The decoded segment of the path where the route has `{name}`; never empty.
    ///
    /// # Panics
    ///
    /// When the route has no such segment: a mistake in the component, which its first request
    /// shows.
    pub fn param(&self, name: &str) -> &str {
        match self.parameters.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => value,
            None => panic!("the route has no such segment"),
        }
    }

    /// The query string; 400 when it is not UTF-8.
    pub fn query(&self) -> Result<Query, Problem> {
        Query::parse(&self.query)
    }

    /// The JSON object in the body. 413, 415, 400 or 422 when there is none that fits.
    ///
    /// The body is a stream: a second call finds it empty.
    pub fn json<T: FromObject>(&self) -> Result<T, Problem> {
        body::json(self).map(|(value, _)| value)
    }

    /// The same, with the body that it was made of.
    pub fn json_and_body<T: FromObject>(&self) -> Result<(T, Vec<u8>), Problem> {
        body::json(self)
    }

    /// What the client demands of the current state before anything happens to it.
    pub fn preconditions(&self) -> Result<Preconditions, Problem> {
        Preconditions::of(self)
    }

    /// The bytes of the body as they come, 413 as soon as there are more than `limit`.
    ///
    /// The body is a stream: a second call goes on where the first one ended.
    pub fn chunks(&self, limit: usize) -> Result<Chunks<'_>, Problem> {
        Chunks::new(self, limit)
    }

    /// Whether the body is said to be of this media type (lower case), whatever its parameters.
    pub fn is(&self, media_type: &str) -> bool {
        self.header("content-type").is_some_and(|it| accept::media_type(&it) == media_type)
    }

    /// Whether the client says that it takes this content coding (lower case).
    pub fn takes(&self, coding: &str) -> bool {
        self.header("accept-encoding").is_some_and(|it| accept::takes(&it, coding))
    }

    /// Which of these media types (lower case, without parameters) the client wants most, the first
    /// of several; `None` when it takes none of them.
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
