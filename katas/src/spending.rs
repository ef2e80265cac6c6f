//! How much will you spend: items at their prices, and tax on the sum.

use std::collections::HashMap;

use crate::{Amount, Inexact};

/// What each item costs.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    prices: Vec<(String, Amount)>,
    /// Where an item stands among them. Hashed, because comparing names takes longer: ten thousand
    /// that begin alike would take ten times as long to sort and to search.
    places: HashMap<String, usize>,
}

impl Prices {
    /// The prices of items; the name of one that is there twice is the error.
    pub fn new(prices: Vec<(String, Amount)>) -> Result<Prices, String> {
        let mut places = HashMap::with_capacity(prices.len());
        for (place, (item, _)) in prices.iter().enumerate() {
            if places.insert(item.clone(), place).is_some() {
                return Err(item.clone());
            }
        }
        Ok(Prices { prices, places })
    }

    /// Items with their prices, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Amount)> {
        self.prices.iter().map(|(item, price)| (item.as_str(), *price))
    }

    /// What the item costs, if it has a price.
    pub fn price(&self, item: &str) -> Option<Amount> {
        self.places.get(item).map(|&place| self.prices[place].1)
    }

    /// Whether the item has a price.
    pub fn has(&self, item: &str) -> bool {
        self.places.contains_key(item)
    }
}

/// What has been bought.
#[derive(Debug)]
pub struct Bill<'p> {
    prices: &'p Prices,
    /// How many of each item, in the order of the prices.
    quantities: Vec<u64>,
    /// Places of the items that have been bought, in the order in which each was first.
    bought: Vec<usize>,
}

/// An item that has been bought, with how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'p> {
    /// Its name.
    pub item: &'p str,
    /// How many of it.
    pub quantity: u64,
    /// What one of it costs.
    pub unit_price: Amount,
}

impl Line<'_> {
    /// What all of it costs.
    pub fn amount(&self) -> Result<Amount, Inexact> {
        self.unit_price.times(self.quantity.into())
    }
}

impl<'p> Bill<'p> {
    /// A bill on which there is nothing yet.
    pub fn new(prices: &'p Prices) -> Bill<'p> {
        Bill { prices, quantities: vec![0; prices.prices.len()], bought: Vec::new() }
    }

    /// Adds one of an item; `false`, and nothing added, when it has no price.
    pub fn add(&mut self, item: &str) -> bool {
        let Some(&place) = self.prices.places.get(item) else { return false };
        if self.quantities[place] == 0 {
            self.bought.push(place);
        }
        self.quantities[place] += 1;
        true
    }

    /// What has been bought, in the order in which each item was first.
    pub fn lines(&self) -> impl Iterator<Item = Line<'p>> {
        self.bought.iter().map(|&place| {
            let (item, unit_price) = &self.prices.prices[place];
            Line { item, quantity: self.quantities[place], unit_price: *unit_price }
        })
    }

    /// The sum without tax, exact.
    pub fn subtotal(&self) -> Result<Amount, Inexact> {
        self.lines().try_fold(Amount::ZERO, |sum, line| sum.plus(line.amount()?))
    }

    /// The sum with tax at this rate (0.09 is 9 %), rounded once, at the end, to two places, halves
    /// away from zero.
    pub fn total(&self, tax_rate: Amount) -> Result<Amount, Inexact> {
        let factor = Amount::ONE.plus(tax_rate)?;
        Ok(self.subtotal()?.times(factor)?.rounded())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prices(prices: &[(&str, &str)]) -> Prices {
        let parse = |digits| Amount::parse(digits).expect(digits);
        let prices = prices.iter().map(|&(item, price)| (item.to_owned(), parse(price)));
        Prices::new(prices.collect()).expect("each is there once")
    }

    /// The name and the parameters of the first one.
    fn get_total(costs: &[(&str, &str)], items: &[&str], tax: &str) -> String {
        let prices = prices(costs);
        let mut bill = Bill::new(&prices);
        for item in items {
            bill.add(item);
        }
        bill.total(Amount::parse(tax).expect(tax)).expect("has room").shortest()
    }

    #[test]
    fn it_answers_as_the_first_one_did() {
        let costs = [("socks", "5"), ("shoes", "60"), ("sweater", "30")];
        assert_eq!(get_total(&costs, &["socks", "shoes"], "0.09"), "70.85");
    }

    #[test]
    fn repeats_count_every_time_and_what_has_no_price_not_at_all() {
        let costs = [("socks", "5"), ("shoes", "60")];
        assert_eq!(get_total(&costs, &["socks", "hat", "socks"], "0"), "10");
        assert_eq!(get_total(&costs, &[], "0.09"), "0");
        assert_eq!(get_total(&[], &["socks"], "0.09"), "0");
    }

    #[test]
    fn an_item_has_one_price() {
        let price = |item: &str| (item.to_owned(), Amount::ONE);
        let twice = Prices::new(vec![price("a"), price("b"), price("a")]);
        assert_eq!(twice.expect_err("a is there twice"), "a");
    }

    #[test]
    fn binary_floats_would_be_a_cent_off() {
        // 1.005 and 2.675 have no exact binary form: rounded as floats they lose their half.
        assert_eq!(get_total(&[("a", "1.005")], &["a"], "0"), "1.01");
        assert_eq!(get_total(&[("a", "2.5")], &["a"], "0.07"), "2.68");
        assert_eq!(get_total(&[("a", "0.1"), ("b", "0.2")], &["a", "b"], "0"), "0.3");
    }

    #[test]
    fn a_bill_keeps_the_order_of_the_purchase() {
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
        fn the_order_of_the_items_changes_nothing(
            cents in prop::collection::vec(0_u32..1_000_000, 1..8),
            picks in prop::collection::vec(0_usize..8, 0..40),
        ) {
            let price = |cents: &u32| Amount::parse(&format!("{cents}e-2")).expect("a price");
            let prices = cents.iter().enumerate().map(|(n, cents)| (n.to_string(), price(cents)));
            let prices = Prices::new(prices.collect()).expect("each is there once");
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
