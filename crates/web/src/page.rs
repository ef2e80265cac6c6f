//! Keyset pages: `{"items":[…],"next":"<cursor>"|null}` and `Link: <…>; rel="next"`.
//!
//! A cursor is the key of the last item of a page in hexadecimal, which needs no escaping in a URL.
//! It is opaque to clients.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Problem, Query, Reply, Request};

impl Query {
    /// Returns the key in the cursor `after`, after which the page starts. Returns 400 when the
    /// cursor is malformed or belongs to a list with another type of key.
    pub fn after<K: FromStr>(&self) -> Result<Option<K>, Problem> {
        let Some(cursor) = self.text("after") else { return Ok(None) };
        match decode(cursor).and_then(|key| key.parse().ok()) {
            Some(key) => Ok(Some(key)),
            None => Err(Problem::bad_request("after must be a cursor from this list")),
        }
    }

    /// Returns the parameter `limit`, the maximum number of items of a page: 1 to 1,000.
    pub fn limit(&self, default: i64) -> Result<i64, Problem> {
        self.number("limit", default, 1..=1000)
    }
}

fn encode(key: impl Display) -> String {
    hex::encode(key.to_string())
}

fn decode(cursor: &str) -> Option<String> {
    let key = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
    // PostgreSQL cannot store NUL in text.
    (!key.contains('\0')).then_some(key)
}

#[derive(Serialize)]
struct Page<'a, T> {
    #[serde(flatten)]
    fields: &'a T,
    items: &'a RawValue,
    next: Option<&'a str>,
}

impl Reply {
    /// Creates a 200 with a page of a list. `last` is the key of its last item, `None` on the last
    /// page.
    pub fn page(request: &Request, items: &RawValue, last: Option<impl Display>) -> Reply {
        #[derive(Serialize)]
        struct NoFields {}

        Reply::page_with(request, &NoFields {}, items, last)
    }

    /// Like [`Reply::page`], with the fields of a struct before the items.
    pub fn page_with(
        request: &Request,
        fields: &impl Serialize,
        items: &RawValue,
        last: Option<impl Display>,
    ) -> Reply {
        let next = last.map(encode);
        let reply = Reply::ok(&Page { fields, items, next: next.as_deref() });
        match next {
            Some(next) => reply.header("link", link(&request.path, &request.query, &next)),
            None => reply,
        }
    }
}

/// Returns the `Link` to the next page, with the other query parameters unchanged.
fn link(path: &str, query: &str, next: &str) -> String {
    let mut link = format!("<{path}?");
    for pair in query.split('&') {
        if !pair.is_empty() && pair.split('=').next() != Some("after") {
            link = link + pair + "&";
        }
    }
    link + "after=" + next + ">; rel=\"next\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_cursor_equals_its_key() {
        for key in ["a", "ä/ö %", ""] {
            assert_eq!(decode(&encode(key)).as_deref(), Some(key));
        }
        for forged in ["=", "6", "6x", "ff", "00", "616", "ä"] {
            assert_eq!(decode(forged), None, "{forged}");
        }
    }

    #[test]
    fn cursor_of_another_list_returns_400() {
        let after = |key: &str| Query::parse(&format!("after={}", encode(key))).unwrap().after();
        assert_eq!(after("12").unwrap(), Some(12_i64));
        assert_eq!(after("12a").unwrap_err().status(), 400);
        assert_eq!(Query::parse("").unwrap().after::<i64>().unwrap(), None);
    }

    #[test]
    fn link_replaces_only_the_cursor() {
        let query = "prefix=a%20b&after=old&limit=2";
        let expected = "</api/v2/entries?prefix=a%20b&limit=2&after=new>; rel=\"next\"";
        assert_eq!(link("/api/v2/entries", query, "new"), expected);
        assert_eq!(link("/x", "", "new"), "</x?after=new>; rel=\"next\"");
    }
}
