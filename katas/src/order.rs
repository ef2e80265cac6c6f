//! What is bought, with where its prices come from and the tax on it: the body that totals and
//! receipts are asked for with.

use std::borrow::Cow;

use json::{FromObject, Object, Value};
use serde::Serialize;

use crate::{Amount, Bill, Flaw, Prices, text};

/// The most prices in a list, and the most items in an order.
const MOST: usize = 10_000;
/// The most characters a name has.
const NAME_LENGTH: usize = 200;

/// An order.
pub struct Order {
    /// The prices.
    pub source: Source,
    /// What is bought, each as often as it stands here.
    pub items: Vec<String>,
    /// 0.09 is 9 %.
    pub tax_rate: Amount,
}

/// Where prices come from.
pub enum Source {
    /// From the order itself.
    Costs(Prices),
    /// From a list that is stored.
    PriceList(Name),
}

/// The name of a price list: 1 to 200 characters of any script. `Shop` and `shop` are two lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Name(String);

impl Name {
    /// The name, if `text` can be one.
    pub fn new(text: impl Into<String>) -> Result<Name, Flaw> {
        text::name(text.into(), NAME_LENGTH).map(Name)
    }

    /// The name's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromObject for Order {
    // As the first one did.
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<Order> {
        let items = object.list("items", MOST, item);
        let tax_rate = object.number("tax", Amount::parse);
        let source = match object.has("price_list") {
            true if object.has("costs") => {
                object.flaw("price_list", &"cannot be given together with costs");
                None
            }
            true => object.text("price_list", Name::new).map(Source::PriceList),
            false => Prices::from_object(object).map(Source::Costs),
        };
        Some(Order { source: source?, items: items?, tax_rate: tax_rate? })
    }
}

/// The name of something to buy, of any length: it is looked up, and at most written down.
fn item(value: Value) -> Result<String, String> {
    match json::string(value)? {
        item if item.contains('\0') => Err(Flaw::Nul.to_string()),
        item => Ok(item),
    }
}

impl Order {
    /// Its own prices, or those that `find` has for the list that it names; `None` when there is no
    /// such list.
    pub fn prices<E>(
        &self,
        find: impl FnOnce(&Name) -> Result<Option<Prices>, E>,
    ) -> Result<Option<Cow<'_, Prices>>, E> {
        match &self.source {
            Source::Costs(prices) => Ok(Some(Cow::Borrowed(prices))),
            Source::PriceList(name) => Ok(find(name)?.map(Cow::Owned)),
        }
    }

    /// What has been bought, at these prices.
    pub fn bill<'p>(&self, prices: &'p Prices) -> Bill<'p> {
        let mut bill = Bill::new(prices);
        for item in &self.items {
            bill.add(item);
        }
        bill
    }

    /// The items that have no price, as they stand in the order.
    pub fn ignored(&self, prices: &Prices) -> Vec<&str> {
        self.items.iter().map(String::as_str).filter(|item| !prices.has(item)).collect()
    }
}

/// From an object with the field `costs`, at most 10,000 prices by item.
impl FromObject for Prices {
    // As everywhere in version 1.
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<Prices> {
        let prices = object.map("costs", MOST, |price| {
            Amount::parse(json::digits(price)?).map_err(|flaw| flaw.to_string())
        })?;
        if prices.iter().any(|(item, _)| item.contains('\0')) {
            object.flaw("costs", &"must not name anything with the character NUL");
            return None;
        }
        match Prices::new(prices) {
            Ok(prices) => Some(prices),
            Err(twice) => {
                object.flaw_in("costs", &twice, &"is given twice");
                None
            }
        }
    }
}

impl Prices {
    /// A JSON object with all their digits.
    pub fn text(&self) -> String {
        let mut text = String::from("{");
        for (item, price) in self.iter() {
            let comma = if text.len() > 1 { "," } else { "" };
            text += &format!("{comma}{}:{}", json(&item), price.shortest());
        }
        text + "}"
    }
}

/// JSON of strings, which always serialise.
fn json(strings: &impl Serialize) -> String {
    serde_json::to_string(strings).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Order {
        json::object(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn flaws(text: &str) -> Vec<(String, String)> {
        match json::object::<Order>(text.as_bytes()) {
            Err(json::Error::Invalid(flaws)) => {
                flaws.into_iter().map(|flaw| (flaw.pointer, flaw.detail)).collect()
            }
            _ => panic!("{text} is an order"),
        }
    }

    #[test]
    fn prices_come_from_one_place() {
        let both = r#"{"items":[],"tax":0,"costs":{},"price_list":"shop"}"#;
        let told = |pointer: &str, detail: &str| vec![(pointer.to_owned(), detail.to_owned())];
        assert_eq!(flaws(both), told("/price_list", "cannot be given together with costs"));
        assert_eq!(flaws(r#"{"items":[],"tax":0}"#), told("/costs", "is required"));
        let negative = r#"{"items":[],"tax":0,"costs":{"socks":-1}}"#;
        assert_eq!(flaws(negative), told("/costs/socks", "must not be negative"));
    }

    #[test]
    fn what_has_no_price_is_ignored_as_often_as_it_is_there() {
        let order = order(r#"{"costs":{"b":1},"items":["x","b","x"],"tax":0}"#);
        let Source::Costs(prices) = &order.source else { panic!("they are in it") };
        assert_eq!(order.ignored(prices), ["x", "x"]);
        assert_eq!(order.bill(prices).lines().count(), 1);
    }
}
