//! Keyset pages: `{"items":[…],"next":"<cursor>"|null}` and `Link: <…>; rel="next"`.

use http::StatusCode;

use crate::{Problem, Reply, Request};

/// Where a page ended: the key of its last item. Opaque to clients.
#[derive(Debug, PartialEq)]
pub struct Cursor(pub String);

impl Cursor {
    /// From hexadecimal: it stands in a URL as it is, whoever puts it there.
    pub(crate) fn decode(text: &str) -> Result<Cursor, Problem> {
        match bytes(text).and_then(|bytes| String::from_utf8(bytes).ok()) {
            // No key holds NUL, and PostgreSQL cannot be asked for one.
            Some(key) if !key.contains('\0') => Ok(Cursor(key)),
            _ => Err(foreign()),
        }
    }

    /// The key as the number that it was before it became text; 400 when it never was.
    pub fn number(&self) -> Result<i64, Problem> {
        json::integer(&self.0).ok_or_else(foreign)
    }

    fn encode(&self) -> String {
        let mut digits = String::with_capacity(2 * self.0.len());
        for byte in self.0.bytes() {
            for half in [byte >> 4, byte & 15] {
                digits.push(char::from_digit(half.into(), 16).unwrap_or_default());
            }
        }
        digits
    }
}

/// The bytes that are written in hexadecimal.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    let mut bytes = Vec::with_capacity(text.len() / 2);
    while let Some(high) = digits.next() {
        bytes.push((high? << 4 | digits.next()??) as u8);
    }
    Some(bytes)
}

fn foreign() -> Problem {
    Problem::bad_request("after is not a cursor from this list")
}

impl Reply {
    /// 200 with a page of a list, its items the text of a JSON array as PostgreSQL has written it.
    /// `next` is where the page after it begins, `None` at the end.
    pub fn page(request: &Request, items: &str, next: Option<Cursor>) -> Reply {
        Reply::page_with(request, "", items, next)
    }

    /// The same, beginning with fields of its own: JSON text, a comma after each.
    pub fn page_with(request: &Request, own: &str, items: &str, next: Option<Cursor>) -> Reply {
        let next = next.map(|cursor| cursor.encode());
        let json = next.as_ref().map_or("null".to_owned(), |next| format!("\"{next}\""));
        let text = format!(r#"{{{own}"items":{items},"next":{json}}}"#);
        let reply = Reply::json_text(StatusCode::OK, text);
        match next {
            Some(next) => reply.header("link", link(&request.path, &request.query, &next)),
            None => reply,
        }
    }
}

/// The same list from `next` on, with the client's other parameters as they were.
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
    fn a_cursor_survives_the_journey() {
        for key in ["a", "ä/ö %", ""] {
            let cursor = Cursor(key.to_owned());
            assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
        }
        for forged in ["=", "6", "6x", "ff", "00", "616", "ä"] {
            assert_eq!(Cursor::decode(forged).unwrap_err().status(), 400, "{forged}");
        }
    }

    #[test]
    fn a_key_is_what_it_was_or_the_cursor_is_from_elsewhere() {
        assert_eq!(Cursor("12".to_owned()).number().unwrap(), 12);
        assert_eq!(Cursor("12a".to_owned()).number().unwrap_err().status(), 400);
    }

    #[test]
    fn the_link_keeps_the_other_parameters() {
        let query = "prefix=a%20b&after=old&limit=2";
        let expected = "</api/v2/entries?prefix=a%20b&limit=2&after=new>; rel=\"next\"";
        assert_eq!(link("/api/v2/entries", query, "new"), expected);
        assert_eq!(link("/x", "", "new"), "</x?after=new>; rel=\"next\"");
    }
}
