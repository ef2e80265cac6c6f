//! The table `katas.receipt`.

use const_format::concatcp;
use pg::{Db, Page, Parameter, Row, Timestamp, int8, json, nullable, text, uuid};
use serde::Serialize;
use serde_json::value::RawValue;
use web::Attempt;

use crate::domain::NewReceipt;

/// A stored receipt. Amounts are text, because a client that parses numbers as binary floats would
/// lose digits.
#[derive(Serialize)]
pub struct Receipt {
    pub id: String,
    lines: Box<RawValue>,
    ignored: Box<RawValue>,
    subtotal: String,
    tax: String,
    tax_rate: String,
    total: String,
    created_at: Timestamp,
}

/// The columns of [`Receipt`] in the order in which [`Receipt::from_row`] reads them.
const RECEIPT: &str = "id, lines::text, ignored::text, subtotal::text, tax::text, tax_rate::text, \
                       total::text, created_at AT TIME ZONE 'UTC'";

impl Receipt {
    /// Reads a receipt. Returns `None` when the row has none.
    fn from_row(row: &mut Row) -> Result<Option<Receipt>, pg::Error> {
        let Some(id) = row.take(0)? else { return Ok(None) };
        Ok(Some(Receipt {
            id,
            lines: row.take(1)?,
            ignored: row.take(2)?,
            subtotal: row.take(3)?,
            tax: row.take(4)?,
            tax_rate: row.take(5)?,
            total: row.take(6)?,
            created_at: row.take(7)?,
        }))
    }
}

/// A receipt that this or an earlier attempt has stored.
pub struct Stored {
    pub receipt: Receipt,
    /// Whether the stored receipt has the same request body.
    pub same_body: bool,
}

/// The columns of [`Stored`], in the order of [`Stored::from_row`]. `$1` is the request body.
const STORED: &str = concatcp!(RECEIPT, ", body_hash IS NOT DISTINCT FROM sha256($1)");

impl Stored {
    fn from_row(mut row: Row) -> Result<Option<Stored>, pg::Error> {
        let Some(receipt) = Receipt::from_row(&mut row)? else { return Ok(None) };
        Ok(Some(Stored { receipt, same_body: row.take(8)? }))
    }
}

/// Stores a receipt, or returns the existing one with the key of the attempt. Of concurrent
/// requests with the same key, one stores the receipt, and the others wait for it.
pub fn add(db: &Db, receipt: &NewReceipt, attempt: Option<&Attempt>) -> Result<Stored, pg::Error> {
    // DO NOTHING would not return the existing row, and the snapshot of a SELECT in the same
    // statement would not include a row that is committed concurrently.
    const SQL: &str = concatcp!(
        "INSERT INTO katas.receipt \
           (body_hash, idempotency_key, lines, ignored, subtotal, tax, tax_rate, total) \
         VALUES (sha256($1), $2, $3::text::json, $4::text::json, \
                 $5::text::numeric, $6::text::numeric, $7::text::numeric, $8::text::numeric) \
         ON CONFLICT ON CONSTRAINT receipt_idempotency_key_key \
         DO UPDATE SET idempotency_key = excluded.idempotency_key \
         RETURNING ",
        STORED
    );
    let parameters = [
        nullable(attempt, |attempt| Parameter::Binary(attempt.body.clone())),
        nullable(attempt, |attempt| text(&attempt.key)),
        json(&receipt.lines)?,
        json(&receipt.ignored)?,
        text(&receipt.subtotal.money()),
        text(&receipt.tax.money()),
        text(&receipt.tax_rate.shortest()),
        text(&receipt.total.money()),
    ];
    let stored = Stored::from_row(db.row(SQL, &parameters)?)?;
    stored.ok_or_else(|| pg::Error::Other("the stored receipt has no id".to_owned()))
}

/// Returns the receipt with the key of the attempt.
pub fn find_by_key(db: &Db, attempt: &Attempt) -> Result<Option<Stored>, pg::Error> {
    const SQL: &str = concatcp!(
        "SELECT ",
        STORED,
        " FROM (SELECT) AS one LEFT JOIN katas.receipt ON idempotency_key = $2"
    );
    Stored::from_row(db.row(SQL, &[Parameter::Binary(attempt.body.clone()), text(&attempt.key)])?)
}

/// Returns the receipt with this id.
pub fn find(db: &Db, id: &str) -> Result<Option<Receipt>, pg::Error> {
    const SQL: &str =
        concatcp!("SELECT ", RECEIPT, " FROM (SELECT) AS one LEFT JOIN katas.receipt ON id = $1");
    let Some(id) = uuid(id) else { return Ok(None) };
    Receipt::from_row(&mut db.row(SQL, &[id])?)
}

/// Returns up to `limit` receipts with numbers greater than `after`, in the order of their numbers.
pub fn page(db: &Db, after: Option<i64>, limit: i64) -> Result<Page<i64>, pg::Error> {
    const SQL: &str = pg::page!(
        "id, total::text, katas.rfc3339(created_at) AS created_at",
        "katas.receipt WHERE number > $2",
        "number"
    );
    // Numbers begin at 1.
    db.page(SQL, &[int8(limit), int8(after.unwrap_or(0))])
}
