//! Integers within a range.

use std::fmt;

/// The error for an integer outside a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutOfRange {
    min: i64,
    max: i64,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be from {} to {}", self.min, self.max)
    }
}

/// Validates an integer from `min` to `max`.
pub fn within(number: i64, min: i64, max: i64) -> Result<i64, OutOfRange> {
    if (min..=max).contains(&number) { Ok(number) } else { Err(OutOfRange { min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_outside_its_range_is_an_error_that_names_the_range() {
        for number in [1, 5] {
            assert_eq!(within(number, 1, 5), Ok(number));
        }
        for number in [0, 6, i64::MIN] {
            assert_eq!(within(number, 1, 5).unwrap_err().to_string(), "must be from 1 to 5");
        }
    }
}
