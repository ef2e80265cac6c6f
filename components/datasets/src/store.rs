//! The datasets' tables, `katas.dataset` and `katas.dataset_row`.
//!
//! A load is the one request here that needs several statements: as many as the file is long. Each is
//! atomic by itself and leaves the dataset `loading`, which nobody sees, until the last one makes it
//! `loaded`. A load that fails, or that its guest or its client abandons, leaves rows behind; so does
//! a dataset that is removed, because removing millions of rows takes longer than a statement may.
//! Both are `gone` at once, and swept a bounded number of rows at a time by whoever comes next.

use std::mem;

use json::{FromObject, Object, Value};
use pg::{Db, Page, Parameter, Sql, int8, text, texts, uuid};
use serde::Serialize;

use crate::domain::{Columns, Name};

/// A dataset as it is stored.
#[derive(Serialize)]
pub struct Dataset {
    #[serde(skip_serializing)]
    pub number: i64,
    pub id: String,
    pub name: String,
    pub columns: Vec<String>,
    pub rows: i64,
    /// The length of the whole dataset as CSV.
    pub bytes: i64,
    /// RFC 3339, UTC.
    pub created_at: String,
}

impl FromObject for Dataset {
    fn from_object(row: &mut Object) -> Option<Dataset> {
        Some(Dataset {
            number: row.required("number")?,
            id: row.required("id")?,
            name: row.required("name")?,
            columns: row.required("columns")?,
            rows: row.required("rows")?,
            bytes: row.required("bytes")?,
            created_at: row.required("created_at")?,
        })
    }
}

/// The columns of [`Dataset`].
macro_rules! dataset {
    () => {
        " number, id, name, columns, rows, bytes, katas.rfc3339(created_at) AS created_at "
    };
}

/// Rows on their way to the database.
#[derive(Default)]
pub struct Batch {
    /// Each row as PostgreSQL writes an array: `{"a","b"}`.
    rows: Vec<Option<String>>,
    bytes: usize,
}

impl Batch {
    /// How many rows, and how many bytes, are sent at a time: few enough for a guest to put together
    /// and for PostgreSQL to write in milliseconds, and enough for the way there and back not to
    /// count.
    const ROWS: usize = 4000;
    const BYTES: usize = 256 << 10;

    /// Adds a row.
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

    /// Whether it is time to send them.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= Batch::ROWS || self.bytes >= Batch::BYTES
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    fn take(&mut self) -> Parameter {
        self.bytes = 0;
        Parameter::ArrayStr(mem::take(&mut self.rows))
    }
}

/// Begins a load. Loads that have added nothing for 15 minutes are given up: whoever was sending them is
/// gone, or has to begin again.
pub fn begin(db: &Db, name: &Name, columns: &Columns) -> Result<Dataset, pg::Error> {
    const SQL: Sql = Sql::with(
        concat!(
            "silent AS (SELECT number FROM katas.dataset \
                        WHERE state = 'loading' AND touched_at < now() - interval '15 minutes' \
                        FOR UPDATE SKIP LOCKED), \
             given_up AS (UPDATE katas.dataset SET state = 'gone' \
                          WHERE number IN (SELECT number FROM silent)), \
             begun AS (INSERT INTO katas.dataset (name, columns) VALUES ($1, $2) RETURNING",
            dataset!(),
            ")"
        ),
        "SELECT * FROM begun",
    );
    some(db.one(SQL, &[text(name.as_str()), texts(columns.names())])?)
}

/// Adds rows after the first `rows`, and empties the batch. Whether all is well: `false` when the load
/// has been given up meanwhile.
pub fn add(db: &Db, dataset: i64, rows: i64, batch: &mut Batch) -> Result<bool, pg::Error> {
    // Who sweeps the dataset and who adds to it wait for each other at its row. The disk is waited for
    // once, when the load ends: that commit writes all that came before it.
    const SQL: Sql = Sql::with(
        "hurried AS (SELECT set_config('synchronous_commit', 'off', true)), \
         loading AS (UPDATE katas.dataset SET touched_at = now() \
                     WHERE number = $1::int8 AND state = 'loading' RETURNING number), \
         added AS (INSERT INTO katas.dataset_row (dataset, position, size, fields) \
                   SELECT number, $2::int8 + place, octet_length(fields), fields::text[] \
                   FROM loading, unnest($3::text[]) WITH ORDINALITY AS given (fields, place))",
        "SELECT FROM loading, hurried",
    );
    Ok(db.execute(SQL, &[int8(dataset), int8(rows), batch.take()])? == 1)
}

/// Ends a load: now the dataset is there. `None` when it has been given up meanwhile.
pub fn finish(db: &Db, dataset: i64, rows: i64, bytes: i64) -> Result<Option<Dataset>, pg::Error> {
    const SQL: Sql = Sql::with(
        concat!(
            "loaded AS (UPDATE katas.dataset \
                        SET state = 'loaded', touched_at = now(), rows = $2::int8, bytes = $3::int8 \
                        WHERE number = $1::int8 AND state = 'loading' RETURNING",
            dataset!(),
            ")"
        ),
        "SELECT * FROM loaded",
    );
    db.one(SQL, &[int8(dataset), int8(rows), int8(bytes)])
}

/// Gives up a load.
pub fn give_up(db: &Db, dataset: i64) -> Result<(), pg::Error> {
    const SQL: &str = "UPDATE katas.dataset SET state = 'gone' \
                       WHERE number = $1::int8 AND state = 'loading' RETURNING 1";
    db.execute(SQL, &[int8(dataset)]).map(|_| ())
}

/// Removes up to 50,000 rows of one dataset that is gone, and then the dataset: a tenth of a second.
/// Whether there was one.
pub fn sweep(db: &Db) -> Result<bool, pg::Error> {
    const SQL: Sql = Sql::with(
        "gone AS (SELECT number FROM katas.dataset WHERE state = 'gone' \
                  ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED), \
         swept AS (DELETE FROM katas.dataset_row \
                   WHERE dataset = (SELECT number FROM gone) \
                     AND position < 50000 + (SELECT min(position) FROM katas.dataset_row \
                                             WHERE dataset = (SELECT number FROM gone)) \
                   RETURNING 1), \
         forgotten AS (DELETE FROM katas.dataset \
                       WHERE number = (SELECT number FROM gone) \
                         AND (SELECT count(*) FROM swept) < 50000)",
        "SELECT FROM gone",
    );
    Ok(db.execute(SQL, &[])? == 1)
}

/// The dataset of this id, `None` when there is none.
pub fn find(db: &Db, id: &str) -> Result<Option<Dataset>, pg::Error> {
    const SQL: &str =
        concat!("SELECT", dataset!(), "FROM katas.dataset WHERE id = $1 AND state = 'loaded'");
    let Some(id) = uuid(id) else { return Ok(None) };
    db.one(SQL, &[id])
}

/// Whether there was a dataset to remove. Its rows are left to [`sweep`].
pub fn remove(db: &Db, id: &str) -> Result<bool, pg::Error> {
    const SQL: Sql = Sql::with(
        "removed AS (UPDATE katas.dataset SET state = 'gone' \
                     WHERE id = $1 AND state = 'loaded' RETURNING 1)",
        "SELECT FROM removed",
    );
    let Some(id) = uuid(id) else { return Ok(false) };
    Ok(db.execute(SQL, &[id])? == 1)
}

/// Up to `limit` datasets in the order in which they were begun, after the number `after`; fewer when
/// the names of their columns reach 256 KiB.
pub fn page(db: &Db, after: i64, limit: i64) -> Result<Page<i64>, pg::Error> {
    const SQL: Sql = Sql::with(
        concat!(
            "found AS (SELECT",
            dataset!(),
            "FROM katas.dataset WHERE number > $1::int8 AND state = 'loaded' \
             ORDER BY number LIMIT $2::int8 + 1), \
             page AS (SELECT *, row_number() OVER w AS place, lead(number) OVER w IS NOT NULL AS more, \
                             sum(octet_length(columns::text)) OVER w \
                               - octet_length(columns::text) AS before \
                      FROM found WINDOW w AS (ORDER BY number))"
        ),
        "SELECT coalesce(json_agg((SELECT d FROM \
                    (SELECT id, name, columns, rows, bytes, created_at) d) ORDER BY number), '[]') AS items, \
                CASE WHEN bool_and(more) THEN max(number) END AS last \
         FROM page WHERE place <= $2::int8 AND before < 262144",
    );
    db.page(SQL, &[int8(after), int8(limit)])
}

/// A stretch of a dataset.
pub struct Rows {
    /// A JSON array of strings.
    pub columns: String,
    /// The rows, a JSON array of arrays of strings.
    pub items: String,
    /// The position of the last row if more come after it.
    pub last: Option<i64>,
}

impl Rows {
    /// Gives the fields of each row to `take`.
    pub fn each(
        &self,
        take: &mut dyn FnMut(&mut dyn Iterator<Item = &str>),
    ) -> Result<(), pg::Error> {
        let unfit = || pg::Error::Other("the rows are not as expected".to_owned());
        let Ok(Value::Array(rows)) = json::value(self.items.as_bytes()) else {
            return Err(unfit());
        };
        for row in rows {
            let Value::Array(fields) = row else { return Err(unfit()) };
            // No field is ever stored as null.
            take(&mut fields.iter().filter_map(|field| match field {
                Value::String(text) => Some(text.as_ref()),
                _ => None,
            }));
        }
        Ok(())
    }
}

/// Up to `limit` rows after the position `after`, fewer when they reach 256 KiB; `None` when there is
/// no such dataset.
///
/// Positions have no gaps, so both ends are known. With a LIMIT in place of the second, PostgreSQL
/// reads and sorts all that is left of a dataset that it has no statistics of yet.
pub fn rows(db: &Db, id: &str, after: i64, limit: i64) -> Result<Option<Rows>, pg::Error> {
    const SQL: Sql = Sql::with(
        "dataset AS (SELECT number, columns, rows FROM katas.dataset \
                     WHERE id = $1 AND state = 'loaded'), \
         found AS (SELECT position, size, fields FROM katas.dataset_row \
                   WHERE dataset = (SELECT number FROM dataset) AND position > $2::int8 \
                     AND position <= $3::int8), \
         page AS (SELECT position, fields, sum(size) OVER (ORDER BY position) - size AS before \
                  FROM found)",
        // The columns stand in a line of their own, as JSON that need not be read. Without a dataset
        // there is no line.
        "SELECT coalesce(to_json(columns) || E'\\n' || \
                         (SELECT coalesce(json_agg(fields ORDER BY position), '[]') FROM page \
                          WHERE before < 262144), '') AS items, \
                (SELECT nullif(max(position), rows) FROM page WHERE before < 262144) AS last \
         FROM (SELECT) AS always LEFT JOIN dataset ON true",
    );
    let Some(id) = uuid(id) else { return Ok(None) };
    let Page { items, last } =
        db.page(SQL, &[id, int8(after), int8(after.saturating_add(limit))])?;
    Ok(items.split_once('\n').map(|(columns, items)| Rows {
        columns: columns.to_owned(),
        items: items.to_owned(),
        last,
    }))
}

/// The one row of a statement that always has one.
fn some<T>(row: Option<T>) -> Result<T, pg::Error> {
    row.ok_or_else(|| pg::Error::Other("a statement returned no row".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_as_an_array() {
        let mut batch = Batch::default();
        batch.push(["a", "", "NULL", "{,}", "\"b\\\" c"].into_iter());
        let expected = r#"{"a","","NULL","{,}","\"b\\\" c"}"#;
        assert_eq!(batch.rows, [Some(expected.to_owned())]);
    }
}
