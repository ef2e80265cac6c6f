//! Problem details (RFC 9457), the body of every error response.

use std::borrow::Cow;
use std::fmt::Display;

use http::StatusCode;
use json::FieldError;
use serde::{Serialize, Serializer};

use crate::Reply;

/// An error response. The cause is logged and not sent to the client.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    header: Option<(&'static str, String)>,
    cause: Option<String>,
}

impl Problem {
    /// Creates a problem.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, detail: detail.into(), errors: Vec::new(), header: None, cause: None }
    }

    /// Creates a 400: the request cannot be parsed.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Creates a 401: the token is missing or invalid.
    pub(crate) fn unauthorized(detail: &'static str) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, detail)
            .header("www-authenticate", "Bearer realm=\"katas\"")
    }

    /// Creates a 404: the resource does not exist.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// Creates a 412: the resource does not match `If-Match` or `If-None-Match`.
    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// Creates a 422: the request is well-formed but has invalid values.
    pub fn invalid(errors: Vec<FieldError>) -> Problem {
        let detail = match errors.as_slice() {
            [FieldError { pointer, detail }] => match pointer.strip_prefix('/') {
                Some(name) => format!("{name} {detail}"),
                None => format!("the body {detail}"),
            },
            _ => format!("{} invalid values", errors.len()),
        };
        Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// Creates a 422 for one field.
    pub fn invalid_field(name: &str, error: impl Display) -> Problem {
        Problem::invalid(vec![FieldError::new(&[name], error)])
    }

    /// Creates a 422 for the body as a whole.
    pub fn invalid_body(error: impl Display) -> Problem {
        Problem::invalid(vec![FieldError::new(&[], error)])
    }

    /// Creates a 422: an earlier request with the same `Idempotency-Key` had another body.
    pub fn key_reused() -> Problem {
        Problem::invalid_body("differs from the body first sent with this Idempotency-Key")
    }

    /// Creates a 500: a bug or a wrong configuration. The cause is only logged.
    pub fn internal(cause: impl Display) -> Problem {
        let detail = "internal error; the cause has been logged";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).caused_by(cause)
    }

    /// Creates a 503: a dependency is unavailable, a retry may succeed. The cause is only logged.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, cause: impl Display) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .header("retry-after", "1")
            .caused_by(cause)
    }

    /// Returns the status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the invalid values of a 422.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    pub(crate) fn header(self, name: &'static str, value: impl Into<String>) -> Problem {
        Problem { header: Some((name, value.into())), ..self }
    }

    fn caused_by(self, cause: impl Display) -> Problem {
        Problem { cause: Some(cause.to_string()), ..self }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// Serializes the problem details, without the cause.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let envelope = Envelope {
            r#type: "about:blank",
            title: title(self.status),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        envelope.serialize(serializer)
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Reply {
        let mut reply = Reply::json(problem.status, &problem);
        reply = reply.header("content-type", "application/problem+json");
        reply.headers.extend(problem.header);
        reply.cause = problem.cause;
        reply
    }
}

/// Returns the reason phrase of RFC 9110. The `http` crate has older ones for two status codes.
fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        _ => status.canonical_reason().unwrap_or_default(),
    }
}
