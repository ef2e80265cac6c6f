//! The table `katas.price_list`.

use pg::{Db, Page, Timestamp, int8, text};
use rules::{PriceListName, Prices};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A stored price list.
#[derive(Serialize)]
pub struct PriceList {
    name: String,
    costs: Box<RawValue>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Creates or replaces a price list. Returns the list and whether it is new.
pub fn put(db: &Db, name: &PriceListName, prices: &Prices) -> Result<(PriceList, bool), pg::Error> {
    const SQL: &str = "INSERT INTO katas.price_list (name, costs) VALUES ($1, $2::text::json) \
         ON CONFLICT ON CONSTRAINT price_list_pkey DO UPDATE \
         SET costs = excluded.costs, version = price_list.version + 1, \
             updated_at = greatest(price_list.updated_at, now()) \
         RETURNING version = 1, created_at AT TIME ZONE 'UTC', updated_at AT TIME ZONE 'UTC'";
    let (name, costs) = (name.as_str().to_owned(), to_raw_value(prices)?);
    let mut row = db.row(SQL, &[text(&name), text(costs.get())])?;
    let created = row.take(0)?;
    let price_list = PriceList { name, costs, created_at: row.take(1)?, updated_at: row.take(2)? };
    Ok((price_list, created))
}

/// Returns the price list with this name.
pub fn find(db: &Db, name: &PriceListName) -> Result<Option<PriceList>, pg::Error> {
    const SQL: &str = "SELECT costs::text, \
                              created_at AT TIME ZONE 'UTC', updated_at AT TIME ZONE 'UTC' \
         FROM (SELECT) AS one LEFT JOIN katas.price_list ON name = $1";
    let mut row = db.row(SQL, &[text(name.as_str())])?;
    let Some(costs) = row.take(0)? else { return Ok(None) };
    let name = name.as_str().to_owned();
    Ok(Some(PriceList { name, costs, created_at: row.take(1)?, updated_at: row.take(2)? }))
}

/// Deletes a price list. Returns `false` when it does not exist.
pub fn delete(db: &Db, name: &PriceListName) -> Result<bool, pg::Error> {
    const SQL: &str = "DELETE FROM katas.price_list WHERE name = $1";
    Ok(db.execute(SQL, &[text(name.as_str())])? == 1)
}

/// Returns up to `limit` price lists by name, after the name `after`.
pub fn page(db: &Db, after: Option<&str>, limit: i64) -> Result<Page<String>, pg::Error> {
    const SQL: &str = pg::page!(
        "name, katas.rfc3339(created_at) AS created_at, katas.rfc3339(updated_at) AS updated_at",
        "katas.price_list WHERE name > $2",
        "name"
    );
    // Names are not empty, so all of them sort after the empty string.
    db.page(SQL, &[int8(limit), text(after.unwrap_or_default())])
}
