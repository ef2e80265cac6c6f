//! Preferences of the client: `Prefer` (RFC 7240).

/// Returns whether a `Prefer` header has this preference (lower case), without a value. The header
/// is a list; parameters and other preferences are ignored. Of a repeated preference, the first
/// occurrence counts.
pub(crate) fn prefers(prefer: &str, preference: &str) -> bool {
    let first = split(prefer, ',').find_map(|item| {
        let item = split(item, ';').next().unwrap_or_default();
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        name.trim_ascii().eq_ignore_ascii_case(preference).then_some(value.trim_ascii())
    });
    // An empty value is no value.
    matches!(first, Some("" | "\"\""))
}

/// Splits a text at a separator outside of quoted strings.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return !quoted && character == separator,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preference_is_found_by_its_case_insensitive_name() {
        for (prefer, expected) in [
            ("respond-async", true),
            ("Respond-Async", true),
            ("respond-async, wait=10", true),
            ("wait=10,, respond-async ; priority=5", true),
            ("foo=\"a, b\\\", c\";x=\";,\", respond-async", true),
            ("respond-async=\"\"", true),
            ("respond-async = ", true),
            ("", false),
            ("wait=10", false),
            ("respond-asynchronously", false),
            ("foo; respond-async", false),
            ("foo=respond-async", false),
            ("foo=\"x, respond-async\"", false),
            ("foo=\"x\\\", respond-async\"", false),
            ("foo=\"unclosed, respond-async", false),
            ("respond-async=no", false),
            ("respond-async=no, respond-async", false),
        ] {
            assert_eq!(prefers(prefer, "respond-async"), expected, "{prefer}");
        }
    }
}
