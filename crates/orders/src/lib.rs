//! Orders and price lists, shared by the components that read them from requests or the database.

use std::borrow::Cow;

use json::{Fields, FromFields, Number};
use pg::{Db, text};
use rules::{Amount, AmountError, Bill, PriceListName, Prices, TextError};
use web::Problem;

/// The maximum number of prices in a list, and of items in an order.
const MAX_LENGTH: usize = 10_000;

/// An order, the request body of a total or a receipt.
pub struct Order {
    /// The prices of the items.
    pub source: PriceSource,
    /// The items, one element per unit bought.
    pub items: Vec<String>,
    /// The tax rate as a fraction: 0.09 is 9 %.
    pub tax_rate: Amount,
}

/// The source of an order's prices.
pub enum PriceSource {
    /// Prices in the order itself.
    Costs(Prices),
    /// The name of a stored price list.
    PriceList(PriceListName),
}

/// The request body of a price list.
pub struct Costs(pub Prices);

impl FromFields for Order {
    // The FastAPI predecessor of version 1 ignored unknown fields.
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<Order> {
        let items = fields.list("items", MAX_LENGTH, item);
        let tax_rate = fields.parse("tax", amount);
        let source = match fields.has("price_list") {
            true if fields.has("costs") => {
                fields.error(&["price_list"], "cannot be combined with costs");
                None
            }
            true => fields.parse("price_list", PriceListName::new).map(PriceSource::PriceList),
            false => Costs::from_fields(fields).map(|Costs(prices)| PriceSource::Costs(prices)),
        };
        Some(Order { source: source?, items: items?, tax_rate: tax_rate? })
    }
}

impl FromFields for Costs {
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<Costs> {
        let prices = fields.map("costs", MAX_LENGTH, amount)?;
        if prices.iter().any(|(item, _)| item.contains('\0')) {
            fields.error(&["costs"], "must not contain a NUL character in an item name");
            return None;
        }
        let duplicate = |item: String| fields.error(&["costs", &item], "is a duplicate field");
        Prices::new(prices).map_err(duplicate).map(Costs).ok()
    }
}

/// Parses an amount of money or a rate.
pub fn amount(Number(digits): Number) -> Result<Amount, AmountError> {
    Amount::parse(digits)
}

/// Checks the name of an item. The length is not limited, because the name is only looked up and
/// copied to receipts.
fn item(name: String) -> Result<String, TextError> {
    if name.contains('\0') { Err(TextError::Nul) } else { Ok(name) }
}

impl Order {
    /// Returns the prices in the order, or those of the stored price list.
    pub fn prices(&self, db: &Db) -> Result<Cow<'_, Prices>, Problem> {
        match &self.source {
            PriceSource::Costs(prices) => Ok(Cow::Borrowed(prices)),
            PriceSource::PriceList(name) => stored_prices(db, name).map(Cow::Owned),
        }
    }

    /// Returns the bill at these prices.
    pub fn bill<'p>(&self, prices: &'p Prices) -> Bill<'p> {
        let mut bill = Bill::new(prices);
        for item in &self.items {
            bill.add(item);
        }
        bill
    }

    /// Returns the items without a price, in order.
    pub fn ignored(&self, prices: &Prices) -> Vec<&str> {
        self.items.iter().map(String::as_str).filter(|item| !prices.contains(item)).collect()
    }
}

/// Reads a stored price list. Returns 422 when it does not exist.
pub fn stored_prices(db: &Db, name: &PriceListName) -> Result<Prices, Problem> {
    const SQL: &str = "SELECT name, ARRAY(SELECT json_object_keys(costs)), \
                              ARRAY(SELECT value FROM json_each_text(costs)) \
         FROM (SELECT) AS one LEFT JOIN katas.price_list ON name = $1";
    let mut row = db.row(SQL, &[text(name.as_str())])?;
    if row.take::<Option<String>>(0)?.is_none() {
        return Err(unknown_price_list());
    }
    prices_from_columns(row.take(1)?, row.take(2)?)
}

/// Creates prices from columns: the items of a stored price list, and the digits of their prices.
pub fn prices_from_columns(items: Vec<String>, amounts: Vec<String>) -> Result<Prices, Problem> {
    let amounts: Result<Vec<_>, _> = amounts.iter().map(|digits| Amount::parse(digits)).collect();
    let prices = items.into_iter().zip(amounts.map_err(Problem::internal)?).collect();
    Prices::new(prices).map_err(|item| {
        Problem::internal(format_args!("duplicate item {item} in stored price list"))
    })
}

/// Returns 422 for a price list that does not exist.
pub fn unknown_price_list() -> Problem {
    Problem::invalid_field("price_list", "does not exist")
}

/// Returns 422 for an order whose sum has too many digits.
pub fn too_many_digits(error: AmountError) -> Problem {
    Problem::invalid_body(format_args!("has a sum that {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Order {
        json::from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    fn errors(text: &str) -> Vec<(String, String)> {
        match json::from_slice::<Order>(text.as_bytes()) {
            Err(json::Error::Invalid(errors)) => {
                errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
            }
            _ => panic!("{text} is a valid order"),
        }
    }

    #[test]
    fn order_without_exactly_one_price_source_is_invalid() {
        let one = |pointer: &str, detail: &str| vec![(pointer.to_owned(), detail.to_owned())];
        let both = r#"{"items":[],"tax":0,"costs":{},"price_list":"shop"}"#;
        assert_eq!(errors(both), one("/price_list", "cannot be combined with costs"));
        assert_eq!(errors(r#"{"items":[],"tax":0}"#), one("/costs", "is required"));
        let negative = r#"{"items":[],"tax":0,"costs":{"socks":-1}}"#;
        assert_eq!(errors(negative), one("/costs/socks", "must not be negative"));
        let duplicate = r#"{"items":[],"tax":0,"costs":{"socks":1,"socks":1}}"#;
        assert_eq!(errors(duplicate), one("/costs/socks", "is a duplicate field"));
    }

    #[test]
    fn item_without_price_is_ignored_each_time() {
        let order = order(r#"{"costs":{"b":1},"items":["x","b","x"],"tax":0}"#);
        let PriceSource::Costs(prices) = &order.source else { panic!("the order has costs") };
        assert_eq!(order.ignored(prices), ["x", "x"]);
        assert_eq!(order.bill(prices).lines().count(), 1);
    }
}
