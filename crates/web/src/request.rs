//! The requests that handlers read.

use std::time::Duration;

use http::Method;
use json::FromFields;

use crate::body::Chunks;
use crate::{Attempt, Preconditions, Problem, Query, accept, attempt, body, prefer};

/// Headers and body of a request, read on demand from the host or from a test.
pub trait RequestSource {
    /// Returns the number of times that a header occurs, and its values joined by commas.
    fn header(&self, name: &str) -> (usize, String);

    /// Reads the next bytes of the body. Waits at most `idle` for them. Returns an empty vector at
    /// the end.
    fn read(&self, idle: Duration) -> Result<Vec<u8>, Interrupted>;

    /// Closes a body that has been read completely.
    fn finish(&self);

    /// Returns whether the body has been read to its end.
    fn is_finished(&self) -> bool;
}

/// The reason why a body ended before it was complete.
#[derive(Debug)]
pub enum Interrupted {
    /// The connection was closed.
    Closed,
    /// The client was too slow.
    TimedOut,
}

/// A request, with the path parameters of its route.
pub struct Request {
    pub(crate) method: Method,
    /// The raw path, percent-encoded.
    pub(crate) path: String,
    /// The raw query string, without the question mark.
    pub(crate) query: String,
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) source: Box<dyn RequestSource>,
}

impl Request {
    /// Creates a request for `target`, a path with an optional query.
    pub(crate) fn new(method: Method, target: &str, source: Box<dyn RequestSource>) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            parameters: Vec::new(),
            source,
        }
    }

    /// Returns the value of a header (lower case) that may occur once. Returns 400 when it is
    /// repeated: its values must not be joined, and there is no rule which one to use (RFC 9110,
    /// section 5.3).
    ///
    /// Do not rely on `spin-*` headers: clients can forge them.
    pub fn header(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.source.header(name) {
            (0, _) => Ok(None),
            (1, value) => Ok(Some(value)),
            _ => Err(Problem::bad_request(format!("{name} must not be repeated"))),
        }
    }

    /// Returns the value of a header (lower case) that is a list. The values of a repeated header
    /// are joined by commas.
    pub fn list_header(&self, name: &str) -> Option<String> {
        let (count, values) = self.source.header(name);
        (count > 0).then_some(values)
    }

    /// Returns the decoded path segment that matched `{name}` in the route. It is not empty.
    ///
    /// # Panics
    ///
    /// Panics when the route has no such segment.
    pub fn param(&self, name: &str) -> &str {
        match self.parameters.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => value,
            None => panic!("the route has no segment {{{name}}}"),
        }
    }

    /// Parses the query string. Returns 400 when it is not UTF-8 or contains NUL.
    pub fn query(&self) -> Result<Query, Problem> {
        Query::parse(&self.query)
    }

    /// Parses the body, a JSON object. Returns 400, 413, 415 or 422 when it is not a valid `T`.
    ///
    /// The body is a stream: after the first call it is empty.
    pub fn json<T: FromFields>(&self) -> Result<T, Problem> {
        body::json(self).map(|(value, _)| value)
    }

    /// Like [`Request::json`], and also returns the attempt if the request has an `Idempotency-Key`.
    /// Returns 400 when the key is repeated or invalid.
    pub fn json_and_attempt<T: FromFields>(&self) -> Result<(T, Option<Attempt>), Problem> {
        attempt::json(self)
    }

    /// Parses the body, a JSON Merge Patch (RFC 7396): an absent member leaves a value unchanged, null
    /// removes it. Returns 400, 413, 415 or 422 when it is not a valid `T`.
    pub fn merge_patch<T: FromFields>(&self) -> Result<T, Problem> {
        body::merge_patch(self)
    }

    /// Parses `If-Match` and `If-None-Match`. Returns 400 when one is malformed.
    pub fn preconditions(&self) -> Result<Preconditions, Problem> {
        Preconditions::new(self)
    }

    /// Returns whether `Prefer` has this preference (lower case), such as `respond-async`.
    pub fn prefers(&self, preference: &str) -> bool {
        self.list_header("prefer").is_some_and(|prefer| prefer::prefers(&prefer, preference))
    }

    /// Returns a reader of the chunks of the body, limited to `limit` bytes.
    pub fn chunks(&self, limit: usize) -> Result<Chunks<'_>, Problem> {
        Chunks::new(self, limit)
    }

    /// Returns whether the body has a content coding, such as gzip.
    pub fn is_encoded(&self) -> bool {
        self.list_header("content-encoding").is_some_and(|codings| accept::is_encoded(&codings))
    }

    /// Returns whether `Content-Type` has this media type (lower case). Parameters are ignored.
    /// Returns 400 when the header is repeated.
    pub fn has_media_type(&self, media_type: &str) -> Result<bool, Problem> {
        let value = self.header("content-type")?;
        Ok(value.is_some_and(|value| accept::media_type(&value) == media_type))
    }

    /// Returns whether `Accept-Encoding` accepts this content coding (lower case).
    pub fn accepts_coding(&self, coding: &str) -> bool {
        self.list_header("accept-encoding")
            .is_some_and(|value| accept::accepts_coding(&value, coding))
    }

    /// Returns the media type that `Accept` prefers among these (lower case, without parameters),
    /// the first one of several with equal quality. Returns `None` when none is acceptable.
    pub fn preferred(&self, media_types: &[&'static str]) -> Option<&'static str> {
        let accept = self.list_header("accept").unwrap_or_default();
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
