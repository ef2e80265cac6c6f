//! Query strings, `application/x-www-form-urlencoded`.

use std::ops::RangeInclusive;
use std::str::FromStr;

use percent_encoding::percent_decode;

use crate::Problem;

/// The decoded parameters of a query string. Unknown parameters are ignored; the last value of a
/// repeated parameter takes precedence.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: &str) -> Result<Query, Problem> {
        let mut pairs = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) => pairs.push((name, value)),
                _ => {
                    return Err(Problem::bad_request(
                        "the query string must be valid UTF-8 without NUL",
                    ));
                }
            }
        }
        Ok(Query(pairs))
    }

    /// Returns the decoded value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns a parameter as a value of type `T`, `None` when it is absent. Returns 400 when it has
    /// another type; `expected` completes the message "must be …".
    pub fn value<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let value = self.text(name).map(str::parse).transpose();
        value.map_err(|_| Problem::bad_request(format!("{name} must be {expected}")))
    }

    /// Returns a parameter as an integer, or `default` when it is absent. Returns 400 when it is
    /// not an integer within `range`.
    pub fn number(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64, Problem> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => {
                let (from, to) = (range.start(), range.end());
                let detail = format!("{name} must be an integer from {from} to {to}");
                Err(Problem::bad_request(detail))
            }
        }
    }
}

/// Decodes percent-encoding and `+`. Returns `None` when the result is not UTF-8 or contains NUL,
/// which PostgreSQL cannot store.
fn decode(text: &str) -> Option<String> {
    let text = percent_decoded(text.replace('+', " ").as_bytes())?;
    (!text.contains('\0')).then_some(text)
}

/// Decodes percent-encoding. Returns `None` when the result is not UTF-8.
pub(crate) fn percent_decoded(text: &[u8]) -> Option<String> {
    String::from_utf8(percent_decode(text).collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_parameter_uses_the_last_value() {
        let query = Query::parse("a=1&a=2&b=x+y%2Bz&c&%C3%A4=%2541&").unwrap();
        assert_eq!(query.text("a"), Some("2"));
        assert_eq!(query.text("b"), Some("x y+z"));
        assert_eq!(query.text("c"), Some(""));
        assert_eq!(query.text("ä"), Some("%41"));
        assert_eq!(query.text("d"), None);
        for bad in ["a=%FF", "a=%00", "%00=a"] {
            assert_eq!(Query::parse(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn parameter_of_another_type_returns_400() {
        let query = Query::parse("yes=true&word=maybe&empty=").unwrap();
        let flag = |name| query.value::<bool>(name, "true or false");
        assert_eq!(flag("yes").unwrap(), Some(true));
        assert_eq!(flag("absent").unwrap(), None);
        for bad in ["word", "empty"] {
            assert_eq!(flag(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn number_outside_its_range_returns_400() {
        let query = Query::parse("low=0&high=1001&good=1000&text=ten&empty=").unwrap();
        let number = |name| query.number(name, 50, 1..=1000);
        assert_eq!(number("good").unwrap(), 1000);
        assert_eq!(number("absent").unwrap(), 50);
        for bad in ["low", "high", "text", "empty"] {
            assert_eq!(number(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
