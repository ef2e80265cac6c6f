//! Price lists.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use crate::{Amount, TextError, text};

const MAX_NAME_CHARS: usize = 200;

/// The name of a price list: 1 to 200 characters. Names are case-sensitive.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PriceListName(String);

impl PriceListName {
    /// Validates a name.
    pub fn new(name: String) -> Result<PriceListName, TextError> {
        text::name(name, MAX_NAME_CHARS).map(PriceListName)
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prices by item, in insertion order.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    prices: Vec<(String, Amount)>,
    /// The index of each item. In a sorted list, ten thousand names with a long common prefix would
    /// take ten times as long.
    indices: HashMap<String, usize>,
}

impl Prices {
    /// Creates a list from items and prices. The error is the first duplicate item.
    pub fn new(prices: Vec<(String, Amount)>) -> Result<Prices, String> {
        let mut indices = HashMap::with_capacity(prices.len());
        for (index, (item, _)) in prices.iter().enumerate() {
            if indices.insert(item.clone(), index).is_some() {
                return Err(item.clone());
            }
        }
        Ok(Prices { prices, indices })
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.prices.len()
    }

    /// Returns whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty()
    }

    /// Returns the index of an item.
    pub fn index(&self, item: &str) -> Option<usize> {
        self.indices.get(item).copied()
    }

    /// Returns the item at an index and its price.
    ///
    /// # Panics
    ///
    /// Panics unless the index is less than [`Prices::len`].
    pub fn get(&self, index: usize) -> (&str, Amount) {
        let (item, price) = &self.prices[index];
        (item, *price)
    }

    /// Returns the price of an item.
    pub fn price(&self, item: &str) -> Option<Amount> {
        self.index(item).map(|index| self.get(index).1)
    }

    /// Returns whether the item has a price.
    pub fn contains(&self, item: &str) -> bool {
        self.indices.contains_key(item)
    }
}

/// Serializes a JSON object that keeps all digits of the prices.
impl Serialize for Prices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.prices.iter().map(|(item, price)| (item, price)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_item_is_an_error() {
        let price = |item: &str| (item.to_owned(), Amount::ONE);
        let prices = Prices::new(vec![price("a"), price("b"), price("a")]);
        assert_eq!(prices.expect_err("a is a duplicate"), "a");
    }

    #[test]
    fn prices_serialize_in_order_with_all_digits() {
        let price = |item: &str, digits| (item.to_owned(), Amount::parse(digits).expect(digits));
        let prices = vec![price("b", "0.10000000000000000001"), price("a", "1e3")];
        let prices = Prices::new(prices).expect("no duplicate item");
        let json = serde_json::to_string(&prices).expect("prices serialize");
        assert_eq!(json, r#"{"b":0.10000000000000000001,"a":1000}"#);
    }
}
