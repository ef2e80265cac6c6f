//! The handlers.

use orders::Order;
use pg::Db;
use web::{Problem, Reply, Request};

use crate::domain::{Attempt, Key, NewReceipt};
use crate::store::{self, Stored};

/// Adds a receipt, or returns the existing one with the same idempotency key.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let key = request.header("idempotency-key")?.map(Key::new).transpose();
    let key = key.map_err(|error| Problem::bad_request(format!("Idempotency-Key {error}")))?;
    let (order, body) = request.json_and_body()?;
    let attempt = key.map(|key| Attempt { key, body });
    let stored = match (create(db, &order, attempt.as_ref()), attempt) {
        (Ok(stored), _) => stored,
        // The price list may have been deleted since the first attempt.
        (Err(error), Some(attempt)) => store::find_by_key(db, &attempt)?.ok_or(error)?,
        (Err(error), None) => return Err(error),
    };
    match stored {
        Stored { same_body: false, .. } => {
            Err(Problem::invalid_body("differs from the body first sent with this Idempotency-Key"))
        }
        Stored { receipt, .. } => {
            let location = format!("/api/v1/receipts/{}", receipt.id);
            Ok(Reply::created(&receipt).header("location", location))
        }
    }
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
