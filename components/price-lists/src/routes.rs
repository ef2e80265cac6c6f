//! Between HTTP and the price lists.

use http::StatusCode;
use katas::{Name, Prices};
use pg::Db;
use web::{Cursor, Reply, Request};

use crate::error::Error;
use crate::store;

/// Creates or replaces a list.
pub fn put(request: &Request, db: &Db) -> Result<Reply, Error> {
    let name = Name::new(request.param("name")).map_err(Error::NoName)?;
    let prices: Prices = request.json()?;
    let put = store::put(db, &name, &prices)?;
    let status = if put.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::json_text(status, put.price_list))
}

/// One list, with its prices.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    match store::find(db, &existing(request)?)? {
        Some(price_list) => Ok(Reply::json_text(StatusCode::OK, price_list)),
        None => Err(missing(request)),
    }
}

/// Removes a list. Receipts keep the prices that they were made with.
pub fn remove(request: &Request, db: &Db) -> Result<Reply, Error> {
    match store::remove(db, &existing(request)?)? {
        true => Ok(Reply::no_content()),
        false => Err(missing(request)),
    }
}

/// Lists by name, without their prices, a page at a time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let after = query.cursor()?;
    let page = store::page(db, after.as_ref().map(|Cursor(name)| name.as_str()), limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(Cursor)))
}

/// The name in the path of a request for a list. What cannot be a name cannot have a list either.
fn existing(request: &Request) -> Result<Name, Error> {
    Name::new(request.param("name")).map_err(|_| missing(request))
}

fn missing(request: &Request) -> Error {
    Error::Missing(request.param("name").to_owned())
}
