//! Calendar dates.

use std::fmt;

/// The error for a text that is not a date.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidDate;

impl fmt::Display for InvalidDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a date such as 2026-01-31")
    }
}

/// Validates a date of the Gregorian calendar from year 1 to 9999, in the format of RFC 3339.
pub fn date(text: String) -> Result<String, InvalidDate> {
    match parse(&text) {
        Some((year, month, day)) if year > 0 && (1..=days(year, month)).contains(&day) => Ok(text),
        _ => Err(InvalidDate),
    }
}

fn parse(text: &str) -> Option<(u32, u32, u32)> {
    let number = |digits: &str, length: usize| {
        let is_number = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    };
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    Some((number(year, 4)?, number(month, 2)?, number(day, 2)?))
}

/// Returns the number of days of a month, 0 for a month that does not exist.
fn days(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_must_exist_in_the_calendar() {
        for good in ["0001-01-01", "2024-02-29", "2000-02-29", "2026-12-31", "9999-12-31"] {
            assert_eq!(date(good.to_owned()).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "0000-01-01",
            "2023-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-1-01",
            "26-01-01",
            "+026-01-01",
            "2026-01-01T00:00",
            "２026-01-01",
        ] {
            assert_eq!(date(bad.to_owned()), Err(InvalidDate), "{bad}");
        }
    }
}
