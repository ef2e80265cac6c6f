//! A response and expectations about it. Each failure names the request, the actual value and the
//! expected one.

use http::{HeaderMap, StatusCode, Version};
use serde_json::Value;

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Response {
    /// Method and path of the request.
    pub(crate) call: String,
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// The maximum number of characters of a body that a failure quotes.
const QUOTE_LIMIT: usize = 200;

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Returns the value of a header, or an empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns whether the response is an error of a service. Otherwise it may be one of a gateway.
    pub(crate) fn is_problem(&self) -> bool {
        self.header("content-type").starts_with("application/problem+json")
    }

    /// Returns a failure message for this request.
    pub(crate) fn failure(&self, message: impl std::fmt::Display) -> String {
        format!("{}: {message}", self.call)
    }

    /// Expects this status code.
    pub(crate) fn expect_status(self, status: u16) -> Result<Response, String> {
        if self.status() == status {
            return Ok(self);
        }
        let (actual, detail) = (self.status(), self.detail());
        Err(self.failure(format!("status {actual}, expected {status}{detail}")))
    }

    /// Returns the part of an unexpected response that explains it: the redirect's target, the
    /// problem's detail, or the beginning of the body.
    fn detail(&self) -> String {
        let detail = match self.header("location") {
            to if self.status.is_redirection() && !to.is_empty() => format!("to {to}"),
            _ => match serde_json::from_str::<Value>(&self.body) {
                Ok(Value::Object(body)) if body.contains_key("detail") => {
                    let detail = &body["detail"];
                    detail.as_str().map_or_else(|| detail.to_string(), str::to_owned)
                }
                _ => self.body.trim().to_owned(),
            },
        };
        let mut quoted: String = detail.chars().take(QUOTE_LIMIT).collect();
        if quoted.len() < detail.len() {
            quoted += " ...";
        }
        if quoted.is_empty() { quoted } else { format!(": {}", quoted.replace('\n', " ")) }
    }

    /// Expects a header with this value.
    pub(crate) fn expect_header(self, name: &str, expected: &str) -> Result<Response, String> {
        match self.header(name) {
            actual if actual == expected => Ok(self),
            actual => {
                Err(self.failure(format!("header {name} is {actual:?}, expected {expected:?}")))
            }
        }
    }

    /// Expects a header whose value contains `part`.
    pub(crate) fn expect_header_contains(self, name: &str, part: &str) -> Result<Response, String> {
        match self.header(name) {
            actual if actual.contains(part) => Ok(self),
            actual => {
                Err(self.failure(format!("header {name} is {actual:?}, which lacks {part:?}")))
            }
        }
    }

    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Result<Value, String> {
        let media_type = self.header("content-type");
        let is_json = ["application/json", "application/problem+json"]
            .iter()
            .any(|json| media_type.starts_with(json));
        if !is_json {
            return Err(self.failure(format!("content type {media_type:?}, expected JSON")));
        }
        serde_json::from_str(&self.body)
            .map_err(|error| self.failure(format!("invalid JSON: {error}")))
    }

    /// Expects a JSON body with these members. It may have others.
    pub(crate) fn expect_json(self, expected: &Value) -> Result<Response, String> {
        let body = self.json()?;
        match difference(&body, expected, "") {
            Some(difference) => Err(self.failure(difference)),
            None => Ok(self),
        }
    }

    /// Expects a complete RFC 9457 problem with this status code.
    pub(crate) fn expect_problem(self, status: u16) -> Result<Response, String> {
        let response = self.expect_status(status)?;
        let response =
            response.expect_header_contains("content-type", "application/problem+json")?;
        let problem = response.json()?;
        for member in ["type", "title", "detail"] {
            if problem[member].as_str().is_none_or(str::is_empty) {
                return Err(response.failure(format!("the problem has no {member}")));
            }
        }
        response.expect_json(&serde_json::json!({"status": status}))
    }

    /// Returns the `id` in the body, as it appears in a path.
    pub(crate) fn id(&self) -> Result<String, String> {
        match &self.json()?["id"] {
            Value::String(id) => Ok(id.clone()),
            Value::Number(id) => Ok(id.to_string()),
            other => Err(self.failure(format!("/id is {other}, expected a string or a number"))),
        }
    }

    /// Returns the `ETag` header, which must be strong.
    pub(crate) fn etag(&self) -> Result<String, String> {
        match self.header("etag") {
            tag if tag.starts_with('"') => Ok(tag.to_owned()),
            other => Err(self.failure(format!("ETag is {other:?}, expected a strong one"))),
        }
    }
}

/// Describes the first difference between two JSON values. Additional members of objects are no
/// difference.
fn difference(actual: &Value, expected: &Value, pointer: &str) -> Option<String> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().find_map(|(key, value)| {
                difference(
                    actual.get(key).unwrap_or(&Value::Null),
                    value,
                    &format!("{pointer}/{key}"),
                )
            })
        }
        _ if actual == expected => None,
        _ => {
            let subject = if pointer.is_empty() { "the body" } else { pointer };
            Some(format!("{subject} is {actual}, expected {expected}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn response(status: u16, header: (&'static str, &str), body: &str) -> Response {
        let value = header.1.parse().expect("a header");
        Response {
            call: "GET /x".to_owned(),
            status: StatusCode::from_u16(status).expect("a status"),
            version: Version::HTTP_11,
            headers: HeaderMap::from_iter([(header.0.parse().expect("a name"), value)]),
            body: body.to_owned(),
        }
    }

    const JSON: (&str, &str) = ("content-type", "application/json");
    const PROBLEM: (&str, &str) = ("content-type", "application/problem+json");

    #[test]
    fn unexpected_status_is_reported_with_detail() {
        let failure = |response: Response| response.expect_status(200).expect_err("not 200");
        let problem = r#"{"detail":"the database is not ready"}"#;
        let expected = "GET /x: status 503, expected 200: the database is not ready";
        assert_eq!(failure(response(503, PROBLEM, problem)), expected);
        let redirect = response(301, ("location", "https://x/"), "<html>");
        assert_eq!(failure(redirect), "GET /x: status 301, expected 200: to https://x/");
        assert_eq!(failure(response(404, JSON, "")), "GET /x: status 404, expected 200");
        let long = failure(response(500, JSON, &"é".repeat(300)));
        assert!(long.ends_with(&format!("{} ...", "é".repeat(QUOTE_LIMIT))), "{long}");
    }

    #[test]
    fn json_with_additional_members_meets_the_expectation() {
        let body = r#"{"a":{"b":1,"c":2},"d":[1]}"#;
        for expected in [json!({}), json!({"a": {"b": 1}}), json!({"d": [1]})] {
            response(200, JSON, body).expect_json(&expected).expect("no difference");
        }
        for (expected, failure) in [
            (json!({"a": {"b": 2}}), "GET /x: /a/b is 1, expected 2"),
            (json!({"d": []}), "GET /x: /d is [1], expected []"),
            (json!({"e": 1}), "GET /x: /e is null, expected 1"),
            (json!([]), "GET /x: the body is {\"a\":{\"b\":1,\"c\":2},\"d\":[1]}, expected []"),
        ] {
            let result = response(200, JSON, body).expect_json(&expected);
            assert_eq!(result.expect_err("a difference"), failure);
        }
    }

    #[test]
    fn incomplete_problem_is_rejected() {
        let complete = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"no"}"#;
        response(404, PROBLEM, complete).expect_problem(404).expect("a complete problem");
        for (header, body) in [
            (JSON, complete),
            (PROBLEM, r#"{"type":"about:blank","title":"Not Found","status":400,"detail":"no"}"#),
            (PROBLEM, r#"{"type":"about:blank","title":"Not Found","status":404,"detail":""}"#),
            (PROBLEM, "Not Found"),
        ] {
            response(404, header, body).expect_problem(404).expect_err(body);
        }
    }

    #[test]
    fn weak_or_missing_etag_is_rejected() {
        assert_eq!(response(200, ("etag", "\"1\""), "").etag(), Ok("\"1\"".to_owned()));
        response(200, ("etag", "W/\"1\""), "").etag().expect_err("a weak tag");
        response(200, JSON, "").etag().expect_err("no tag");
    }
}
