//! The receipts' table, `katas.receipt`, and the prices in `katas.price_list`.

use json::{FromObject, Object};
use katas::{Name, Prices};
use pg::{Db, Page, Parameter, int8, text, uuid};
use serde::Serialize;

use crate::domain::{Key, Receipt};

/// The prices in the list of this name, `None` when there is none.
pub fn prices(db: &Db, name: &Name) -> Result<Option<Prices>, pg::Error> {
    const SQL: &str = "SELECT costs FROM katas.price_list WHERE name = $1";
    db.one(SQL, &[text(name.as_str())])
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
    receipt: &Receipt,
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
    let parameters = [
        text(order),
        key.map_or(Parameter::DbNull, |key| text(key.as_str())),
        text(&to_json(&receipt.lines)),
        text(&to_json(&receipt.ignored)),
        text(&receipt.subtotal.money()),
        text(&receipt.tax.money()),
        text(&receipt.tax_rate.shortest()),
        text(&receipt.total.money()),
    ];
    db.one(SQL, &parameters)?
        .ok_or_else(|| pg::Error::Other("an INSERT returned no row".to_owned()))
}

/// JSON of strings and numbers, which always serialise.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The receipt that `key` was given for, `None` when there is none.
pub fn repeat(db: &Db, key: &Key, order: &str) -> Result<Option<Stored>, pg::Error> {
    const SQL: &str = concat!("SELECT", stored!(), "FROM katas.receipt WHERE idempotency_key = $2");
    db.one(SQL, &[text(order), text(key.as_str())])
}

/// The receipt with this id as a JSON object, `None` when there is none.
pub fn find(db: &Db, id: &str) -> Result<Option<String>, pg::Error> {
    const SQL: &str = concat!("SELECT", receipt!(), "FROM katas.receipt WHERE id = $1");
    match uuid(id) {
        Some(id) => db.row(SQL, &[id]),
        None => Ok(None),
    }
}

/// Up to `limit` receipts in the order in which they were made, after the one with this number.
pub fn page(db: &Db, after: Option<i64>, limit: i64) -> Result<Page<i64>, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT number, id, total::text, katas.rfc3339(created_at) AS created_at \
             FROM katas.receipt WHERE number > $1 ORDER BY number LIMIT $2::int8 + 1 \
         ), page AS (SELECT * FROM found ORDER BY number LIMIT $2::int8) \
         SELECT coalesce(json_agg((SELECT r FROM (SELECT id, total, created_at) r) \
                                  ORDER BY number), '[]') AS items, \
                CASE WHEN count(*) < (SELECT count(*) FROM found) THEN max(number) END AS last \
         FROM page";
    // Numbers begin at 1.
    db.page(SQL, &[int8(after.unwrap_or(0)), int8(limit)])
}
