//! Exact decimal numbers: prices, tax rates and sums of them.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};

/// A decimal number that is not negative, exact to its last digit.
///
/// It holds 28 digits. What would need more is refused, never rounded: [`Inexact`]. The only
/// rounding is [`Amount::rounded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(Decimal);

/// Why there is no such amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inexact {
    /// It is below zero.
    Negative,
    /// It has more digits than can be reckoned with exactly.
    Digits,
}

impl fmt::Display for Inexact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Inexact::Negative => "must not be negative",
            Inexact::Digits => "needs more than 28 digits",
        })
    }
}

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(Decimal::ZERO);
    /// One.
    pub const ONE: Amount = Amount(Decimal::ONE);

    /// The amount with these digits: a number as JSON writes it, `12`, `0.50` or `1.5e3`.
    pub fn parse(digits: &str) -> Result<Amount, Inexact> {
        let (number, exponent) = match digits.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse().or(Err(Inexact::Digits))?),
            None => (digits, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all = whole.trim_start_matches('-').to_owned() + fraction;
        // Zeros at either end say nothing but where the point is.
        let significant = all.trim_end_matches('0');
        if significant.trim_start_matches('0').is_empty() {
            return Ok(Amount::ZERO);
        }
        if whole.starts_with('-') {
            return Err(Inexact::Negative);
        }
        let behind_point = significant.len() as i64 - whole.len() as i64;
        let amount = significant.parse().ok().and_then(|it| scaled(it, behind_point - exponent));
        amount.map(Amount).ok_or(Inexact::Digits)
    }

    /// The sum.
    pub fn plus(self, other: Amount) -> Result<Amount, Inexact> {
        // Where the sum has not enough room, the library rounds it to fewer places.
        let places = self.0.scale().max(other.0.scale());
        let sum = sum(self.0, other.0).filter(|sum| sum.scale() == places);
        sum.map(Amount).ok_or(Inexact::Digits)
    }

    /// The product.
    pub fn times(self, other: Amount) -> Result<Amount, Inexact> {
        if self == Amount::ZERO || other == Amount::ZERO {
            return Ok(Amount::ZERO);
        }
        let places = self.0.scale() + other.0.scale();
        let product = self.0.checked_mul(other.0).filter(|product| product.scale() == places);
        product.map(Amount).ok_or(Inexact::Digits)
    }

    /// What is left; nothing where `other` is more.
    pub fn minus(self, other: Amount) -> Amount {
        // It is between zero and the greater of the two: never too large.
        Amount(sum(self.0, -other.0).unwrap_or_default().max(Decimal::ZERO))
    }

    /// With two decimal places, halves away from zero, as a cashier does it.
    pub fn rounded(self) -> Amount {
        Amount(self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
    }

    /// The shortest text: `70.85`, `65`, `70.5`. A number as JSON writes it.
    pub fn shortest(self) -> String {
        self.text(0)
    }

    /// With two decimal places, or as many more as it has: `65.00`, `0.125`.
    pub fn money(self) -> String {
        self.text(2)
    }

    /// With `least` decimal places, or as many more as it has. The library's own way to the shortest
    /// text divides by ten until it does not go any more, which is most of the work of a long
    /// receipt.
    fn text(self, least: usize) -> String {
        let digits = self.0.mantissa().unsigned_abs();
        let digits = match u64::try_from(digits) {
            Ok(digits) => digits.to_string(),
            Err(_) => digits.to_string(),
        };
        let places = self.0.scale() as usize;
        let whole = digits.len().saturating_sub(places);
        let (whole, fraction) = digits.split_at_checked(whole).unwrap_or_default();
        let fraction = fraction.trim_end_matches('0');
        // Zeros between the point and the first digit, if there is one.
        let zeros = if fraction.is_empty() { 0 } else { places.saturating_sub(digits.len()) };
        let mut text = String::with_capacity(digits.len() + zeros + 4);
        text.push_str(if whole.is_empty() { "0" } else { whole });
        if zeros + fraction.len() + least > 0 {
            text.push('.');
            text.extend((0..zeros).map(|_| '0'));
            text.push_str(fraction);
            text.extend((zeros + fraction.len()..least).map(|_| '0'));
        }
        text
    }
}

impl From<u64> for Amount {
    fn from(count: u64) -> Amount {
        Amount(count.into())
    }
}

/// The sum; the library's `checked_add`, once.
#[inline(never)]
fn sum(one: Decimal, other: Decimal) -> Option<Decimal> {
    one.checked_add(other)
}

/// `digits` with this many of them behind the point, zeros added where that is less than none.
fn scaled(digits: i128, behind_point: i64) -> Option<Decimal> {
    let places = u32::try_from(behind_point.max(0)).ok()?;
    let zeros = u32::try_from(behind_point.min(0).unsigned_abs()).ok()?;
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
        Amount::parse(digits).unwrap_or_else(|flaw| panic!("{digits} {flaw}"))
    }

    #[test]
    fn every_way_to_write_a_number_is_read() {
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
    fn what_cannot_be_exact_is_refused() {
        for digits in ["-1", "-0.001", "-1e5"] {
            assert_eq!(Amount::parse(digits), Err(Inexact::Negative), "{digits}");
        }
        for digits in
            ["1e29", "1e400", "1e-29", "1e-400", "1e99999999999", "0.12345678901234567890123456789"]
        {
            assert_eq!(Amount::parse(digits), Err(Inexact::Digits), "{digits}");
        }
        assert_eq!(amount("1e27").plus(amount("1e-28")), Err(Inexact::Digits));
        assert_eq!(amount("1e15").times(amount("1e15")), Err(Inexact::Digits));
        assert_eq!(amount("1e-15").times(amount("1e-15")), Err(Inexact::Digits));
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
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
        /// Against a library that has as many digits as it takes.
        #[test]
        fn sums_and_products_are_exact_or_refused(
            a in "(0|[1-9][0-9]{0,14})(\\.[0-9]{1,14})?(e-?[0-9])?",
            b in "(0|[1-9][0-9]{0,14})(\\.[0-9]{1,14})?(e-?[0-9])?",
        ) {
            let big = |digits: &str| BigDecimal::from_str(digits).expect("a number");
            if let (Ok(x), Ok(y)) = (Amount::parse(&a), Amount::parse(&b)) {
                prop_assert_eq!(big(&x.shortest()), big(&a));
                if let Ok(sum) = x.plus(y) {
                    prop_assert_eq!(big(&sum.shortest()), big(&a) + big(&b));
                    let rounded = (big(&a) + big(&b)).with_scale_round(2, RoundingMode::HalfUp);
                    prop_assert_eq!(big(&sum.rounded().shortest()), rounded);
                }
                if let Ok(product) = x.times(y) {
                    prop_assert_eq!(big(&product.shortest()), big(&a) * big(&b));
                }
            }
        }

        /// What a shop reckons with is never refused.
        #[test]
        fn money_is_never_too_long(
            prices in prop::collection::vec(0_u64..=999_999_999_999, 1..50),
            rate in 0_u32..=10_000,
        ) {
            let mut sum = Amount::ZERO;
            for cents in &prices {
                sum = sum.plus(amount(&format!("{cents}e-2"))).expect("has room");
            }
            let factor = Amount::ONE.plus(amount(&format!("{rate}e-4"))).expect("has room");
            let total = sum.times(factor).expect("has room").rounded();
            prop_assert_eq!(amount(&total.money()), total);
        }
    }
}
