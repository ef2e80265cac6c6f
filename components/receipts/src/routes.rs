//! Between HTTP and the receipts.

use http::StatusCode;
use katas::Order;
use pg::Db;
use web::{Cursor, Reply, Request};

use crate::domain::{Attempt, Key, Receipt};
use crate::error::Error;
use crate::store::{self, Stored};

/// Makes a receipt, or finds the one that this key was given for.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Error> {
    let key = request.header("idempotency-key").map(Key::new).transpose().map_err(Error::NoKey)?;
    let (order, body) = request.json_and_body()?;
    let attempt = key.map(|key| Attempt { key, body });
    let stored = match make(&order, db, attempt.as_ref()) {
        Ok(stored) => stored,
        // The price list may be gone by now: what has a receipt keeps it.
        Err(error) => match attempt {
            Some(attempt) => store::repeat(db, &attempt)?.ok_or(error)?,
            None => return Err(error),
        },
    };
    match stored {
        Stored { same: false, .. } => Err(Error::KeyTaken),
        Stored { id, receipt, .. } => Ok(Reply::json_text(StatusCode::CREATED, receipt)
            .header("location", format!("/api/v1/receipts/{id}"))),
    }
}

/// Stores the receipt of an order, with the prices of now.
fn make(order: &Order, db: &Db, attempt: Option<&Attempt>) -> Result<Stored, Error> {
    let prices = order.prices(|name| store::prices(db, name))?.ok_or(Error::UnknownPriceList)?;
    Ok(store::add(db, &Receipt::new(order, &prices)?, attempt)?)
}

/// One receipt.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    let id = request.param("id");
    match store::find(db, id)? {
        Some(receipt) => Ok(Reply::json_text(StatusCode::OK, receipt)),
        None => Err(Error::Missing(id.to_owned())),
    }
}

/// Receipts in the order in which they were made, without their lines, a page at a time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let after = query.cursor()?.map(|cursor| cursor.number()).transpose()?;
    let page = store::page(db, after, limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(|number| Cursor(number.to_string()))))
}
