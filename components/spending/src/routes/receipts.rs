//! Receipts: what was bought, with the prices of that moment.

use http::StatusCode;
use pg::Db;
use serde::Serialize;
use web::{Cursor, Reply, Request};

use crate::domain::{Key, Sums};
use crate::error::Error;
use crate::order::{Order, text};
use crate::store::{self, NewReceipt, Stored};

#[derive(Serialize)]
struct Line<'a> {
    item: &'a str,
    quantity: u64,
    unit_price: String,
    amount: String,
}

/// Makes a receipt, or finds the one that this key was given for.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Error> {
    let key = request.header("idempotency-key").map(Key::new).transpose().map_err(Error::NoKey)?;
    let order: Order = request.json()?;
    let stored = match receipt(&order, db) {
        Ok(receipt) => store::add(db, &receipt, key.as_ref(), &order.text())?,
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

/// The receipt of an order, with the prices of now.
fn receipt(order: &Order, db: &Db) -> Result<NewReceipt, Error> {
    let prices = order.prices(db)?;
    let bill = order.bill(&prices);
    let lines = bill.lines().map(|line| {
        let (unit_price, amount) = (line.unit_price.money(), line.amount()?.money());
        Ok(Line { item: line.item, quantity: line.quantity, unit_price, amount })
    });
    let lines = lines.collect::<Result<Vec<_>, Error>>()?;
    Ok(NewReceipt {
        lines: text(&lines),
        ignored: text(&order.ignored(&prices)),
        tax_rate: order.tax_rate,
        sums: Sums::of(&bill, order.tax_rate)?,
    })
}

/// One receipt.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    let id = request.param("id");
    match store::receipt(db, id)? {
        Some(receipt) => Ok(Reply::json_text(StatusCode::OK, receipt)),
        None => Err(Error::NoReceipt(id.to_owned())),
    }
}

/// Receipts in the order in which they were made, without their lines, a page at a time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let page = store::receipts(db, query.numeric_cursor()?, limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(Cursor)))
}
