//! Conditional requests (RFC 9110, section 13): entity tags and what a client demands of them.

use crate::{Problem, Request};

/// What the client demands of the resource's current entity tag before the method is carried out.
#[derive(Debug, Default, PartialEq)]
pub struct Preconditions {
    /// `If-Match`: the current tag must be one of these. By strong comparison, so weak tags are
    /// left out: they never match.
    pub if_match: Option<Tags>,
    /// `If-None-Match`: the current tag must be none of these. By weak comparison.
    pub if_none_match: Option<Tags>,
}

/// A set of entity tags, without their quotes.
#[derive(Debug, PartialEq)]
pub enum Tags {
    /// `*`: whatever tag the resource has, as long as it exists.
    Any,
    /// These tags.
    These(Vec<String>),
}

impl Tags {
    /// Whether a resource that exists with `tag` is in the set.
    pub fn contain(&self, tag: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|one| one == tag),
        }
    }

    /// The tags in the set; `None` when it has all there are.
    fn listed(&self) -> Option<&[String]> {
        match self {
            Tags::Any => None,
            Tags::These(tags) => Some(tags),
        }
    }
}

impl Preconditions {
    /// The tags of which the current one, if there is one, must be one; `None` when any will do.
    pub fn wanted(&self) -> Option<&[String]> {
        self.if_match.as_ref().and_then(Tags::listed)
    }

    /// The tags of which the current one, if there is one, must be none; `None` when none will do.
    pub fn unwanted(&self) -> Option<&[String]> {
        self.if_none_match.as_ref().map_or(Some(&[]), Tags::listed)
    }

    /// The preconditions in the headers; 400 for a header that is not a list of entity tags.
    pub(crate) fn of(request: &Request) -> Result<Preconditions, Problem> {
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
    let Some(list) = request.header(name) else { return Ok(None) };
    if list.trim_ascii() == "*" {
        return Ok(Some(Tags::Any));
    }
    match parse(&list, weak) {
        Some(tags) => Ok(Some(Tags::These(tags))),
        None => {
            let detail = format!("{name} must be * or a list of quoted tags");
            Err(Problem::bad_request(detail))
        }
    }
}

/// The tags of a comma-separated list; `None` when it is not one.
fn parse(list: &str, weak: Weak) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii();
    while !rest.is_empty() {
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

    fn of(name: HeaderName, value: &str) -> Result<Preconditions, Problem> {
        let request = http::Request::get("/").header(name, value).body(Vec::new());
        Preconditions::of(&receive(request.unwrap()))
    }

    fn these(tags: &[&str]) -> Option<Tags> {
        Some(Tags::These(tags.iter().map(|&tag| tag.to_owned()).collect()))
    }

    #[test]
    fn weak_tags_count_only_where_comparison_is_weak() {
        let list = r#""a", W/"b" ,"c,d", """#;
        assert_eq!(of(header::IF_MATCH, list).unwrap().if_match, these(&["a", "c,d", ""]));
        let none = of(header::IF_NONE_MATCH, list).unwrap().if_none_match;
        assert_eq!(none, these(&["a", "b", "c,d", ""]));
    }

    #[test]
    fn a_star_is_any_and_no_header_is_no_demand() {
        assert_eq!(of(header::IF_MATCH, " * ").unwrap().if_match, Some(Tags::Any));
        assert_eq!(of(header::ACCEPT, "*/*").unwrap(), Preconditions::default());
    }

    #[test]
    fn without_a_demand_any_tag_will_do_and_none_is_refused() {
        let indifferent = Preconditions::default();
        assert_eq!((indifferent.wanted(), indifferent.unwanted()), (None, Some([].as_slice())));
        let any = Preconditions { if_match: Some(Tags::Any), if_none_match: Some(Tags::Any) };
        assert_eq!((any.wanted(), any.unwanted()), (None, None));
        let one = Preconditions { if_match: these(&["a"]), if_none_match: these(&["b"]) };
        assert_eq!(one.wanted(), Some(["a".to_owned()].as_slice()));
        assert_eq!(one.unwanted(), Some(["b".to_owned()].as_slice()));
    }

    #[test]
    fn what_is_not_a_list_of_tags_is_refused() {
        for bad in ["a", r#""a"#, r#""a" "b""#, r#"w/"a""#, r#""a",*"#] {
            assert_eq!(of(header::IF_MATCH, bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
