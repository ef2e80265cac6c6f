//! The katas of runs, and the totals of spending runs.

use std::collections::BTreeMap;
use std::fmt;

use rules::{Amount, AmountError, PriceListName, Prices};
use serde::Serialize;

const MAX_GROUPS: usize = 10_000;
/// The maximum total size of the group keys: 1 MiB.
const MAX_KEY_BYTES: usize = 1 << 20;

/// A kata and its parameters.
pub enum Task {
    /// Nth-char over the words in a column.
    NthChar { column: String },
    /// Spending over the items in a column.
    Spending(Spending),
}

/// The parameters of a spending run.
#[derive(Serialize)]
pub struct Spending {
    /// The name of the column with the items.
    pub item_column: String,
    pub price_list: PriceListName,
    /// The tax rate as a fraction: 0.09 is 9 %.
    pub tax: Amount,
    /// The name of the column with the group keys. `None` calculates one total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
}

/// The reason why totals cannot be calculated.
#[derive(Debug, PartialEq)]
pub enum TotalsError {
    /// There are too many groups, or their keys are too long.
    TooManyGroups,
    /// A sum has too many digits.
    Amount(AmountError),
}

impl fmt::Display for TotalsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TotalsError::TooManyGroups => {
                write!(f, "exceeds {MAX_GROUPS} groups or {MAX_KEY_BYTES} bytes of group keys")
            }
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
    key_bytes: usize,
}

impl<'p> Totals<'p> {
    /// Creates an empty set of groups.
    pub fn new(prices: &'p Prices) -> Totals<'p> {
        Totals { prices, sums: BTreeMap::new(), key_bytes: 0 }
    }

    /// Adds one unit of an item to a group. An item without a price adds 0.
    pub fn add(&mut self, group: &str, item: &str) -> Result<(), TotalsError> {
        let price = self.prices.price(item).unwrap_or(Amount::ZERO);
        if let Some(sum) = self.sums.get_mut(group) {
            *sum = sum.checked_add(price)?;
            return Ok(());
        }
        self.key_bytes += group.len();
        if self.sums.len() == MAX_GROUPS || self.key_bytes > MAX_KEY_BYTES {
            return Err(TotalsError::TooManyGroups);
        }
        self.sums.insert(group.to_owned(), price);
        Ok(())
    }

    /// Returns the groups in byte order with their totals including tax, each rounded once.
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
    fn group_totals_include_tax_and_ignore_items_without_price() {
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
    fn too_many_or_too_long_groups_are_an_error() {
        let prices = prices();
        let mut totals = Totals::new(&prices);
        for group in 0..MAX_GROUPS {
            totals.add(&group.to_string(), "socks").unwrap();
        }
        assert_eq!(totals.add("0", "socks"), Ok(()));
        assert_eq!(totals.add("one more", "socks"), Err(TotalsError::TooManyGroups));
        let mut totals = Totals::new(&prices);
        assert_eq!(totals.add(&"x".repeat(MAX_KEY_BYTES), "socks"), Ok(()));
        assert_eq!(totals.add("y", "socks"), Err(TotalsError::TooManyGroups));
    }
}
