//! What stands on a receipt, and what a client may call its attempt to get one.

use std::fmt;

use katas::{Amount, Inexact, Order, Prices};
use serde::Serialize;

/// The most characters an idempotency key has.
const KEY_LENGTH: usize = 255;

/// What a client calls its attempt to have one receipt: 1 to 255 characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Key(String);

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flaw;

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must have 1 to {KEY_LENGTH} characters")
    }
}

impl Key {
    /// The key, if `text` can be one.
    pub fn new(text: String) -> Result<Key, Flaw> {
        match text.chars().count() {
            1..=KEY_LENGTH => Ok(Key(text)),
            _ => Err(Flaw),
        }
    }

    /// The key's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A receipt before it has been stored. Money is text, with two decimal places or more.
#[derive(Debug, PartialEq)]
pub struct Receipt<'a> {
    /// What was bought.
    pub lines: Vec<Line<'a>>,
    /// The items that had no price.
    pub ignored: Vec<&'a str>,
    /// What the items cost, rounded to two places.
    pub subtotal: Amount,
    /// The difference between the total and that: the three add up.
    pub tax: Amount,
    /// 0.09 is 9 %.
    pub tax_rate: Amount,
    /// With tax, reckoned from the exact sum and rounded once.
    pub total: Amount,
}

/// An item on a receipt.
#[derive(Debug, PartialEq, Serialize)]
pub struct Line<'a> {
    item: &'a str,
    quantity: u64,
    unit_price: String,
    amount: String,
}

impl<'a> Receipt<'a> {
    /// The receipt of an order at these prices.
    pub fn new(order: &'a Order, prices: &'a Prices) -> Result<Receipt<'a>, Inexact> {
        let bill = order.bill(prices);
        let lines = bill.lines().map(|line| {
            let (unit_price, amount) = (line.unit_price.money(), line.amount()?.money());
            Ok(Line { item: line.item, quantity: line.quantity, unit_price, amount })
        });
        let (subtotal, total) = (bill.subtotal()?.rounded(), bill.total(order.tax_rate)?);
        Ok(Receipt {
            lines: lines.collect::<Result<_, Inexact>>()?,
            ignored: order.ignored(prices),
            subtotal,
            tax: total.minus(subtotal),
            tax_rate: order.tax_rate,
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use katas::Source;

    use super::*;

    #[test]
    fn a_key_has_1_to_255_characters() {
        assert!(Key::new("ж".repeat(255)).is_ok());
        assert_eq!(Key::new("ж".repeat(256)), Err(Flaw));
        assert_eq!(Key::new(String::new()), Err(Flaw));
    }

    #[test]
    fn the_sums_of_a_receipt_add_up() {
        let amount = |digits| Amount::parse(digits).expect("a number");
        let prices = [("a", "0.333"), ("b", "0.005")];
        let prices = prices.map(|(item, price)| (item.to_owned(), amount(price)));
        let prices = Prices::new(prices.into()).expect("each is there once");
        let order = Order {
            items: ["b", "a", "x", "a"].map(str::to_owned).into(),
            source: Source::Costs(prices.clone()),
            tax_rate: amount("0.09"),
        };
        // 0.671, and with tax 0.73139
        let receipt = Receipt::new(&order, &prices).expect("has room");
        let sums = [receipt.subtotal, receipt.tax, receipt.total];
        assert_eq!(sums, ["0.67", "0.06", "0.73"].map(amount));
        assert_eq!(receipt.ignored, ["x"]);
        let a = &receipt.lines[1];
        assert_eq!((a.item, a.quantity), ("a", 2));
        assert_eq!((a.unit_price.as_str(), a.amount.as_str()), ("0.333", "0.666"));
    }
}
