//! Exact decimal numbers for prices, tax rates and their sums.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A non-negative decimal number of up to 28 digits. Numbers of 29 digits are accepted if they fit
/// into 96 bits.
///
/// An operation returns an error when the exact result needs more digits: only [`Amount::rounded`]
/// rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(Decimal);

/// The reason why a number is not an [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// The number is less than zero.
    Negative,
    /// The number has more than 28 digits.
    TooManyDigits,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AmountError::Negative => "must not be negative",
            AmountError::TooManyDigits => "exceeds 28 digits",
        })
    }
}

impl Amount {
    /// 0.
    pub const ZERO: Amount = Amount(Decimal::ZERO);
    /// 1.
    pub const ONE: Amount = Amount(Decimal::ONE);

    /// Returns the number with these digits, of which the last `places` are decimal places:
    /// `Amount::with_places(1250, 2)` is 12.50. Panics, at compile time in a constant, if `places`
    /// exceeds 28.
    pub const fn with_places(digits: u64, places: u32) -> Amount {
        Amount(Decimal::from_parts(digits as u32, (digits >> 32) as u32, 0, false, places))
    }

    /// Parses a number in JSON syntax: `12`, `0.50`, `1.5e3`.
    pub fn parse(digits: &str) -> Result<Amount, AmountError> {
        let (number, exponent) = match digits.split_once(['e', 'E']) {
            Some((number, exponent)) => {
                (number, exponent.parse().or(Err(AmountError::TooManyDigits))?)
            }
            None => (digits, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = whole.trim_start_matches('-').to_owned() + fraction;
        // Leading and trailing zeros only shift the decimal point.
        let significant = digits.trim_end_matches('0');
        if significant.trim_start_matches('0').is_empty() {
            return Ok(Amount::ZERO);
        }
        if whole.starts_with('-') {
            return Err(AmountError::Negative);
        }
        let scale = significant.len() as i64 - whole.len() as i64;
        let amount = significant.parse().ok().and_then(|number| scaled(number, scale - exponent));
        amount.map(Amount).ok_or(AmountError::TooManyDigits)
    }

    /// Parses the result of [`Amount::exact`].
    pub fn from_exact(digits: &str) -> Option<Amount> {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let number = (whole.to_owned() + fraction).parse().ok().filter(|number| *number >= 0)?;
        scaled(number, fraction.len() as i64).map(Amount)
    }

    /// Returns the sum, or an error when it needs more than 28 digits.
    pub fn checked_add(self, other: Amount) -> Result<Amount, AmountError> {
        // rust_decimal rounds a sum with too many digits to a smaller scale.
        let places = self.0.scale().max(other.0.scale());
        let sum = self.0.checked_add(other.0).filter(|sum| sum.scale() == places);
        sum.map(Amount).ok_or(AmountError::TooManyDigits)
    }

    /// Returns the product, or an error when it needs more than 28 digits.
    pub fn checked_mul(self, other: Amount) -> Result<Amount, AmountError> {
        if self == Amount::ZERO || other == Amount::ZERO {
            return Ok(Amount::ZERO);
        }
        let places = self.0.scale() + other.0.scale();
        let product = self.0.checked_mul(other.0).filter(|product| product.scale() == places);
        product.map(Amount).ok_or(AmountError::TooManyDigits)
    }

    /// Returns the difference, or zero when `other` is greater.
    pub fn saturating_sub(self, other: Amount) -> Amount {
        // The difference of two amounts never overflows.
        Amount(self.0.saturating_sub(other.0).max(Decimal::ZERO))
    }

    /// Returns the number of decimal places, including trailing zeros.
    pub(crate) fn places(self) -> u32 {
        self.0.scale()
    }

    /// Returns the number with the decimal places of `other`. Returns `None` when it has more.
    pub(crate) fn with_places_of(self, other: Amount) -> Option<Amount> {
        let mut number = self.0;
        number.rescale(other.places());
        (self.places() <= other.places()).then_some(Amount(number))
    }

    /// Rounds to two decimal places, half away from zero.
    pub fn rounded(self) -> Amount {
        Amount(self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
    }

    /// Formats the number without trailing zeros, as a JSON number: `70.85`, `65`, `70.5`.
    pub fn shortest(self) -> String {
        self.format(0)
    }

    /// Formats the number with at least two decimal places: `65.00`, `0.125`.
    pub fn money(self) -> String {
        self.format(2)
    }

    /// Formats the number with all of its decimal places, including trailing zeros.
    ///
    /// The places of a sum are those of its most precise term, and they decide whether a further sum
    /// has too many digits. A sum of partial sums is the sum of all terms only if partial sums keep
    /// them.
    pub fn exact(self) -> String {
        self.0.to_string()
    }

    /// Serializes text with all decimal places, which a client with binary floats reads exactly:
    /// `#[serde(serialize_with = "Amount::as_text")]`.
    pub fn as_text<S: Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&amount.exact())
    }

    /// Formats the number with at least `min_places` decimal places and no further trailing zeros.
    ///
    /// `Decimal::normalize` divides by ten repeatedly, which would take most of the time of a long
    /// receipt.
    fn format(self, min_places: usize) -> String {
        let mut text = self.0.to_string();
        if self.0.scale() == 0 {
            text.push('.');
        }
        let point = text.find('.').unwrap_or_default();
        text.truncate(text.trim_end_matches('0').len());
        while text.len() <= point + min_places {
            text.push('0');
        }
        text.truncate(text.trim_end_matches('.').len());
        text
    }
}

/// Serializes a JSON number with all digits. Requires a serializer of `serde_json`.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.shortest()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl From<u64> for Amount {
    fn from(count: u64) -> Amount {
        Amount(count.into())
    }
}

/// Returns `digits` divided by 10 to the power of `scale`, which may be negative.
fn scaled(digits: i128, scale: i64) -> Option<Decimal> {
    let places = u32::try_from(scale.max(0)).ok()?;
    let zeros = u32::try_from(scale.min(0).unsigned_abs()).ok()?;
    let digits = digits.checked_mul(10_i128.checked_pow(zeros)?)?;
    Decimal::try_from_i128_with_scale(digits, places).ok()
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use bigdecimal::{BigDecimal, RoundingMode};
    use proptest::prelude::*;

    use super::*;

    fn amount(digits: &str) -> Amount {
        Amount::parse(digits).unwrap_or_else(|error| panic!("{digits} {error}"))
    }

    #[test]
    fn number_in_any_json_syntax_is_parsed() {
        for (digits, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e7", "0"),
            ("0e-400", "0"),
            ("5", "5"),
            ("100", "100"),
            ("5.50", "5.5"),
            ("5.0000000000000000000000000000000000000000", "5"),
            ("1.5e3", "1500"),
            ("15E-1", "1.5"),
            ("1e+2", "100"),
            ("100e-2", "1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e27", "1000000000000000000000000000"),
            ("1e-28", "0.0000000000000000000000000001"),
        ] {
            assert_eq!(amount(digits).shortest(), expected, "{digits}");
        }
    }

    #[test]
    fn negative_or_too_long_number_is_an_error() {
        for digits in ["-1", "-0.001", "-1e5"] {
            assert_eq!(Amount::parse(digits), Err(AmountError::Negative), "{digits}");
        }
        for digits in
            ["1e29", "1e400", "1e-29", "1e-400", "1e99999999999", "0.12345678901234567890123456789"]
        {
            assert_eq!(Amount::parse(digits), Err(AmountError::TooManyDigits), "{digits}");
        }
        assert_eq!(amount("1e27").checked_add(amount("1e-28")), Err(AmountError::TooManyDigits));
        assert_eq!(amount("1e15").checked_mul(amount("1e15")), Err(AmountError::TooManyDigits));
        assert_eq!(amount("1e-15").checked_mul(amount("1e-15")), Err(AmountError::TooManyDigits));
    }

    #[test]
    fn half_is_rounded_away_from_zero() {
        for (digits, expected) in [
            ("0.005", "0.01"),
            ("0.0049", "0.00"),
            ("1.005", "1.01"),
            ("2.675", "2.68"),
            ("7", "7.00"),
        ] {
            assert_eq!(amount(digits).rounded().money(), expected, "{digits}");
        }
        assert_eq!(amount("0.125").money(), "0.125");
    }

    proptest! {
        /// Compares with arbitrary-precision arithmetic.
        #[test]
        fn sum_and_product_are_exact_or_an_error(
            a in "(0|[1-9][0-9]{0,14})(\\.[0-9]{1,14})?(e-?[0-9])?",
            b in "(0|[1-9][0-9]{0,14})(\\.[0-9]{1,14})?(e-?[0-9])?",
        ) {
            let big = |digits: &str| BigDecimal::from_str(digits).expect("a number");
            if let (Ok(x), Ok(y)) = (Amount::parse(&a), Amount::parse(&b)) {
                prop_assert_eq!(big(&x.shortest()), big(&a));
                if let Ok(sum) = x.checked_add(y) {
                    prop_assert_eq!(big(&sum.shortest()), big(&a) + big(&b));
                    let rounded = (big(&a) + big(&b)).with_scale_round(2, RoundingMode::HalfUp);
                    prop_assert_eq!(big(&sum.rounded().shortest()), rounded);
                }
                if let Ok(product) = x.checked_mul(y) {
                    prop_assert_eq!(big(&product.shortest()), big(&a) * big(&b));
                }
            }
        }

        #[test]
        fn sum_of_partial_sums_is_the_sum_of_all_terms(
            terms in prop::collection::vec("0|[1-9][0-9]{0,2}(\\.[0-9]{0,2}[1-9])?|[1-9]e2[0-8]|[1-9]e-2[0-8]", 1..9),
            split in 0_usize..9,
        ) {
            let sum = |terms: &[Amount]| {
                terms.iter().try_fold(Amount::ZERO, |sum, &term| sum.checked_add(term))
            };
            let terms: Vec<_> = terms.iter().filter_map(|term| Amount::parse(term).ok()).collect();
            let (first, second) = terms.split_at(split.min(terms.len()));
            let partial = |terms| Some(Amount::from_exact(&sum(terms).ok()?.exact()).expect("exact"));
            let of_partial_sums = match (partial(first), partial(second)) {
                (Some(first), Some(second)) => first.checked_add(second).ok(),
                _ => None,
            };
            prop_assert_eq!(of_partial_sums.map(Amount::exact), sum(&terms).ok().map(Amount::exact));
        }

        #[test]
        fn realistic_totals_never_overflow(
            prices in prop::collection::vec(0_u64..=999_999_999_999, 1..50),
            rate in 0_u32..=10_000,
        ) {
            let mut sum = Amount::ZERO;
            for cents in &prices {
                sum = sum.checked_add(amount(&format!("{cents}e-2"))).expect("no overflow");
            }
            let factor = Amount::ONE.checked_add(amount(&format!("{rate}e-4"))).expect("no overflow");
            let total = sum.checked_mul(factor).expect("no overflow").rounded();
            prop_assert_eq!(amount(&total.money()), total);
        }
    }
}
