//! The datasets that runs read.
//!
//! A run reads its dataset in chunks, with several statements. The chunks are consistent, because a
//! loaded dataset never changes.

use std::ops::Range;

use pg::{Db, int8, uuid};

/// The dataset of a run.
pub struct Dataset {
    pub number: i64,
    pub columns: Vec<String>,
    pub rows: i64,
}

impl Dataset {
    /// Returns the range that contains the first rows of all chunks.
    pub fn chunks(&self) -> Range<i64> {
        1..self.rows + 1
    }
}

/// Returns the dataset with this id.
pub fn find(db: &Db, id: &str) -> Result<Option<Dataset>, pg::Error> {
    const SQL: &str = "SELECT number, columns, rows \
         FROM (SELECT) AS one LEFT JOIN katas.dataset ON id = $1 AND state = 'loaded'";
    let Some(id) = uuid(id) else { return Ok(None) };
    let mut row = db.row(SQL, &[id])?;
    let Some(number) = row.take(0)? else { return Ok(None) };
    Ok(Some(Dataset { number, columns: row.take(1)?, rows: row.take(2)? }))
}

/// The text of consecutive chunks.
pub struct Chunks {
    /// The number of the row that follows the text.
    pub next_row: i64,
    /// Empty at the end of the range.
    pub csv: String,
}

/// Returns up to two chunks, about 128 KiB, whose first rows are in a range. The guest processes
/// them in milliseconds.
pub fn chunks(db: &Db, dataset: i64, first_rows: &Range<i64>) -> Result<Chunks, pg::Error> {
    const SQL: &str = "WITH chunk AS ( \
             SELECT first_row, rows, csv FROM katas.dataset_chunk \
             WHERE dataset = $1 AND first_row >= $2 AND first_row < $3 \
             ORDER BY first_row LIMIT 2 \
         ) \
         SELECT coalesce(max(first_row + rows), 0), \
                coalesce(string_agg(csv, '' ORDER BY first_row), '') \
         FROM chunk";
    let mut row = db.row(SQL, &[int8(dataset), int8(first_rows.start), int8(first_rows.end)])?;
    Ok(Chunks { next_row: row.take(0)?, csv: row.take(1)? })
}
