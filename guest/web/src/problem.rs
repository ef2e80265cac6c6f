//! The error envelope (RFC 9457): the one shape in which a failure reaches a client.

use std::borrow::Cow;
use std::fmt::Display;

use http::StatusCode;
use json::Flaw;
use serde::Serialize;

use crate::Reply;

/// A failure as the client sees it, with the cause that only the log sees.
///
/// A pointer, because everything that can fail moves one: in place, they are 3 KB of copying.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Vec<Flaw>,
    header: Option<(&'static str, String)>,
    cause: Option<String>,
}

impl Problem {
    /// Any status with a text for the client.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::of(status, detail.into())
    }

    fn of(status: StatusCode, detail: Cow<'static, str>) -> Problem {
        let (errors, header, cause) = (Vec::new(), None, None);
        Problem(Box::new(Parts { status, detail, errors, header, cause }))
    }

    /// 400: not understood at all.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: the request lacks the token, or has another one.
    pub(crate) fn unauthorized(detail: &'static str) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, detail)
            .header("www-authenticate", "Bearer realm=\"katas\"")
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// 412: the resource is not as `If-Match` or `If-None-Match` demands.
    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 422: understood, but not valid.
    pub fn invalid(errors: Vec<Flaw>) -> Problem {
        let detail = match errors.as_slice() {
            [Flaw { pointer, detail }] => match pointer.strip_prefix('/') {
                Some(name) => format!("{name} {detail}"),
                None => format!("the body {detail}"),
            },
            _ => format!("{} values are not valid", errors.len()),
        };
        let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        problem.0.errors = errors;
        problem
    }

    /// 500: our fault. The client learns nothing of the cause; the log has it.
    pub fn internal(cause: &dyn Display) -> Problem {
        let detail = "something went wrong here; it has been logged";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).because(cause)
    }

    /// 503: something this service depends on is not ready; trying again helps.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, cause: &dyn Display) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .header("retry-after", "1")
            .because(cause)
    }

    /// What the database did not do: 503 when that passes by itself, else 500.
    pub fn database(is_temporary: bool, cause: &dyn Display) -> Problem {
        match is_temporary {
            true => Problem::unavailable("the database is not ready; try again", cause),
            false => Problem::internal(cause),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The single things that are wrong, for 422.
    pub fn errors(&self) -> &[Flaw] {
        &self.0.errors
    }

    /// With this header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Problem {
        self.0.header = Some((name, value.into()));
        self
    }

    fn because(mut self, cause: &dyn Display) -> Problem {
        self.0.cause = Some(cause.to_string());
        self
    }
}

impl From<Problem> for Reply {
    fn from(Problem(problem): Problem) -> Reply {
        // Only texts of ours stand here as they are.
        let mut body = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":{}"#,
            title(problem.status),
            problem.status.as_u16(),
            json(&*problem.detail),
        );
        if !problem.errors.is_empty() {
            body = body + r#","errors":"# + &json(&problem.errors);
        }
        let body = (body + "}").into_bytes();
        let mut reply = Reply::new(problem.status).whole("application/problem+json", body);
        reply.0.headers.extend(problem.header);
        reply.0.cause = problem.cause;
        reply
    }
}

/// JSON of strings, which always serialise.
fn json(strings: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(strings).unwrap_or_default()
}

/// The standard's phrase for the statuses that there are here: all phrases would be 2 KB.
fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        428 => "Precondition Required",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
