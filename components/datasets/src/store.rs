//! The tables `katas.dataset` and `katas.dataset_chunk`.
//!
//! Unlike other requests, a load runs several statements, in proportion to the length of its file.
//! Each is atomic. The dataset stays in the state `loading`, in which no read returns it, until the
//! last statement sets `loaded`. A failed or abandoned load leaves chunks behind. So does a deleted
//! dataset, because deleting all of them could exceed the statement timeout. Both get the state
//! `gone` at once, and later requests purge a bounded number of their chunks at a time.

use std::mem;

use const_format::concatcp;
use pg::{Db, Page, Parameter, Row, Timestamp, int8, text, text_array, uuid};
use serde::Serialize;

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
    /// Probable mistakes in the file. Not stored: only the response to its upload has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
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
            warnings: Vec::new(),
        }))
    }
}

/// Chunks that are inserted by one statement.
#[derive(Default)]
pub struct Batch {
    first_rows: Vec<Option<i64>>,
    rows: Vec<Option<i64>>,
    csv: Vec<Option<String>>,
    bytes: usize,
    row_count: i64,
}

impl Batch {
    /// The size of a full batch: 1 MiB. With 256 KiB, a load takes a quarter longer.
    const MAX_BYTES: usize = 1 << 20;
    /// While the previous build runs (the migration `dataset_chunks`), PostgreSQL also inserts these
    /// rows, which takes half a second.
    const MAX_ROWS: i64 = 50_000;

    pub fn push(&mut self, first_row: i64, rows: i64, csv: String) {
        self.bytes += csv.len();
        self.row_count += rows;
        self.first_rows.push(Some(first_row));
        self.rows.push(Some(rows));
        self.csv.push(Some(csv));
    }

    pub fn is_empty(&self) -> bool {
        self.csv.is_empty()
    }

    /// Returns whether the batch has to be sent.
    pub fn is_full(&self) -> bool {
        self.bytes >= Batch::MAX_BYTES || self.row_count >= Batch::MAX_ROWS
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

/// Adds chunks, and empties the batch. Returns `false` when the load has been abandoned.
pub fn add(db: &Db, dataset: i64, batch: &mut Batch) -> Result<bool, pg::Error> {
    // The lock on the row of the dataset excludes a concurrent purge. The commit is asynchronous:
    // the synchronous commit that ends the load also flushes the earlier ones.
    const SQL: &str = "WITH loading AS ( \
             UPDATE katas.dataset SET touched_at = now() \
             WHERE number = $1 AND state = 'loading' RETURNING number \
         ), added AS ( \
             INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv) \
             SELECT number, unnest($2::int8[]), unnest($3::int8[]), unnest($4::text[]) FROM loading \
         ) \
         SELECT EXISTS (SELECT FROM loading), set_config('synchronous_commit', 'off', true)";
    let Batch { first_rows, rows, csv, .. } = mem::take(batch);
    let (first_rows, rows) = (Parameter::ArrayInt64(first_rows), Parameter::ArrayInt64(rows));
    db.row(SQL, &[int8(dataset), first_rows, rows, Parameter::ArrayStr(csv)])?.take(0)
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

/// Purges the first chunks of one deleted dataset, with 200,000 rows or one chunk, and finally the
/// dataset itself. Takes 0.2 seconds while the previous build runs (the migration `dataset_chunks`),
/// otherwise milliseconds. Returns `false` when no dataset is left to purge.
pub fn purge(db: &Db) -> Result<bool, pg::Error> {
    const SQL: &str = "WITH target AS ( \
             SELECT number FROM katas.dataset WHERE state = 'gone' \
             ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED \
         ), chunk AS ( \
             SELECT first_row, sum(rows) OVER (ORDER BY first_row) - rows AS before \
             FROM katas.dataset_chunk WHERE dataset = (SELECT number FROM target) \
         ), purged AS ( \
             DELETE FROM katas.dataset_chunk \
             WHERE dataset = (SELECT number FROM target) \
               AND first_row IN (SELECT first_row FROM chunk WHERE before < 200000) \
         ), removed AS ( \
             DELETE FROM katas.dataset \
             WHERE number = (SELECT number FROM target) \
               AND NOT EXISTS (SELECT FROM chunk WHERE before >= 200000) \
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

/// The text of consecutive chunks.
pub struct Chunks {
    pub columns: Vec<String>,
    /// The number of rows of the dataset.
    pub rows: i64,
    /// The number of the first row of the text.
    pub first_row: i64,
    /// The number of the row that follows the text.
    pub next_row: i64,
    pub csv: String,
}

/// Returns up to `limit` chunks of a dataset: the one with row `row` and those that follow it, up to
/// the one with row `last`. Without any, the text is empty. Returns `None` when the dataset does not
/// exist.
pub fn chunks(
    db: &Db,
    id: &str,
    row: i64,
    last: i64,
    limit: i64,
) -> Result<Option<Chunks>, pg::Error> {
    const SQL: &str = "WITH dataset AS ( \
             SELECT number, columns, rows FROM katas.dataset WHERE id = $1 AND state = 'loaded' \
         ), chunk AS ( \
             SELECT first_row, rows, csv FROM katas.dataset_chunk \
             WHERE dataset = (SELECT number FROM dataset) \
               AND first_row >= (SELECT max(first_row) FROM katas.dataset_chunk \
                                 WHERE dataset = (SELECT number FROM dataset) \
                                   AND first_row <= $2::int8) \
               AND first_row <= $3::int8 AND $2::int8 <= (SELECT rows FROM dataset) \
             ORDER BY first_row LIMIT $4::int8 \
         ) \
         SELECT columns, rows, first_row, next_row, csv \
         FROM (SELECT coalesce(min(first_row), 0) AS first_row, \
                      coalesce(max(first_row + rows), 0) AS next_row, \
                      coalesce(string_agg(csv, '' ORDER BY first_row), '') AS csv \
               FROM chunk) AS text LEFT JOIN dataset ON true";
    let Some(id) = uuid(id) else { return Ok(None) };
    let mut row = db.row(SQL, &[id, int8(row), int8(last), int8(limit)])?;
    let Some(columns) = row.take(0)? else { return Ok(None) };
    Ok(Some(Chunks {
        columns,
        rows: row.take(1)?,
        first_row: row.take(2)?,
        next_row: row.take(3)?,
        csv: row.take(4)?,
    }))
}
