//! The table `katas.dataset_run`, and the datasets that runs read.
//!
//! A run reads its dataset in chunks, one statement each. The chunks are consistent, because a
//! loaded dataset never changes.

use pg::{Db, Page, Timestamp, int8, nullable, text, uuid};
use serde::Serialize;
use serde_json::value::RawValue;

/// The dataset of a run.
pub struct Dataset {
    pub number: i64,
    pub columns: Vec<String>,
}

/// Returns the dataset with this id.
pub fn dataset(db: &Db, id: &str) -> Result<Option<Dataset>, pg::Error> {
    const SQL: &str = "SELECT number, columns \
         FROM (SELECT) AS one LEFT JOIN katas.dataset ON id = $1 AND state = 'loaded'";
    let Some(id) = uuid(id) else { return Ok(None) };
    let mut row = db.row(SQL, &[id])?;
    let Some(number) = row.take(0)? else { return Ok(None) };
    Ok(Some(Dataset { number, columns: row.take(1)? }))
}

/// The result of a run that has not been stored yet.
pub struct Outcome {
    pub kata: &'static str,
    /// The parameters of the kata as a JSON object.
    pub parameters: Box<RawValue>,
    /// The result as a JSON object.
    pub result: Box<RawValue>,
    /// The number of rows read.
    pub rows: i64,
}

/// The fields of consecutive rows.
pub struct Chunk {
    /// The fields of the first column.
    pub first: Vec<String>,
    /// The fields of the second column, empty when there is none.
    pub second: Vec<String>,
}

/// Returns the fields of one or two columns (indices from 1) in up to 2,000 rows after the first
/// `rows` rows; fewer when the rows reach 32 KiB, none at the end. The guest processes them in
/// milliseconds.
///
/// The range has both bounds: with LIMIT in place of the upper bound, PostgreSQL reads and sorts
/// the entire remainder of a dataset that has no statistics yet.
pub fn chunk(
    db: &Db,
    dataset: &Dataset,
    rows: i64,
    first: i64,
    second: Option<i64>,
) -> Result<Chunk, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT position, size, fields FROM katas.dataset_row \
             WHERE dataset = $1 AND position > $2::int8 AND position <= $2::int8 + 2000 \
         ), chunk AS ( \
             SELECT position, fields, sum(size) OVER (ORDER BY position) - size AS before FROM found \
         ) \
         SELECT coalesce(array_agg(fields[$3::int8] ORDER BY position), '{}'), \
                coalesce(array_agg(fields[$4::int8] ORDER BY position) \
                           FILTER (WHERE $4::int8 IS NOT NULL), '{}') \
         FROM chunk WHERE before < 32768";
    let second = nullable(second, int8);
    let mut row = db.row(SQL, &[int8(dataset.number), int8(rows), int8(first), second])?;
    Ok(Chunk { first: row.take(0)?, second: row.take(1)? })
}

/// A stored run.
#[derive(Serialize)]
pub struct Run {
    pub id: String,
    kata: String,
    parameters: Box<RawValue>,
    result: Box<RawValue>,
    rows: i64,
    created_at: Timestamp,
}

/// Stores the outcome of a run. Returns `None` when the dataset has been deleted.
pub fn add(db: &Db, dataset: &Dataset, outcome: Outcome) -> Result<Option<Run>, pg::Error> {
    const SQL: &str = "WITH stored AS ( \
             INSERT INTO katas.dataset_run (dataset, kata, parameters, result, rows) \
             SELECT number, $2, $3::text::json, $4::text::json, $5::int8 \
             FROM katas.dataset WHERE number = $1 AND state = 'loaded' \
             RETURNING id, created_at \
         ) \
         SELECT id, created_at AT TIME ZONE 'UTC' \
         FROM (SELECT) AS one LEFT JOIN stored ON true";
    let Outcome { kata, parameters, result, rows } = outcome;
    let values =
        [int8(dataset.number), text(kata), text(parameters.get()), text(result.get()), int8(rows)];
    let mut row = db.row(SQL, &values)?;
    let Some(id) = row.take(0)? else { return Ok(None) };
    let (kata, created_at) = (kata.to_owned(), row.take(1)?);
    Ok(Some(Run { id, kata, parameters, result, rows, created_at }))
}

/// Returns a run by its id and the id of its dataset.
pub fn find(db: &Db, dataset: &str, run: &str) -> Result<Option<Run>, pg::Error> {
    const SQL: &str = "SELECT run.id, kata, parameters::text, result::text, run.rows, \
                              run.created_at AT TIME ZONE 'UTC' \
         FROM (SELECT) AS one LEFT JOIN \
              (katas.dataset_run AS run JOIN katas.dataset ON run.dataset = dataset.number) \
              ON run.id = $2 AND dataset.id = $1 AND dataset.state = 'loaded'";
    let (Some(dataset), Some(run)) = (uuid(dataset), uuid(run)) else { return Ok(None) };
    let mut row = db.row(SQL, &[dataset, run])?;
    let Some(id) = row.take(0)? else { return Ok(None) };
    Ok(Some(Run {
        id,
        kata: row.take(1)?,
        parameters: row.take(2)?,
        result: row.take(3)?,
        rows: row.take(4)?,
        created_at: row.take(5)?,
    }))
}

/// Returns up to `limit` runs of a dataset with numbers greater than `after`, in the order of their
/// numbers. Returns `None` when the dataset does not exist.
pub fn page(
    db: &Db,
    id: &str,
    after: Option<i64>,
    limit: i64,
) -> Result<Option<Page<i64>>, pg::Error> {
    const SQL: &str = "WITH dataset AS ( \
             SELECT number FROM katas.dataset WHERE id = $1 AND state = 'loaded' \
         ), found AS ( \
             SELECT number, id, kata, parameters, rows, katas.rfc3339(created_at) AS created_at \
             FROM katas.dataset_run \
             WHERE dataset = (SELECT number FROM dataset) AND number > $2 \
             ORDER BY number LIMIT $3::int8 + 1 \
         ), page AS (SELECT * FROM found ORDER BY number LIMIT $3::int8) \
         SELECT CASE WHEN EXISTS (SELECT FROM dataset) \
                     THEN coalesce(json_agg((SELECT r FROM \
                            (SELECT id, kata, parameters, rows, created_at) AS r) ORDER BY number), \
                          '[]')::text END, \
                CASE WHEN count(*) < (SELECT count(*) FROM found) THEN max(number) END \
         FROM page";
    let Some(id) = uuid(id) else { return Ok(None) };
    // Numbers begin at 1.
    let mut row = db.row(SQL, &[id, int8(after.unwrap_or(0)), int8(limit)])?;
    let Some(items) = row.take(0)? else { return Ok(None) };
    Ok(Some(Page { items, last: row.take(1)? }))
}
