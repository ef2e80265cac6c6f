//! Content negotiation: `Accept`, `Accept-Encoding` and `Content-Type`.

/// Returns whether a `Content-Type` is JSON: `application/json` or any `application/…+json`.
/// Parameters are ignored, `charset` too: JSON is always UTF-8 (RFC 8259, section 11).
pub(crate) fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}

/// Returns whether a `Content-Encoding` names a coding other than `identity`.
pub(crate) fn is_encoded(content_encoding: &str) -> bool {
    let mut codings = content_encoding.split(',').map(str::trim_ascii);
    codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// Returns the media type of a `Content-Type` in lower case, without parameters.
pub(crate) fn media_type(content_type: &str) -> String {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim_ascii().to_ascii_lowercase()
}

/// Returns the quality value of `media_type` (lower case, without parameters) in an `Accept`
/// header, in thousandths. The most specific range takes precedence; an empty header accepts
/// everything (RFC 9110, section 12.5.1).
pub(crate) fn quality(accept: &str, media_type: &str) -> usize {
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let mut has_range = false;
    let mut best = (0, 0); // (specificity, quality)
    for item in accept.split(',') {
        let mut parts = item.split(';');
        let range = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        if !range.contains('/') {
            continue;
        }
        has_range = true;
        let specificity = match range.as_str() {
            "*/*" => 1,
            exact if exact == media_type => 3,
            prefix if prefix.strip_suffix("/*") == Some(kind) => 2,
            _ => continue,
        };
        if specificity > best.0 {
            best = (specificity, parts.find_map(weight).unwrap_or(1000));
        }
    }
    if has_range { best.1 } else { 1000 }
}

/// Returns whether an `Accept-Encoding` header accepts a content coding (lower case). A named
/// coding takes precedence over `*` (RFC 9110, section 12.5.3).
pub(crate) fn accepts_coding(accept_encoding: &str, coding: &str) -> bool {
    let mut wildcard = false;
    for item in accept_encoding.split(',') {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let accepted = parts.find_map(weight) != Some(0);
        if name.eq_ignore_ascii_case(coding) {
            return accepted;
        }
        wildcard |= name == "*" && accepted;
    }
    wildcard
}

/// Parses a weight such as `q=0.5` into thousandths (RFC 9110, section 12.4.2). Returns `None` for any
/// other parameter.
fn weight(parameter: &str) -> Option<usize> {
    let (name, weight) = parameter.split_once('=')?;
    if !name.trim_ascii().eq_ignore_ascii_case("q") {
        return None;
    }
    let weight = weight.trim_ascii();
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let is_valid = matches!(whole, "0" | "1")
        && fraction.len() <= 3
        && fraction.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths =
        is_valid.then(|| format!("{whole}{fraction:0<3}").parse::<usize>().ok())??;
    Some(thousandths.min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_with_several_ranges_uses_the_most_specific() {
        for (accept, accepted) in [
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
            (", ,text/html,,application/json,", true),
            (",,text/html,", false),
        ] {
            assert_eq!(quality(accept, "application/json") > 0, accepted, "{accept}");
        }
    }

    #[test]
    fn content_coding_is_accepted_by_name_or_wildcard() {
        for (accept_encoding, accepted) in [
            ("gzip", true),
            ("deflate, GZip;q=0.5, br", true),
            ("*", true),
            ("br, *;q=0.1", true),
            ("gzip;q=0", false),
            ("*, gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("*;q=0, gzip", true),
            ("identity", false),
            ("xgzip, gzipx", false),
            (",, ,GZIP,", true),
            ("", false),
        ] {
            assert_eq!(accepts_coding(accept_encoding, "gzip"), accepted, "{accept_encoding}");
        }
    }

    #[test]
    fn content_encoding_is_a_case_insensitive_list() {
        for (content_encoding, encoded) in [
            ("gzip", true),
            ("identity, br", true),
            ("identity", false),
            ("Identity", false),
            (", IDENTITY ,", false),
            ("", false),
        ] {
            assert_eq!(is_encoded(content_encoding), encoded, "{content_encoding}");
        }
    }

    #[test]
    fn weight_is_parsed_into_thousandths() {
        for (parameter, expected) in [
            ("q=1", Some(1000)),
            ("q=1.000", Some(1000)),
            (" Q = 0.5 ", Some(500)),
            ("q=0.125", Some(125)),
            ("q=0", Some(0)),
            ("q=0.000", Some(0)),
            ("q=7", None),
            ("q=+1", None),
            ("q=0.x", None),
            ("q=0.1234", None),
            ("q=", None),
            ("q=x", None),
            ("level=1", None),
        ] {
            assert_eq!(weight(parameter), expected, "{parameter}");
        }
    }
}
