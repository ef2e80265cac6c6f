//! Price lists: prices by item, kept under a name.

use http::StatusCode;
use json::{FromObject, Object};
use katas::Prices;
use pg::Db;
use web::{Cursor, Reply, Request};

use crate::domain::Name;
use crate::error::Error;
use crate::{order, store};

struct NewPriceList {
    costs: Prices,
}

impl FromObject for NewPriceList {
    // As everywhere in version 1.
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<NewPriceList> {
        Some(NewPriceList { costs: order::costs(object)? })
    }
}

/// Creates or replaces a list.
pub fn put(request: &Request, db: &Db) -> Result<Reply, Error> {
    let name = Name::new(request.param("name")).map_err(Error::NoName)?;
    let NewPriceList { costs } = request.json()?;
    let put = store::put(db, &name, &costs)?;
    let status = if put.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::json_text(status, put.price_list))
}

/// One list, with its prices.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    match store::price_list(db, &existing(request)?)? {
        Some(price_list) => Ok(Reply::json_text(StatusCode::OK, price_list)),
        None => Err(Error::NoPriceList(request.param("name").to_owned())),
    }
}

/// Removes a list. Receipts keep the prices that they were made with.
pub fn remove(request: &Request, db: &Db) -> Result<Reply, Error> {
    match store::remove(db, &existing(request)?)? {
        true => Ok(Reply::no_content()),
        false => Err(Error::NoPriceList(request.param("name").to_owned())),
    }
}

/// Lists by name, without their prices, a page at a time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let after = query.cursor()?;
    let page = store::price_lists(db, after.as_ref().map(|Cursor(name)| name.as_str()), limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(Cursor)))
}

/// The name in the path of a request for a list. What cannot be a name cannot have a list either.
fn existing(request: &Request) -> Result<Name, Error> {
    let text = request.param("name");
    Name::new(text).map_err(|_| Error::NoPriceList(text.to_owned()))
}
