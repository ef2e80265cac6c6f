//! Content negotiation: media types as they stand in `Accept` and `Content-Type`.

/// Whether a `Content-Type` is JSON: `application/json` or any `application/…+json`. JSON is UTF-8,
/// whatever `charset` says (RFC 8259, section 11).
pub(crate) fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim_ascii().to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}

/// Whether an `Accept` takes `media_type` (lower case, without parameters): the most specific range
/// decides. One that says nothing takes everything (RFC 9110, section 12.5.1).
pub(crate) fn takes(accept: &str, media_type: &str) -> bool {
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let mut said_anything = false;
    let mut best = (0, true); // how specific the range was, whether it allowed
    for item in accept.split(',') {
        let mut parts = item.split(';');
        let range = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        if !range.contains('/') {
            continue;
        }
        said_anything = true;
        let specific = match range.as_str() {
            "*/*" => 1,
            exact if exact == media_type => 3,
            prefix if prefix.strip_suffix("/*") == Some(kind) => 2,
            _ => continue,
        };
        if specific > best.0 {
            best = (specific, !parts.any(refuses));
        }
    }
    if best.0 == 0 { !said_anything } else { best.1 }
}

/// Whether the parameter is a weight of nothing: `q=0`, `q=0.000`.
fn refuses(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, weight)| {
        name.trim_ascii().eq_ignore_ascii_case("q")
            && weight.trim_ascii().bytes().all(|b| b"0.".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        for (accept, taken) in [
            ("*/*", true),
            ("application/*", true),
            ("application/json", true),
            ("Application/JSON;q=0.1", true),
            ("text/html, application/xhtml+xml, */*;q=0.8", true),
            ("text/html", false),
            ("text/*", false),
            ("*/*;q=0", false),
            ("*/*, application/json;q=0", false),
            ("*/*;q=0, application/json", true),
            ("application/problem+json", false),
            ("", true),
            ("nonsense", true),
        ] {
            assert_eq!(takes(accept, "application/json"), taken, "{accept}");
        }
    }
}
