//! Between HTTP and the kata.

use http::StatusCode;
use katas::Order;
use pg::Db;
use web::{Reply, Request};

use crate::error::Error;
use crate::store;

/// How much will you spend? Nothing is stored.
pub fn total(request: &Request, db: &Db) -> Result<Reply, Error> {
    let order: Order = request.json()?;
    let prices = order.prices(|name| store::prices(db, name))?.ok_or(Error::UnknownPriceList)?;
    // A number with all of its digits, which it would lose on the way through a float.
    let total = order.bill(&prices).total(order.tax_rate)?.shortest();
    Ok(Reply::json_text(StatusCode::OK, format!(r#"{{"total":{total}}}"#)))
}
