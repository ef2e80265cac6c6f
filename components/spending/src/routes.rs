//! The handler.

use orders::Order;
use pg::Db;
use rules::Amount;
use serde::Serialize;
use web::{Problem, Reply, Request};

#[derive(Serialize)]
struct Total {
    total: Amount,
}

/// Returns the total of an order.
pub fn total(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let order: Order = request.json()?;
    let prices = order.prices(db)?;
    let total = order.bill(&prices).total(order.tax_rate).map_err(orders::too_many_digits)?;
    Ok(Reply::ok(&Total { total }))
}
