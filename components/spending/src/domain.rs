//! What a price list's name, an item and a receipt may be.

use std::fmt;

use katas::{Amount, Bill, Inexact};

/// The most prices in a list, and the most items in an order.
pub const MOST: usize = 10_000;
/// The most characters a name has.
const NAME_LENGTH: usize = 200;
/// The most characters an idempotency key has.
const KEY_LENGTH: usize = 255;

/// The name of a price list: 1 to 200 characters of any script. `Shop` and `shop` are two lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Name(String);

/// What a client calls its attempt to have one receipt: 1 to 255 characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Key(String);

/// Why a text is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flaw {
    /// There is nothing.
    Empty,
    /// There are more characters than this.
    Longer(usize),
    /// There is a character that PostgreSQL cannot store.
    Nul,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Empty => f.write_str("must not be empty"),
            Flaw::Longer(most) => write!(f, "may have at most {most} characters"),
            Flaw::Nul => f.write_str("must not contain the character NUL"),
        }
    }
}

impl Name {
    /// The name, if `text` can be one.
    pub fn new(text: impl Into<String>) -> Result<Name, Flaw> {
        checked(text.into(), NAME_LENGTH).map(Name)
    }

    /// The name's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key {
    /// The key, if `text` can be one.
    pub fn new(text: impl Into<String>) -> Result<Key, Flaw> {
        checked(text.into(), KEY_LENGTH).map(Key)
    }

    /// The key's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of something to buy, of any length: it is looked up, and at most written down.
pub fn item(text: String) -> Result<String, Flaw> {
    if text.contains('\0') { Err(Flaw::Nul) } else { Ok(text) }
}

fn checked(text: String, most: usize) -> Result<String, Flaw> {
    match item(text)? {
        text if text.is_empty() => Err(Flaw::Empty),
        text if text.chars().nth(most).is_some() => Err(Flaw::Longer(most)),
        text => Ok(text),
    }
}

/// What stands on a receipt below its lines. The three add up.
#[derive(Debug, PartialEq)]
pub struct Sums {
    /// What the items cost, rounded to two places.
    pub subtotal: Amount,
    /// The difference between the other two.
    pub tax: Amount,
    /// With tax, reckoned from the exact sum and rounded once.
    pub total: Amount,
}

impl Sums {
    /// The sums of a bill with tax at this rate.
    pub fn of(bill: &Bill, tax_rate: Amount) -> Result<Sums, Inexact> {
        let (subtotal, total) = (bill.subtotal()?.rounded(), bill.total(tax_rate)?);
        Ok(Sums { subtotal, tax: total.minus(subtotal), total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_200_characters() {
        assert!(Name::new("ж".repeat(200)).is_ok());
        assert_eq!(Name::new("ж".repeat(201)), Err(Flaw::Longer(200)));
        assert_eq!(Name::new(""), Err(Flaw::Empty));
        assert_eq!(Name::new("a\0"), Err(Flaw::Nul));
        assert_eq!(Key::new("k".repeat(256)), Err(Flaw::Longer(255)));
    }

    #[test]
    fn the_sums_of_a_receipt_add_up() {
        let amount = |digits| Amount::parse(digits).expect("a number");
        let prices = [("a", "0.333"), ("b", "0.005")];
        let prices = prices.map(|(item, price)| (item.to_owned(), amount(price)));
        let prices = prices.into_iter().collect();
        let mut bill = Bill::new(&prices);
        for item in ["a", "a", "b"] {
            bill.add(item);
        }
        // 0.671, and with tax 0.73139
        let sums = Sums::of(&bill, amount("0.09")).expect("has room");
        assert_eq!([sums.subtotal, sums.tax, sums.total], ["0.67", "0.06", "0.73"].map(amount));
        assert_eq!(sums.subtotal.plus(sums.tax), Ok(sums.total));
    }
}
