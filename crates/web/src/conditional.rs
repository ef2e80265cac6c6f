//! Conditional requests (RFC 9110, section 13): entity tags and preconditions.

use crate::{Problem, Request};

/// The conditions of a request on the current entity tag of the resource.
#[derive(Debug, Default, PartialEq)]
pub struct Preconditions {
    /// `If-Match`: the current tag must be one of these. Weak tags are dropped, because the strong
    /// comparison never matches them.
    pub if_match: Option<Tags>,
    /// `If-None-Match`: the current tag must be none of these, by weak comparison.
    pub if_none_match: Option<Tags>,
}

/// A set of entity tags, without their quotes.
#[derive(Debug, PartialEq)]
pub enum Tags {
    /// `*`: any tag of an existing resource.
    Any,
    /// These tags.
    List(Vec<String>),
}

impl Tags {
    /// Returns whether the set contains the tag of an existing resource.
    pub fn contains(&self, tag: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::List(tags) => tags.iter().any(|known| known == tag),
        }
    }

    /// Returns the tags of the set, `None` for [`Tags::Any`].
    fn list(&self) -> Option<&[String]> {
        match self {
            Tags::Any => None,
            Tags::List(tags) => Some(tags),
        }
    }
}

impl Preconditions {
    /// Returns the tags of which one must be the current tag of an existing resource, `None` for
    /// any tag.
    pub fn if_match(&self) -> Option<&[String]> {
        self.if_match.as_ref().and_then(Tags::list)
    }

    /// Returns the tags of which none may be the current tag of an existing resource, `None` when
    /// the resource must not exist.
    pub fn if_none_match(&self) -> Option<&[String]> {
        self.if_none_match.as_ref().map_or(Some(&[]), Tags::list)
    }

    /// Returns whether the request is unconditional.
    pub fn is_empty(&self) -> bool {
        *self == Preconditions::default()
    }

    /// Parses the headers. Returns 400 when one is not a list of entity tags.
    pub(crate) fn new(request: &Request) -> Result<Preconditions, Problem> {
        Ok(Preconditions {
            if_match: tags(request, "if-match", Weak::Drop)?,
            if_none_match: tags(request, "if-none-match", Weak::Keep)?,
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Weak {
    Drop,
    Keep,
}

fn tags(request: &Request, name: &str, weak: Weak) -> Result<Option<Tags>, Problem> {
    let Some(list) = request.list_header(name) else { return Ok(None) };
    if list.trim_ascii() == "*" {
        return Ok(Some(Tags::Any));
    }
    match parse(&list, weak) {
        Some(tags) => Ok(Some(Tags::List(tags))),
        None => {
            let detail = format!("{name} must be * or a list of quoted entity tags");
            Err(Problem::bad_request(detail))
        }
    }
}

/// Parses a comma-separated list of entity tags, in which elements may be empty (RFC 9110, section
/// 5.6.1). Returns `None` when it is malformed.
fn parse(list: &str, weak: Weak) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii();
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_ascii_start();
            continue;
        }
        let (is_weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !is_weak || weak == Weak::Keep {
            tags.push(tag.to_owned());
        }
        rest = match after.trim_ascii_start() {
            "" => "",
            more => more.strip_prefix(',')?.trim_ascii_start(),
        };
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, header};

    use super::*;
    use crate::native::receive;

    fn preconditions(name: HeaderName, value: &str) -> Result<Preconditions, Problem> {
        let request = http::Request::get("/").header(name, value).body(Vec::new());
        Preconditions::new(&receive(request.unwrap()))
    }

    fn list_of(tags: &[&str]) -> Option<Tags> {
        Some(Tags::List(tags.iter().map(|&tag| tag.to_owned()).collect()))
    }

    #[test]
    fn weak_tag_is_dropped_from_if_match_only() {
        let list = r#""a", W/"b" ,"c,d", """#;
        assert_eq!(
            preconditions(header::IF_MATCH, list).unwrap().if_match,
            list_of(&["a", "c,d", ""])
        );
        let none = preconditions(header::IF_NONE_MATCH, list).unwrap().if_none_match;
        assert_eq!(none, list_of(&["a", "b", "c,d", ""]));
    }

    #[test]
    fn empty_elements_are_ignored() {
        let list = r#", ,"a",, W/"b",	,"#;
        let tags = preconditions(header::IF_NONE_MATCH, list).unwrap().if_none_match;
        assert_eq!(tags, list_of(&["a", "b"]));
    }

    #[test]
    fn wildcard_is_any_tag_and_absent_header_is_no_precondition() {
        assert_eq!(preconditions(header::IF_MATCH, " * ").unwrap().if_match, Some(Tags::Any));
        assert_eq!(preconditions(header::ACCEPT, "*/*").unwrap(), Preconditions::default());
    }

    #[test]
    fn absent_preconditions_accept_every_tag() {
        let none = Preconditions::default();
        assert_eq!((none.if_match(), none.if_none_match()), (None, Some([].as_slice())));
        let any = Preconditions { if_match: Some(Tags::Any), if_none_match: Some(Tags::Any) };
        assert_eq!((any.if_match(), any.if_none_match()), (None, None));
        let one = Preconditions { if_match: list_of(&["a"]), if_none_match: list_of(&["b"]) };
        assert_eq!(one.if_match(), Some(["a".to_owned()].as_slice()));
        assert_eq!(one.if_none_match(), Some(["b".to_owned()].as_slice()));
    }

    #[test]
    fn malformed_tag_list_returns_400() {
        for bad in ["a", r#""a"#, r#""a" "b""#, r#"w/"a""#, r#""a",*"#] {
            assert_eq!(preconditions(header::IF_MATCH, bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
