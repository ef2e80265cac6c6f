//! Decimal numbers in text.

use std::fmt;

use crate::Amount;

/// The reason why a text is not a decimal number, or not an accepted one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DecimalError {
    /// The text is not a decimal number without sign and exponent.
    Syntax,
    /// The number has more than 28 digits.
    TooManyDigits,
    /// The number has more decimal places than this maximum.
    TooManyPlaces(u32),
    /// The number is less than the first or greater than the second.
    OutOfRange(Amount, Amount),
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecimalError::Syntax => f.write_str("must be a decimal number such as 12.50"),
            DecimalError::TooManyDigits => f.write_str("exceeds 28 digits"),
            DecimalError::TooManyPlaces(1) => f.write_str("must have at most 1 decimal place"),
            DecimalError::TooManyPlaces(max) => {
                write!(f, "must have at most {max} decimal places")
            }
            DecimalError::OutOfRange(min, max) => {
                write!(f, "must be from {} to {}", min.exact(), max.exact())
            }
        }
    }
}

/// Parses a non-negative decimal number in text: `12`, `0.50`. The amount has the decimal places of
/// the text, including trailing zeros.
pub fn decimal(text: &str) -> Result<Amount, DecimalError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let is_padded = whole.len() > 1 && whole.starts_with('0');
    if !is_number(whole) || !is_number(fraction) || is_padded {
        return Err(DecimalError::Syntax);
    }
    Amount::from_exact(text).ok_or(DecimalError::TooManyDigits)
}

/// Parses a decimal number from `min` to `max` with at most as many decimal places as `max`. The
/// amount has all of these places: with a `max` of 99.99, `0.5` is 0.50.
pub fn decimal_within(text: &str, min: Amount, max: Amount) -> Result<Amount, DecimalError> {
    let amount = decimal(text)?;
    if !(min..=max).contains(&amount) {
        return Err(DecimalError::OutOfRange(min, max));
    }
    amount.with_places_of(max).ok_or(DecimalError::TooManyPlaces(max.places()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_keeps_its_digits() {
        let longest = "1234567890123456789.012345678";
        for text in ["0", "0.0", "12", "12.50", "100", "0.0000000000000000000000000001", longest] {
            assert_eq!(decimal(text).map(Amount::exact).as_deref(), Ok(text));
        }
    }

    #[test]
    fn text_that_is_not_a_plain_decimal_number_is_an_error() {
        for text in [
            "", ".", "5.", ".5", "-1", "+1", "-0", "1e3", "007", "00.5", "1_0", "1,5", " 1",
            "1.2.3",
        ] {
            assert_eq!(decimal(text), Err(DecimalError::Syntax), "{text}");
        }
        for digits in [30, 40, 500] {
            assert_eq!(decimal(&"9".repeat(digits)), Err(DecimalError::TooManyDigits));
        }
        let places = format!("0.{}", "9".repeat(29));
        assert_eq!(decimal(&places), Err(DecimalError::TooManyDigits));
    }

    #[test]
    fn decimal_outside_its_range_is_an_error_that_names_the_range() {
        let price =
            |text| decimal_within(text, Amount::with_places(50, 2), Amount::with_places(99_999, 2));
        for (text, expected) in [("0.5", "0.50"), ("7", "7.00"), ("999.99", "999.99")] {
            assert_eq!(price(text).map(Amount::exact).as_deref(), Ok(expected));
        }
        for (text, message) in [
            ("0.49", "must be from 0.50 to 999.99"),
            ("1000", "must be from 0.50 to 999.99"),
            ("0.505", "must have at most 2 decimal places"),
            ("0.500", "must have at most 2 decimal places"),
            ("one", "must be a decimal number such as 12.50"),
        ] {
            assert_eq!(price(text).map_err(|error| error.to_string()), Err(message.to_owned()));
        }
    }
}
