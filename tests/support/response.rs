//! A response and assertions about it.

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

    /// Returns the value of a header, or an empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are ASCII"))
    }

    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a status code and a JSON body.
    #[track_caller]
    pub(crate) fn assert_json(&self, status: u16, json: &Value) {
        assert_eq!((self.status, &self.json()), (status, json), "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
    }

    /// Asserts an RFC 9457 problem with this status code and detail.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, detail: &str) {
        let json = self.problem(status);
        assert_eq!(json["detail"], detail, "{self:?}");
    }

    /// Asserts an RFC 9457 problem with this status code, and returns its body.
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

    /// Asserts a 422 problem with exactly these errors, as pointer and detail.
    #[track_caller]
    pub(crate) fn assert_invalid(&self, errors: &[(&str, &str)]) {
        let problem = self.problem(422);
        let actual = problem["errors"].as_array().into_iter().flatten();
        let actual: Vec<_> =
            actual.map(|error| (error["pointer"].as_str(), error["detail"].as_str())).collect();
        let expected: Vec<_> =
            errors.iter().map(|&(pointer, detail)| (Some(pointer), Some(detail))).collect();
        assert_eq!(actual, expected, "{self:?}");
    }
}
