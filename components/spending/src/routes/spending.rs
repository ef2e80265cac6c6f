//! Totals: nothing is stored.

use http::StatusCode;
use pg::Db;
use web::{Reply, Request};

use crate::error::Error;
use crate::order::Order;

/// How much will you spend?
pub fn total(request: &Request, db: &Db) -> Result<Reply, Error> {
    let order: Order = request.json()?;
    let prices = order.prices(db)?;
    let total = order.bill(&prices).total(order.tax_rate)?;
    // A number with all of its digits, which it would lose on the way through a float.
    Ok(Reply::json_text(StatusCode::OK, format!(r#"{{"total":{}}}"#, total.shortest())))
}
