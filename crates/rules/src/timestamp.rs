//! Points in time.

use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat};

/// The error for a text that is not a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a time such as 2026-01-31T09:30:00Z")
    }
}

/// Validates a time in RFC 3339 format and returns it in UTC with microseconds, like PostgreSQL:
/// `2026-01-31T09:30:00.123456Z`. Further digits are dropped. In this form, times compare like texts.
///
/// The year in UTC is from 1 to 9999. As in PostgreSQL, a leap second is the second after it.
pub fn timestamp(text: &str) -> Result<String, InvalidTimestamp> {
    let time = DateTime::parse_from_rfc3339(text).or(Err(InvalidTimestamp))?;
    let utc = DateTime::from_timestamp_micros(time.timestamp_micros()).ok_or(InvalidTimestamp)?;
    match utc.year() {
        1..=9999 => Ok(utc.to_rfc3339_opts(SecondsFormat::Micros, true)),
        _ => Err(InvalidTimestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_returned_in_utc_with_microseconds() {
        for (text, expected) in [
            ("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000000Z"),
            ("2026-01-31t09:30:00z", "2026-01-31T09:30:00.000000Z"),
            ("2026-01-31T09:30:00.1Z", "2026-01-31T09:30:00.100000Z"),
            ("2026-01-31T09:30:00.123456789Z", "2026-01-31T09:30:00.123456Z"),
            ("2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00.000000Z"),
            ("2016-12-31T18:59:60-05:00", "2017-01-01T00:00:00.000000Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(timestamp(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_time_with_an_offset_is_an_error() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T09:30:00",
            "2026-01-31T09:30Z",
            "2026-02-31T09:30:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T09:30:00+0100",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "12026-01-31T09:30:00Z",
            "1769851800",
        ] {
            assert_eq!(timestamp(text), Err(InvalidTimestamp), "{text}");
        }
    }
}
