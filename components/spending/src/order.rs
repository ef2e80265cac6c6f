//! The body that totals and receipts are asked for with, and the bill that it makes.

use std::borrow::Cow;

use json::{FromObject, Object, Value};
use katas::{Amount, Bill, Prices};
use pg::Db;
use serde::Serialize;

use crate::domain::{MOST, Name, item};
use crate::error::Error;
use crate::store;

/// What is bought, where its prices are, and the tax on it.
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
    /// From the request itself.
    Costs(Prices),
    /// From a list that is stored.
    PriceList(Name),
}

impl FromObject for Order {
    // As the first one did.
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<Order> {
        let items = object.list("items", MOST, |value| {
            item(json::string(value)?).map_err(|_| "must not contain the character NUL")
        });
        let tax_rate = object.number("tax", Amount::parse);
        let source = match object.has("price_list") {
            true if object.has("costs") => {
                object.flaw("price_list", &"cannot be given together with costs");
                None
            }
            true => object.text("price_list", Name::new).map(Source::PriceList),
            false => costs(object).map(Source::Costs),
        };
        Some(Order { source: source?, items: items?, tax_rate: tax_rate? })
    }
}

/// The field `costs`: prices by item.
pub fn costs(object: &mut Object) -> Option<Prices> {
    let costs = object.map("costs", MOST, price)?;
    if costs.iter().any(|(name, _)| name.contains('\0')) {
        object.flaw("costs", &"must not have a name with the character NUL");
        return None;
    }
    Some(costs.into_iter().collect())
}

/// A price, from its digits.
fn price(value: Value) -> Result<Amount, String> {
    Amount::parse(json::digits(value)?).map_err(|flaw| flaw.to_string())
}

impl Order {
    /// The prices: those of the request, or those of the list as they are now.
    pub fn prices(&self, db: &Db) -> Result<Cow<'_, Prices>, Error> {
        match &self.source {
            Source::Costs(costs) => Ok(Cow::Borrowed(costs)),
            Source::PriceList(name) => match store::prices(db, name)? {
                Some(prices) => Ok(Cow::Owned(prices)),
                None => Err(Error::UnknownPriceList),
            },
        }
    }

    /// What has been bought.
    pub fn bill<'p>(&self, prices: &'p Prices) -> Bill<'p> {
        let mut bill = Bill::new(prices);
        for item in &self.items {
            bill.add(item);
        }
        bill
    }

    /// The items that have no price, each once, by name.
    pub fn ignored(&self, prices: &Prices) -> Vec<&str> {
        let items = self.items.iter().map(String::as_str);
        let mut ignored: Vec<_> = items.filter(|item| !prices.has(item)).collect();
        ignored.sort_unstable();
        ignored.dedup();
        ignored
    }

    /// The order in one text: equal for equal orders, however they were written.
    pub fn text(&self) -> String {
        let source = match &self.source {
            Source::Costs(costs) => costs_text(costs),
            Source::PriceList(name) => text(&name.as_str()),
        };
        format!("{source} {} {}", text(&self.items), self.tax_rate.shortest())
    }
}

/// Prices as a JSON object, with the digits that they have.
pub fn costs_text(costs: &Prices) -> String {
    let fields: Vec<_> =
        costs.iter().map(|(item, price)| format!("{}:{}", text(&item), price.shortest())).collect();
    format!("{{{}}}", fields.join(","))
}

/// JSON of strings and numbers, which always serialise.
pub fn text(strings: &impl Serialize) -> String {
    serde_json::to_string(strings).unwrap_or_default()
}
