//! Price lists.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use crate::{Amount, TextError, text};

/// The maximum length of a name in characters.
const NAME_LENGTH: usize = 200;

/// The name of a price list: 1 to 200 characters of any script. `Shop` and `shop` are two names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PriceListName(String);

impl PriceListName {
    /// Checks a name.
    pub fn new(name: String) -> Result<PriceListName, TextError> {
        text::name(name, NAME_LENGTH).map(PriceListName)
    }

    /// The characters of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prices by item, in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    prices: Vec<(String, Amount)>,
    /// The index of each item. Hashed: to sort and search ten thousand names with a long common prefix
    /// takes ten times as long.
    indices: HashMap<String, usize>,
}

impl Prices {
    /// Builds a list from items and prices. The error is the first item that occurs twice.
    pub fn new(prices: Vec<(String, Amount)>) -> Result<Prices, String> {
        let mut indices = HashMap::with_capacity(prices.len());
        for (index, (item, _)) in prices.iter().enumerate() {
            if indices.insert(item.clone(), index).is_some() {
                return Err(item.clone());
            }
        }
        Ok(Prices { prices, indices })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.prices.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty()
    }

    /// The index of an item.
    pub fn index(&self, item: &str) -> Option<usize> {
        self.indices.get(item).copied()
    }

    /// The item at an index, with its price.
    ///
    /// # Panics
    ///
    /// When the index is not less than [`Prices::len`].
    pub fn get(&self, index: usize) -> (&str, Amount) {
        let (item, price) = &self.prices[index];
        (item, *price)
    }

    /// The price of an item.
    pub fn price(&self, item: &str) -> Option<Amount> {
        self.index(item).map(|index| self.get(index).1)
    }

    /// Whether the item has a price.
    pub fn contains(&self, item: &str) -> bool {
        self.indices.contains_key(item)
    }
}

/// A JSON object with all digits of the prices.
impl Serialize for Prices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.prices.iter().map(|(item, price)| (item, price)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_item_is_an_error() {
        let price = |item: &str| (item.to_owned(), Amount::ONE);
        let twice = Prices::new(vec![price("a"), price("b"), price("a")]);
        assert_eq!(twice.expect_err("a occurs twice"), "a");
    }

    #[test]
    fn prices_serialize_in_order_with_all_digits() {
        let price = |item: &str, digits| (item.to_owned(), Amount::parse(digits).expect(digits));
        let prices = vec![price("b", "0.10000000000000000001"), price("a", "1e3")];
        let prices = Prices::new(prices).expect("no item is repeated");
        let json = serde_json::to_string(&prices).expect("prices serialize");
        assert_eq!(json, r#"{"b":0.10000000000000000001,"a":1000}"#);
    }
}
