//! The handlers.

use http::StatusCode;
use orders::Costs;
use pg::Db;
use rules::PriceListName;
use web::{Problem, Reply, Request};

use crate::store;

pub fn put(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let name = PriceListName::new(request.param("name").to_owned())
        .map_err(|error| Problem::invalid_field("name", error))?;
    let Costs(prices) = request.json()?;
    let (price_list, created) = store::put(db, &name, &prices)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::json(status, &price_list))
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    match store::find(db, &name_in_path(request)?)? {
        Some(price_list) => Ok(Reply::ok(&price_list)),
        None => Err(not_found(request)),
    }
}

/// Deletes a price list. Receipts keep its prices.
pub fn delete(request: &Request, db: &Db) -> Result<Reply, Problem> {
    match store::delete(db, &name_in_path(request)?)? {
        true => Ok(Reply::no_content()),
        false => Err(not_found(request)),
    }
}

/// Lists price lists by name, without prices.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let after: Option<String> = query.after()?;
    let page = store::page(db, after.as_deref(), query.limit(50)?)?;
    Ok(Reply::page(request, &page.items, page.last))
}

/// Returns the name in the path. Returns 404 when it is invalid, because no list can have it.
fn name_in_path(request: &Request) -> Result<PriceListName, Problem> {
    PriceListName::new(request.param("name").to_owned()).map_err(|_| not_found(request))
}

fn not_found(request: &Request) -> Problem {
    Problem::not_found(format!("price list {} not found", request.param("name")))
}
