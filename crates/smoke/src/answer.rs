//! What is expected of an answer. Each expectation that does not hold says what was called, what came,
//! and what should have come.

use http::{HeaderMap, StatusCode, Version};
use serde_json::Value;

/// What was answered to a call.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Method and path.
    pub(crate) call: String,
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// How much of a body that surprises is quoted.
const QUOTED: usize = 200;

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The header's value, empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether a service has given it, and not a gateway in its place.
    pub(crate) fn is_of_service(&self) -> bool {
        self.header("content-type").starts_with("application/problem+json")
    }

    /// A failure of this call.
    pub(crate) fn wrong(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.call)
    }

    /// Is this status.
    pub(crate) fn is(self, status: u16) -> Result<Answer, String> {
        if self.status() == status {
            return Ok(self);
        }
        Err(self.wrong(format!("{} in place of {status}{}", self.status(), self.detail())))
    }

    /// What an answer that was not expected says.
    fn detail(&self) -> String {
        let told = match self.header("location") {
            to if self.status.is_redirection() && !to.is_empty() => format!("to {to}"),
            _ => match serde_json::from_str::<Value>(&self.body) {
                Ok(Value::Object(body)) if body.contains_key("detail") => {
                    let detail = &body["detail"];
                    detail.as_str().map_or_else(|| detail.to_string(), str::to_owned)
                }
                _ => self.body.trim().to_owned(),
            },
        };
        let mut quoted: String = told.chars().take(QUOTED).collect();
        if quoted.len() < told.len() {
            quoted += " ...";
        }
        if quoted.is_empty() { quoted } else { format!(": {}", quoted.replace('\n', " ")) }
    }

    /// Has a header with this value.
    pub(crate) fn has(self, name: &str, value: &str) -> Result<Answer, String> {
        match self.header(name) {
            found if found == value => Ok(self),
            found => Err(self.wrong(format!("the header {name} is {found:?}, not {value:?}"))),
        }
    }

    /// Has a header with this in its value.
    pub(crate) fn has_in(self, name: &str, part: &str) -> Result<Answer, String> {
        match self.header(name) {
            found if found.contains(part) => Ok(self),
            found => Err(self.wrong(format!("the header {name} is {found:?}, without {part:?}"))),
        }
    }

    /// The body, as JSON.
    pub(crate) fn json(&self) -> Result<Value, String> {
        let kind = self.header("content-type");
        if !kind.starts_with("application/json") && !kind.starts_with("application/problem+json") {
            return Err(self.wrong(format!("the content is {kind:?}, not JSON")));
        }
        serde_json::from_str(&self.body).map_err(|error| self.wrong(format!("not JSON: {error}")))
    }

    /// Its body has these members; it may have more.
    pub(crate) fn shows(self, expected: &Value) -> Result<Answer, String> {
        let body = self.json()?;
        match difference(&body, expected, "") {
            Some(difference) => Err(self.wrong(difference)),
            None => Ok(self),
        }
    }

    /// Is a problem of this status, in the envelope of RFC 9457.
    pub(crate) fn refused(self, status: u16) -> Result<Answer, String> {
        let answer = self.is(status)?.has_in("content-type", "application/problem+json")?;
        let problem = answer.json()?;
        for member in ["type", "title", "detail"] {
            if problem[member].as_str().is_none_or(str::is_empty) {
                return Err(answer.wrong(format!("the problem has no {member}")));
            }
        }
        answer.shows(&serde_json::json!({"status": status}))
    }

    /// The id in its body, as it stands in a path.
    pub(crate) fn id(&self) -> Result<String, String> {
        match &self.json()?["id"] {
            Value::String(id) => Ok(id.clone()),
            Value::Number(id) => Ok(id.to_string()),
            other => Err(self.wrong(format!("its id is {other}"))),
        }
    }

    /// The strong tag of what it shows.
    pub(crate) fn etag(&self) -> Result<String, String> {
        match self.header("etag") {
            tag if tag.starts_with('"') => Ok(tag.to_owned()),
            other => Err(self.wrong(format!("its ETag is {other:?}, not a strong one"))),
        }
    }
}

/// Where JSON is not as expected: members that are not expected may be there, everything else is
/// compared.
fn difference(found: &Value, expected: &Value, pointer: &str) -> Option<String> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().find_map(|(key, value)| {
                difference(
                    found.get(key).unwrap_or(&Value::Null),
                    value,
                    &format!("{pointer}/{key}"),
                )
            })
        }
        _ if found == expected => None,
        _ => {
            let place = if pointer.is_empty() { "the body" } else { pointer };
            Some(format!("{place} is {found}, not {expected}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, header: (&'static str, &str), body: &str) -> Answer {
        let value = header.1.parse().expect("a header");
        Answer {
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
    fn another_status_is_told_with_what_came() {
        let told = |answer: Answer| answer.is(200).expect_err("it is another");
        let problem = r#"{"detail":"the database is not ready"}"#;
        let expected = "GET /x: 503 in place of 200: the database is not ready";
        assert_eq!(told(answer(503, PROBLEM, problem)), expected);
        let moved = answer(301, ("location", "https://x/"), "<html>");
        assert_eq!(told(moved), "GET /x: 301 in place of 200: to https://x/");
        assert_eq!(told(answer(404, JSON, "")), "GET /x: 404 in place of 200");
        let long = told(answer(500, JSON, &"é".repeat(300)));
        assert!(long.ends_with(&format!("{} ...", "é".repeat(QUOTED))), "{long}");
    }

    #[test]
    fn what_is_shown_may_have_more_but_nothing_else() {
        let body = r#"{"a":{"b":1,"c":2},"d":[1]}"#;
        for fits in [json!({}), json!({"a": {"b": 1}}), json!({"d": [1]})] {
            answer(200, JSON, body).shows(&fits).expect("it fits");
        }
        for (other, told) in [
            (json!({"a": {"b": 2}}), "GET /x: /a/b is 1, not 2"),
            (json!({"d": []}), "GET /x: /d is [1], not []"),
            (json!({"e": 1}), "GET /x: /e is null, not 1"),
            (json!([]), "GET /x: the body is {\"a\":{\"b\":1,\"c\":2},\"d\":[1]}, not []"),
        ] {
            assert_eq!(answer(200, JSON, body).shows(&other).expect_err("it differs"), told);
        }
    }

    #[test]
    fn a_problem_has_the_whole_envelope() {
        let whole = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"no"}"#;
        answer(404, PROBLEM, whole).refused(404).expect("it is one");
        for (header, body) in [
            (JSON, whole),
            (PROBLEM, r#"{"type":"about:blank","title":"Not Found","status":400,"detail":"no"}"#),
            (PROBLEM, r#"{"type":"about:blank","title":"Not Found","status":404,"detail":""}"#),
            (PROBLEM, "Not Found"),
        ] {
            answer(404, header, body).refused(404).expect_err(body);
        }
    }

    #[test]
    fn a_weak_tag_is_none() {
        assert_eq!(answer(200, ("etag", "\"1\""), "").etag(), Ok("\"1\"".to_owned()));
        answer(200, ("etag", "W/\"1\""), "").etag().expect_err("it is weak");
        answer(200, JSON, "").etag().expect_err("it has none");
    }
}
