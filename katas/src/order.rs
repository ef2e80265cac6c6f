//! What is bought, with where its prices come from and the tax on it: the body that totals and
//! receipts are asked for with.

use std::fmt;

use json::{FromObject, Object, Value};
use serde::Serialize;

use crate::{Amount, Bill, Prices};

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

/// Why a text is not a name.
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
        match text.into() {
            text if text.is_empty() => Err(Flaw::Empty),
            text if text.contains('\0') => Err(Flaw::Nul),
            text if text.chars().nth(NAME_LENGTH).is_some() => Err(Flaw::Longer(NAME_LENGTH)),
            text => Ok(Name(text)),
        }
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

    /// The order in one text: equal for equal orders, however their numbers are written.
    pub fn text(&self) -> String {
        let source = match &self.source {
            Source::Costs(costs) => costs.text(),
            Source::PriceList(name) => text(&name.as_str()),
        };
        format!("{source} {} {}", text(&self.items), self.tax_rate.shortest())
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
        let fields: Vec<_> = self
            .iter()
            .map(|(item, price)| format!("{}:{}", text(&item), price.shortest()))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// JSON of strings, which always serialise.
fn text(strings: &impl Serialize) -> String {
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
    fn a_name_has_1_to_200_characters() {
        assert!(Name::new("ж".repeat(200)).is_ok());
        assert_eq!(Name::new("ж".repeat(201)), Err(Flaw::Longer(200)));
        assert_eq!(Name::new(""), Err(Flaw::Empty));
        assert_eq!(Name::new("a\0"), Err(Flaw::Nul));
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
    fn equal_orders_have_the_same_text_however_their_numbers_are_written() {
        let one = order(r#"{"costs":{"a":2,"b":1.50},"items":["b"],"tax":0.10,"more":1}"#);
        let other = order(r#"{"tax":1e-1,"items":["b"],"costs":{"a":2.0,"b":15e-1}}"#);
        assert_eq!(one.text(), other.text());
        assert_eq!(one.text(), r#"{"a":2,"b":1.5} ["b"] 0.1"#);
        assert_ne!(one.text(), order(r#"{"price_list":"b","items":["b"],"tax":0.1}"#).text());
    }

    #[test]
    fn what_has_no_price_is_ignored_as_often_as_it_is_there() {
        let order = order(r#"{"costs":{"b":1},"items":["x","b","x"],"tax":0}"#);
        let Source::Costs(prices) = &order.source else { panic!("they are in it") };
        assert_eq!(order.ignored(prices), ["x", "x"]);
        assert_eq!(order.bill(prices).lines().count(), 1);
    }
}
