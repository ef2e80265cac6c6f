//! The tasks of a run, and the totals of a spending run.

use std::collections::BTreeMap;
use std::fmt;

use rules::{Amount, AmountError, PriceListName, Prices};
use serde::Serialize;

/// The maximum number of groups.
const MAX_GROUPS: usize = 10_000;
/// The maximum length of the keys of all groups in bytes, 1 MiB.
const MAX_KEYS: usize = 1 << 20;

/// A kata with its parameters.
pub enum Task {
    /// The words are the fields of a column.
    NthChar {
        /// The name of the column.
        column: String,
    },
    /// The items are the fields of a column.
    Spending(Spending),
}

/// The parameters of a spending run.
#[derive(Serialize)]
pub struct Spending {
    /// The name of the column of the items.
    pub item_column: String,
    pub price_list: PriceListName,
    /// 0.09 is 9 %.
    pub tax: Amount,
    /// The name of the column whose fields are the groups. Without it there is one total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
}

/// The reason why a column has no totals.
#[derive(Debug, PartialEq)]
pub enum TotalsError {
    /// It has too many different fields, or too long ones.
    Groups,
    /// A sum has too many digits.
    Amount(AmountError),
}

impl fmt::Display for TotalsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TotalsError::Groups => write!(
                f,
                "has more than {MAX_GROUPS} groups, or keys of more than {MAX_KEYS} bytes"
            ),
            TotalsError::Amount(error) => write!(f, "has a total that {error}"),
        }
    }
}

impl From<AmountError> for TotalsError {
    fn from(error: AmountError) -> TotalsError {
        TotalsError::Amount(error)
    }
}

/// The sums of a spending run by group.
pub struct Totals<'p> {
    prices: &'p Prices,
    sums: BTreeMap<String, Amount>,
    keys: usize,
}

impl<'p> Totals<'p> {
    /// No groups.
    pub fn new(prices: &'p Prices) -> Totals<'p> {
        Totals { prices, sums: BTreeMap::new(), keys: 0 }
    }

    /// Adds one of an item to a group. An item without a price adds 0.
    pub fn add(&mut self, group: &str, item: &str) -> Result<(), TotalsError> {
        let price = self.prices.price(item).unwrap_or(Amount::ZERO);
        if let Some(sum) = self.sums.get_mut(group) {
            *sum = sum.checked_add(price)?;
            return Ok(());
        }
        self.keys += group.len();
        if self.sums.len() == MAX_GROUPS || self.keys > MAX_KEYS {
            return Err(TotalsError::Groups);
        }
        self.sums.insert(group.to_owned(), price);
        Ok(())
    }

    /// The groups in the order of their bytes, with their totals including tax, each rounded once.
    pub fn with_tax(self, tax_rate: Amount) -> Result<Vec<(String, Amount)>, TotalsError> {
        let factor = Amount::ONE.checked_add(tax_rate)?;
        let total =
            |(group, sum): (String, Amount)| Ok((group, sum.checked_mul(factor)?.rounded()));
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
    fn totals_equal_those_of_the_kata() {
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
    fn number_and_size_of_groups_are_limited() {
        let prices = prices();
        let mut totals = Totals::new(&prices);
        for group in 0..MAX_GROUPS {
            totals.add(&group.to_string(), "socks").unwrap();
        }
        assert_eq!(totals.add("0", "socks"), Ok(()));
        assert_eq!(totals.add("one more", "socks"), Err(TotalsError::Groups));
        let mut totals = Totals::new(&prices);
        assert_eq!(totals.add(&"x".repeat(MAX_KEYS), "socks"), Ok(()));
        assert_eq!(totals.add("y", "socks"), Err(TotalsError::Groups));
    }
}
