//! The tables `katas.dataset` and `katas.dataset_row`.
//!
//! Unlike other requests, a load runs several statements, in proportion to the length of its file.
//! Each is atomic. The dataset stays in the state `loading`, in which no read returns it, until the
//! last statement sets `loaded`. A failed or abandoned load leaves rows behind. So does a deleted
//! dataset, because deleting millions of rows would exceed the statement timeout. Both get the
//! state `gone` at once, and later requests purge a bounded number of their rows at a time.

use std::mem;

use const_format::concatcp;
use pg::{Db, Page, Parameter, Row, Timestamp, int8, text, text_array, uuid};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::{Columns, DatasetName};

/// A stored dataset.
#[derive(Serialize)]
pub struct Dataset {
    pub id: String,
    name: String,
    pub columns: Vec<String>,
    pub rows: i64,
    /// The size of the CSV export.
    pub bytes: i64,
    created_at: Timestamp,
}

/// The columns of [`Dataset`] in the order in which [`Dataset::from_row`] reads them.
const DATASET: &str = "id, name, columns, rows, bytes, created_at AT TIME ZONE 'UTC'";

impl Dataset {
    /// Reads a dataset. Returns `None` when the row has none.
    fn from_row(mut row: Row) -> Result<Option<Dataset>, pg::Error> {
        let Some(id) = row.take(0)? else { return Ok(None) };
        Ok(Some(Dataset {
            id,
            name: row.take(1)?,
            columns: row.take(2)?,
            rows: row.take(3)?,
            bytes: row.take(4)?,
            created_at: row.take(5)?,
        }))
    }
}

/// Rows that are inserted by one statement.
#[derive(Default)]
pub struct Batch {
    /// Each row as the text representation of an array: `{"a","b"}`.
    rows: Vec<Option<String>>,
    bytes: usize,
}

impl Batch {
    /// The size of a full batch. The guest takes milliseconds to build it, and PostgreSQL to insert
    /// it, so the round-trip time is negligible.
    const MAX_ROWS: usize = 4000;
    const MAX_BYTES: usize = 256 << 10;

    pub fn push<'f>(&mut self, fields: impl Iterator<Item = &'f str>) {
        let mut row = String::with_capacity(64);
        row.push('{');
        for field in fields {
            row.push_str(if row.len() == 1 { "\"" } else { ",\"" });
            if field.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
                for character in field.chars() {
                    if matches!(character, '"' | '\\') {
                        row.push('\\');
                    }
                    row.push(character);
                }
            } else {
                row.push_str(field);
            }
            row.push('"');
        }
        row.push('}');
        self.bytes += row.len();
        self.rows.push(Some(row));
    }

    /// Returns whether the batch has to be sent.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= Batch::MAX_ROWS || self.bytes >= Batch::MAX_BYTES
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    fn take(&mut self) -> Parameter {
        self.bytes = 0;
        Parameter::ArrayStr(mem::take(&mut self.rows))
    }
}

/// Begins a load. Returns the number of its dataset. Abandons loads that have added no rows for 15
/// minutes.
pub fn begin(db: &Db, name: &DatasetName, columns: &Columns) -> Result<i64, pg::Error> {
    const SQL: &str = "WITH stale AS ( \
             SELECT number FROM katas.dataset \
             WHERE state = 'loading' AND touched_at < now() - interval '15 minutes' \
             FOR UPDATE SKIP LOCKED \
         ), abandoned AS ( \
             UPDATE katas.dataset SET state = 'gone' WHERE number IN (SELECT number FROM stale) \
         ) \
         INSERT INTO katas.dataset (name, columns) VALUES ($1, $2) RETURNING number";
    db.row(SQL, &[text(name.as_str()), text_array(columns.names())])?.take(0)
}

/// Adds rows after the first `rows` rows, and empties the batch. Returns `false` when the load has
/// been abandoned.
pub fn add(db: &Db, dataset: i64, rows: i64, batch: &mut Batch) -> Result<bool, pg::Error> {
    // The lock on the row of the dataset excludes a concurrent purge. The commit is asynchronous:
    // the synchronous commit that ends the load also flushes the earlier ones.
    const SQL: &str = "WITH loading AS ( \
             UPDATE katas.dataset SET touched_at = now() \
             WHERE number = $1 AND state = 'loading' RETURNING number \
         ), added AS ( \
             INSERT INTO katas.dataset_row (dataset, position, size, fields) \
             SELECT number, $2::int8 + place, octet_length(fields), fields::text[] \
             FROM loading, unnest($3::text[]) WITH ORDINALITY AS batch (fields, place) \
         ) \
         SELECT EXISTS (SELECT FROM loading), set_config('synchronous_commit', 'off', true)";
    db.row(SQL, &[int8(dataset), int8(rows), batch.take()])?.take(0)
}

/// Ends a load and makes the dataset visible. Returns `None` when the load has been abandoned.
pub fn finish(db: &Db, dataset: i64, rows: i64, bytes: i64) -> Result<Option<Dataset>, pg::Error> {
    const SQL: &str = concatcp!(
        "WITH loaded AS ( \
             UPDATE katas.dataset \
             SET state = 'loaded', touched_at = now(), rows = $2, bytes = $3 \
             WHERE number = $1 AND state = 'loading' RETURNING * \
         ) SELECT ",
        DATASET,
        " FROM (SELECT) AS one LEFT JOIN loaded ON true"
    );
    Dataset::from_row(db.row(SQL, &[int8(dataset), int8(rows), int8(bytes)])?)
}

pub fn abandon(db: &Db, dataset: i64) -> Result<(), pg::Error> {
    const SQL: &str =
        "UPDATE katas.dataset SET state = 'gone' WHERE number = $1 AND state = 'loading'";
    db.execute(SQL, &[int8(dataset)]).map(|_| ())
}

/// Purges up to 50,000 rows of one deleted dataset, and finally the dataset itself. Takes a tenth
/// of a second. Returns `false` when no dataset is left to purge.
pub fn purge(db: &Db) -> Result<bool, pg::Error> {
    const SQL: &str = "WITH target AS ( \
             SELECT number FROM katas.dataset WHERE state = 'gone' \
             ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED \
         ), purged AS ( \
             DELETE FROM katas.dataset_row \
             WHERE dataset = (SELECT number FROM target) \
               AND position < 50000 + (SELECT min(position) FROM katas.dataset_row \
                                       WHERE dataset = (SELECT number FROM target)) \
             RETURNING 1 \
         ), removed AS ( \
             DELETE FROM katas.dataset \
             WHERE number = (SELECT number FROM target) AND (SELECT count(*) FROM purged) < 50000 \
         ) \
         SELECT EXISTS (SELECT FROM target)";
    db.row(SQL, &[])?.take(0)
}

/// Returns the dataset with this id.
pub fn find(db: &Db, id: &str) -> Result<Option<Dataset>, pg::Error> {
    const SQL: &str = concatcp!(
        "SELECT ",
        DATASET,
        " FROM (SELECT) AS one LEFT JOIN katas.dataset ON id = $1 AND state = 'loaded'"
    );
    let Some(id) = uuid(id) else { return Ok(None) };
    Dataset::from_row(db.row(SQL, &[id])?)
}

/// Marks a dataset as deleted; [`purge`] removes its rows. Returns `false` when it does not exist.
pub fn delete(db: &Db, id: &str) -> Result<bool, pg::Error> {
    const SQL: &str = "UPDATE katas.dataset SET state = 'gone' WHERE id = $1 AND state = 'loaded'";
    let Some(id) = uuid(id) else { return Ok(false) };
    Ok(db.execute(SQL, &[id])? == 1)
}

/// Returns up to `limit` datasets with numbers greater than `after`, in the order of their numbers;
/// fewer when their column names reach 256 KiB.
pub fn page(db: &Db, after: Option<i64>, limit: i64) -> Result<Page<i64>, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT number, id, name, columns, rows, bytes, katas.rfc3339(created_at) AS created_at \
             FROM katas.dataset WHERE number > $1 AND state = 'loaded' \
             ORDER BY number LIMIT $2::int8 + 1 \
         ), page AS ( \
             SELECT *, row_number() OVER w AS place, lead(number) OVER w IS NOT NULL AS more, \
                    sum(octet_length(columns::text)) OVER w - octet_length(columns::text) AS before \
             FROM found WINDOW w AS (ORDER BY number) \
         ) \
         SELECT coalesce(json_agg((SELECT d FROM \
                    (SELECT id, name, columns, rows, bytes, created_at) AS d) ORDER BY number), \
                    '[]')::text, \
                CASE WHEN bool_and(more) THEN max(number) END \
         FROM page WHERE place <= $2::int8 AND before < 262144";
    // Numbers begin at 1.
    db.page(SQL, &[int8(after.unwrap_or(0)), int8(limit)])
}

/// Consecutive rows of a dataset. `R` is the type that holds their fields.
pub struct Rows<R> {
    pub columns: Vec<String>,
    pub items: R,
    /// The position of the last row, `None` at the end of the dataset.
    pub last: Option<i64>,
}

/// Selects the rows of the dataset with id `$1` after position `$2` up to position `$3`; fewer when
/// they reach 64 KiB.
///
/// Positions have no gaps, so both bounds are known. With LIMIT in place of the upper bound,
/// PostgreSQL reads and sorts the entire remainder of a dataset that has no statistics yet.
const ROWS: &str = "WITH dataset AS ( \
         SELECT number, columns, rows FROM katas.dataset WHERE id = $1 AND state = 'loaded' \
     ), found AS ( \
         SELECT position, size, fields FROM katas.dataset_row \
         WHERE dataset = (SELECT number FROM dataset) AND position > $2::int8 \
           AND position <= $3::int8 \
     ), sized AS ( \
         SELECT position, fields, sum(size) OVER (ORDER BY position) - size AS before FROM found \
     ), page AS (SELECT position, fields FROM sized WHERE before < 65536) \
     SELECT columns, (SELECT nullif(max(position), rows) FROM page), ";

/// Returns up to `limit` rows after position `after`, as a JSON array of arrays of strings. Returns
/// `None` when the dataset does not exist.
pub fn rows(
    db: &Db,
    id: &str,
    after: i64,
    limit: i64,
) -> Result<Option<Rows<Box<RawValue>>>, pg::Error> {
    const SQL: &str = concatcp!(
        ROWS,
        "(SELECT coalesce(json_agg(fields ORDER BY position), '[]')::text FROM page) \
         FROM (SELECT) AS one LEFT JOIN dataset ON true"
    );
    rows_from(db, SQL, id, after, limit)
}

/// Returns up to `limit` rows after position `after`, as the concatenated fields of all rows.
/// Returns `None` when the dataset does not exist.
pub fn fields(
    db: &Db,
    id: &str,
    after: i64,
    limit: i64,
) -> Result<Option<Rows<Vec<String>>>, pg::Error> {
    const SQL: &str = concatcp!(
        ROWS,
        "ARRAY(SELECT unnest(fields) FROM (SELECT fields FROM page ORDER BY position) AS rows) \
         FROM (SELECT) AS one LEFT JOIN dataset ON true"
    );
    rows_from(db, SQL, id, after, limit)
}

fn rows_from<R: pg::Column>(
    db: &Db,
    sql: &'static str,
    id: &str,
    after: i64,
    limit: i64,
) -> Result<Option<Rows<R>>, pg::Error> {
    let Some(id) = uuid(id) else { return Ok(None) };
    let mut row = db.row(sql, &[id, int8(after), int8(after.saturating_add(limit))])?;
    let Some(columns) = row.take(0)? else { return Ok(None) };
    Ok(Some(Rows { columns, last: row.take(1)?, items: row.take(2)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushed_row_is_written_in_array_syntax() {
        let mut batch = Batch::default();
        batch.push(["a", "", "NULL", "{,}", "\"b\\\" c"].into_iter());
        let expected = r#"{"a","","NULL","{,}","\"b\\\" c"}"#;
        assert_eq!(batch.rows, [Some(expected.to_owned())]);
    }
}
