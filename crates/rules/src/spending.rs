//! The spending kata: the total of a purchase, including tax.

use crate::{Amount, AmountError, Prices};

/// A bill: items and their quantities.
#[derive(Debug)]
pub struct Bill<'p> {
    prices: &'p Prices,
    /// The quantity of each item, by index in the price list.
    quantities: Vec<u64>,
    /// Indices of the items on the bill, in the order of their first purchase.
    bought: Vec<usize>,
}

/// One item of a bill.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'p> {
    /// The name of the item.
    pub item: &'p str,
    /// The number of units.
    pub quantity: u64,
    /// The price of one unit.
    pub unit_price: Amount,
}

impl Line<'_> {
    /// Returns unit price times quantity.
    pub fn amount(&self) -> Result<Amount, AmountError> {
        self.unit_price.checked_mul(self.quantity.into())
    }
}

impl<'p> Bill<'p> {
    /// Creates an empty bill.
    pub fn new(prices: &'p Prices) -> Bill<'p> {
        Bill { prices, quantities: vec![0; prices.len()], bought: Vec::new() }
    }

    /// Adds one unit of an item. Returns `false`, without a change, when the item has no price.
    pub fn add(&mut self, item: &str) -> bool {
        let Some(index) = self.prices.index(item) else { return false };
        if self.quantities[index] == 0 {
            self.bought.push(index);
        }
        self.quantities[index] += 1;
        true
    }

    /// Returns the items in the order of their first purchase.
    pub fn lines(&self) -> impl Iterator<Item = Line<'p>> {
        self.bought.iter().map(|&index| {
            let (item, unit_price) = self.prices.get(index);
            Line { item, quantity: self.quantities[index], unit_price }
        })
    }

    /// Returns the exact sum without tax.
    pub fn subtotal(&self) -> Result<Amount, AmountError> {
        self.lines().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount()?))
    }

    /// Returns the sum including tax at this rate (0.09 is 9 %), rounded once to two decimal
    /// places, half away from zero.
    pub fn total(&self, tax_rate: Amount) -> Result<Amount, AmountError> {
        let factor = Amount::ONE.checked_add(tax_rate)?;
        Ok(self.subtotal()?.checked_mul(factor)?.rounded())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prices(prices: &[(&str, &str)]) -> Prices {
        let parse = |digits| Amount::parse(digits).expect(digits);
        let prices = prices.iter().map(|&(item, price)| (item.to_owned(), parse(price)));
        Prices::new(prices.collect()).expect("no duplicate item")
    }

    /// Calculates a total. Has the signature of the predecessor's function.
    fn get_total(costs: &[(&str, &str)], items: &[&str], tax: &str) -> String {
        let prices = prices(costs);
        let mut bill = Bill::new(&prices);
        for item in items {
            bill.add(item);
        }
        bill.total(Amount::parse(tax).expect(tax)).expect("no overflow").shortest()
    }

    #[test]
    fn kata_example_returns_70_85() {
        let costs = [("socks", "5"), ("shoes", "60"), ("sweater", "30")];
        assert_eq!(get_total(&costs, &["socks", "shoes"], "0.09"), "70.85");
    }

    #[test]
    fn repeated_item_counts_and_item_without_price_does_not() {
        let costs = [("socks", "5"), ("shoes", "60")];
        assert_eq!(get_total(&costs, &["socks", "hat", "socks"], "0"), "10");
        assert_eq!(get_total(&costs, &[], "0.09"), "0");
        assert_eq!(get_total(&[], &["socks"], "0.09"), "0");
    }

    #[test]
    fn decimal_half_is_rounded_up_where_a_float_rounds_down() {
        // 1.005 and 2.675 have no exact binary representation: floats would round them down.
        assert_eq!(get_total(&[("a", "1.005")], &["a"], "0"), "1.01");
        assert_eq!(get_total(&[("a", "2.5")], &["a"], "0.07"), "2.68");
        assert_eq!(get_total(&[("a", "0.1"), ("b", "0.2")], &["a", "b"], "0"), "0.3");
    }

    #[test]
    fn lines_are_in_the_order_of_first_purchase() {
        let prices = prices(&[("a", "1"), ("b", "2")]);
        let mut bill = Bill::new(&prices);
        for item in ["b", "a", "x", "b"] {
            assert_eq!(bill.add(item), item != "x");
        }
        let lines: Vec<_> = bill.lines().map(|line| (line.item, line.quantity)).collect();
        assert_eq!(lines, [("b", 2), ("a", 1)]);
    }

    proptest! {
        #[test]
        fn total_does_not_depend_on_the_order_of_items(
            cents in prop::collection::vec(0_u32..1_000_000, 1..8),
            picks in prop::collection::vec(0_usize..8, 0..40),
        ) {
            let price = |cents: &u32| Amount::parse(&format!("{cents}e-2")).expect("a price");
            let prices = cents.iter().enumerate().map(|(n, cents)| (n.to_string(), price(cents)));
            let prices = Prices::new(prices.collect()).expect("no duplicate item");
            let total = |picks: &mut dyn Iterator<Item = &usize>| {
                let mut bill = Bill::new(&prices);
                picks.for_each(|pick| { bill.add(&pick.to_string()); });
                bill.total(Amount::ZERO)
            };
            prop_assert_eq!(total(&mut picks.iter()), total(&mut picks.iter().rev()));
            let sum: u64 = picks.iter().filter_map(|&n| cents.get(n)).map(|&c| u64::from(c)).sum();
            prop_assert_eq!(total(&mut picks.iter()), Amount::parse(&format!("{sum}e-2")));
        }
    }
}
