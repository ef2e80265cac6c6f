//! The tables of price lists and receipts, `katas.price_list` and `katas.receipt`.

use json::{FromObject, Object};
use katas::{Amount, Prices};
use pg::{Db, Parameter, int8, text};

use crate::domain::{Key, Name, Sums};
use crate::order;

/// The columns of a price list as clients see it, its prices as they were written.
macro_rules! price_list {
    () => {
        " name, costs, katas.rfc3339(created_at) AS created_at, \
          katas.rfc3339(updated_at) AS updated_at "
    };
}

/// A price list that has been written.
pub struct Put {
    /// Whether there was none before.
    pub created: bool,
    /// It as a JSON object.
    pub price_list: String,
}

impl FromObject for Put {
    fn from_object(row: &mut Object) -> Option<Put> {
        Some(Put { created: row.required("created")?, price_list: row.required("price_list")? })
    }
}

/// Creates or replaces a price list.
pub fn put(db: &Db, name: &Name, costs: &Prices) -> Result<Put, pg::Error> {
    const SQL: &str = concat!(
        "INSERT INTO katas.price_list (name, costs) VALUES ($1, $2::text::json) \
         ON CONFLICT ON CONSTRAINT price_list_pkey DO UPDATE \
         SET costs = excluded.costs, version = price_list.version + 1, \
             updated_at = greatest(price_list.updated_at, now()) \
         RETURNING version = 1 AS created, \
                   (SELECT row_to_json(r)::text FROM (SELECT",
        price_list!(),
        ") r) AS price_list"
    );
    written(db.one(SQL, &[text(name.as_str()), text(&order::costs_text(costs))])?)
}

/// The price list of this name as a JSON object, `None` when there is none.
pub fn price_list(db: &Db, name: &Name) -> Result<Option<String>, pg::Error> {
    const SQL: &str = concat!("SELECT", price_list!(), "FROM katas.price_list WHERE name = $1");
    db.row(SQL, &[text(name.as_str())])
}

/// The prices in the list of this name, `None` when there is none.
pub fn prices(db: &Db, name: &Name) -> Result<Option<Prices>, pg::Error> {
    struct Costs(Prices);

    impl FromObject for Costs {
        fn from_object(row: &mut Object) -> Option<Costs> {
            order::costs(row).map(Costs)
        }
    }

    const SQL: &str = "SELECT costs FROM katas.price_list WHERE name = $1";
    Ok(db.one(SQL, &[text(name.as_str())])?.map(|Costs(prices)| prices))
}

/// Whether there was a price list to remove.
pub fn remove(db: &Db, name: &Name) -> Result<bool, pg::Error> {
    const SQL: &str = "DELETE FROM katas.price_list WHERE name = $1 RETURNING 1";
    Ok(db.execute(SQL, &[text(name.as_str())])? == 1)
}

/// A stretch of a list.
pub struct Page {
    /// A JSON array.
    pub items: String,
    /// The key of the last item if more come after it.
    pub last: Option<String>,
}

impl FromObject for Page {
    fn from_object(row: &mut Object) -> Option<Page> {
        Some(Page { items: row.required("items")?, last: row.required("last")? })
    }
}

/// Up to `limit` price lists by name, after the one named `after`.
pub fn price_lists(db: &Db, after: Option<&str>, limit: i64) -> Result<Page, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT name, katas.rfc3339(created_at) AS created_at, \
                    katas.rfc3339(updated_at) AS updated_at \
             FROM katas.price_list WHERE name > $1 ORDER BY name LIMIT $2::int8 + 1 \
         ), page AS (SELECT * FROM found ORDER BY name LIMIT $2::int8) \
         SELECT coalesce(json_agg(page ORDER BY name), '[]')::text AS items, \
                CASE WHEN (SELECT count(*) FROM found) > $2::int8 THEN max(name) END AS last \
         FROM page";
    // No name is empty: all of them come after the empty one.
    written(db.one(SQL, &[text(after.unwrap_or_default()), int8(limit)])?)
}

/// A receipt before it has been stored.
pub struct NewReceipt {
    /// A JSON array.
    pub lines: String,
    /// A JSON array.
    pub ignored: String,
    pub tax_rate: Amount,
    pub sums: Sums,
}

/// A receipt that has been stored, now or before.
pub struct Stored {
    pub id: String,
    /// It as a JSON object.
    pub receipt: String,
    /// Whether it was made for the same order.
    pub same: bool,
}

impl FromObject for Stored {
    fn from_object(row: &mut Object) -> Option<Stored> {
        Some(Stored {
            id: row.required("id")?,
            receipt: row.required("receipt")?,
            same: row.required("same")?,
        })
    }
}

/// The columns of a receipt as clients see it. Money is text: a client's floats would spoil it.
macro_rules! receipt {
    () => {
        " id, lines, ignored, subtotal::text, tax::text, tax_rate::text, total::text, \
          katas.rfc3339(created_at) AS created_at "
    };
}

/// The columns of [`Stored`]; `$1` is the order.
macro_rules! stored {
    () => {
        concat!(
            " id, order_hash = sha256(convert_to($1, 'UTF8')) AS same, \
              (SELECT row_to_json(r)::text FROM (SELECT",
            receipt!(),
            ") r) AS receipt "
        )
    };
}

/// Stores the receipt, unless there is one for `key` already: then it is that one. Of requests with
/// the same key at the same time one stores it, and the others wait for that.
pub fn add(
    db: &Db,
    receipt: &NewReceipt,
    key: Option<&Key>,
    order: &str,
) -> Result<Stored, pg::Error> {
    // DO NOTHING would not return the row that is there, and a SELECT beside it would not see one
    // that was committed meanwhile.
    const SQL: &str = concat!(
        "INSERT INTO katas.receipt \
           (order_hash, idempotency_key, lines, ignored, subtotal, tax, tax_rate, total) \
         VALUES (sha256(convert_to($1, 'UTF8')), $2, $3::text::json, $4::text::json, \
                 $5::text::numeric, $6::text::numeric, $7::text::numeric, $8::text::numeric) \
         ON CONFLICT ON CONSTRAINT receipt_idempotency_key_key \
         DO UPDATE SET idempotency_key = excluded.idempotency_key \
         RETURNING",
        stored!()
    );
    let Sums { subtotal, tax, total } = receipt.sums;
    let parameters = [
        text(order),
        key.map_or(Parameter::DbNull, |key| text(key.as_str())),
        text(&receipt.lines),
        text(&receipt.ignored),
        text(&subtotal.money()),
        text(&tax.money()),
        text(&receipt.tax_rate.shortest()),
        text(&total.money()),
    ];
    written(db.one(SQL, &parameters)?)
}

/// The receipt that `key` was given for, `None` when there is none.
pub fn repeat(db: &Db, key: &Key, order: &str) -> Result<Option<Stored>, pg::Error> {
    const SQL: &str = concat!("SELECT", stored!(), "FROM katas.receipt WHERE idempotency_key = $2");
    db.one(SQL, &[text(order), text(key.as_str())])
}

/// The receipt with this id as a JSON object, `None` when there is none.
pub fn receipt(db: &Db, id: &str) -> Result<Option<String>, pg::Error> {
    const SQL: &str = concat!("SELECT", receipt!(), "FROM katas.receipt WHERE id::text = $1");
    db.row(SQL, &[text(id)])
}

/// Up to `limit` receipts in the order in which they were made, after the one with this number.
pub fn receipts(db: &Db, after: i64, limit: i64) -> Result<Page, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT number, id, total::text, katas.rfc3339(created_at) AS created_at \
             FROM katas.receipt WHERE number > $1 ORDER BY number LIMIT $2::int8 + 1 \
         ), page AS (SELECT * FROM found ORDER BY number LIMIT $2::int8) \
         SELECT coalesce(json_agg((SELECT r FROM (SELECT id, total, created_at) r) \
                                  ORDER BY number), '[]')::text AS items, \
                CASE WHEN (SELECT count(*) FROM found) > $2::int8 \
                     THEN max(number)::text END AS last \
         FROM page";
    written(db.one(SQL, &[int8(after), int8(limit)])?)
}

/// The row of a statement that always returns one.
fn written<T>(row: Option<T>) -> Result<T, pg::Error> {
    row.ok_or_else(|| pg::Error::Other("a statement returned no row".to_owned()))
}
