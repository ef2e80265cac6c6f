//! A response, and what tests ask of it.

use http::HeaderMap;
use serde_json::Value;

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn read(response: http::Response<ureq::Body>) -> Response {
        let (head, mut body) = response.into_parts();
        let body = body.with_config().limit(256 << 20).read_to_string().expect("the body is UTF-8");
        Response { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// The header's value, empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are ASCII"))
    }

    /// The body, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Is this status with this JSON.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, json: &Value) {
        assert_eq!((self.status, &self.json()), (status, json), "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
    }

    /// Is a problem of this status with this detail.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, detail: &str) {
        let json = self.problem(status);
        assert_eq!(json["detail"], detail, "{self:?}");
    }

    /// Is a problem of this status; its envelope.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["type"], "about:blank");
        assert_eq!(json["status"], status);
        assert!(json["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        assert!(json["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        json
    }

    /// Is 422, and names these pointers with these details.
    #[track_caller]
    pub(crate) fn is_invalid(&self, errors: &[(&str, &str)]) {
        let problem = self.problem(422);
        let told: Vec<_> = problem["errors"].as_array().into_iter().flatten().collect();
        let told: Vec<_> =
            told.iter().map(|e| (e["pointer"].as_str(), e["detail"].as_str())).collect();
        let expected: Vec<_> = errors.iter().map(|&(p, d)| (Some(p), Some(d))).collect();
        assert_eq!(told, expected, "{self:?}");
    }
}
