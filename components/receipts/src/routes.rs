//! Between HTTP and the receipts.

use http::StatusCode;
use katas::{Order, Source};
use pg::Db;
use web::{Cursor, Reply, Request};

use crate::domain::{Key, Receipt};
use crate::error::Error;
use crate::store::{self, Stored};

/// Makes a receipt, or finds the one that this key was given for.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Error> {
    let key = request.header("idempotency-key").map(Key::new).transpose().map_err(Error::NoKey)?;
    let order: Order = request.json()?;
    let stored = match make(&order, db, key.as_ref()) {
        Ok(stored) => stored,
        // The price list may be gone by now: what has a receipt keeps it.
        Err(error) => match key {
            Some(key) => store::repeat(db, &key, &order.text())?.ok_or(error)?,
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
fn make(order: &Order, db: &Db, key: Option<&Key>) -> Result<Stored, Error> {
    let stored;
    let prices = match &order.source {
        Source::Costs(prices) => prices,
        Source::PriceList(name) => {
            stored = store::prices(db, name)?.ok_or(Error::UnknownPriceList)?;
            &stored
        }
    };
    Ok(store::add(db, &Receipt::new(order, prices)?, key, &order.text())?)
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
    let after = query.cursor()?.map(|cursor| cursor.key()).transpose()?;
    let page = store::page(db, after, limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(|number| Cursor(number.to_string()))))
}
