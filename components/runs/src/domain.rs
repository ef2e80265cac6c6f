//! What a run may be asked for, and what adds up while it reads.

use std::collections::BTreeMap;
use std::fmt;

use katas::{Amount, Inexact, Name, Prices};

/// The most groups that a run tells the totals of.
const GROUPS: usize = 10_000;
/// The most bytes that the keys of all groups have together, 1 MiB.
const KEYS: usize = 1 << 20;

/// A kata and what it is to be run with.
pub enum Task {
    /// All fields of a column are the words.
    NthChar {
        /// The column's name.
        column: String,
    },
    /// Each field of a column is an item that is bought.
    Spending {
        /// The column's name.
        item_column: String,
        /// The name of the list that has the prices.
        price_list: Name,
        /// 0.09 is 9 %.
        tax: Amount,
        /// The column that tells whose total an item belongs to; without one there is one total.
        group_by: Option<String>,
    },
}

/// Why there are no totals.
#[derive(Debug, PartialEq)]
pub enum Flaw {
    /// The column has too many different fields, or too long ones.
    Groups,
    /// A sum has too many digits.
    Inexact(Inexact),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Groups => {
                write!(f, "makes more than {GROUPS} groups, or keys of more than {KEYS} bytes")
            }
            Flaw::Inexact(flaw) => write!(f, "makes a total that {flaw}"),
        }
    }
}

impl From<Inexact> for Flaw {
    fn from(inexact: Inexact) -> Flaw {
        Flaw::Inexact(inexact)
    }
}

/// What has been spent so far, by group.
pub struct Totals<'p> {
    prices: &'p Prices,
    sums: BTreeMap<String, Amount>,
    keys: usize,
}

impl<'p> Totals<'p> {
    /// Nothing yet.
    pub fn new(prices: &'p Prices) -> Totals<'p> {
        Totals { prices, sums: BTreeMap::new(), keys: 0 }
    }

    /// Adds one of an item to a group. What has no price costs nothing.
    pub fn add(&mut self, group: &str, item: &str) -> Result<(), Flaw> {
        let price = self.prices.price(item).unwrap_or(Amount::ZERO);
        if let Some(sum) = self.sums.get_mut(group) {
            *sum = sum.plus(price)?;
            return Ok(());
        }
        self.keys += group.len();
        if self.sums.len() == GROUPS || self.keys > KEYS {
            return Err(Flaw::Groups);
        }
        self.sums.insert(group.to_owned(), price);
        Ok(())
    }

    /// Each group with its total, tax included, ordered by its bytes. Each is rounded once.
    pub fn with_tax(self, tax_rate: Amount) -> Result<Vec<(String, Amount)>, Flaw> {
        let factor = Amount::ONE.plus(tax_rate)?;
        let total = |(group, sum): (String, Amount)| Ok((group, sum.times(factor)?.rounded()));
        self.sums.into_iter().map(total).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(digits: &str) -> Amount {
        Amount::parse(digits).unwrap()
    }

    fn prices() -> Prices {
        let prices = [("shoes", "60"), ("socks", "5")];
        Prices::new(prices.map(|(item, price)| (item.into(), amount(price))).into()).unwrap()
    }

    #[test]
    fn totals_are_those_of_the_kata() {
        let prices = prices();
        let mut totals = Totals::new(&prices);
        for (group, item) in
            [("b", "socks"), ("a", "hat"), ("b", "shoes"), ("c", "socks"), ("c", "socks")]
        {
            totals.add(group, item).unwrap();
        }
        let expected = [("a", "0"), ("b", "70.85"), ("c", "10.9")];
        let expected = expected.map(|(group, total)| (group.to_owned(), amount(total)));
        assert_eq!(totals.with_tax(amount("0.09")).unwrap(), expected);
    }

    #[test]
    fn groups_are_bounded() {
        let prices = prices();
        let mut totals = Totals::new(&prices);
        for group in 0..GROUPS {
            totals.add(&group.to_string(), "socks").unwrap();
        }
        assert_eq!(totals.add("0", "socks"), Ok(()));
        assert_eq!(totals.add("one more", "socks"), Err(Flaw::Groups));
        let mut totals = Totals::new(&prices);
        assert_eq!(totals.add(&"x".repeat(KEYS), "socks"), Ok(()));
        assert_eq!(totals.add("y", "socks"), Err(Flaw::Groups));
    }
}
