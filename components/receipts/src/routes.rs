//! The handlers.

use orders::Order;
use pg::Db;
use web::{Attempt, Problem, Reply, Request};

use crate::domain::NewReceipt;
use crate::store::{self, Stored};

/// Adds a receipt, or returns the existing one with the same idempotency key.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let (order, attempt) = request.json_and_attempt()?;
    let Stored { receipt, same_body } = match (create(db, &order, attempt.as_ref()), attempt) {
        (Ok(stored), _) => stored,
        // The price list may have been deleted since the first attempt.
        (Err(error), Some(attempt)) => store::find_by_key(db, &attempt)?.ok_or(error)?,
        (Err(error), None) => return Err(error),
    };
    if !same_body {
        return Err(Problem::key_reused());
    }
    let location = format!("/api/v1/receipts/{}", receipt.id);
    Ok(Reply::created(&receipt).header("location", location))
}

/// Calculates and stores the receipt of an order at the current prices.
fn create(db: &Db, order: &Order, attempt: Option<&Attempt>) -> Result<Stored, Problem> {
    let prices = order.prices(db)?;
    let receipt = NewReceipt::new(order, &prices).map_err(orders::too_many_digits)?;
    Ok(store::add(db, &receipt, attempt)?)
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = request.param("id");
    match store::find(db, id)? {
        Some(receipt) => Ok(Reply::ok(&receipt)),
        None => Err(Problem::not_found(format!("receipt {id} not found"))),
    }
}

/// Lists receipts in the order in which they were added, without their lines.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let page = store::page(db, query.after()?, query.limit(50)?)?;
    Ok(Reply::page(request, &page.items, page.last))
}
