//! Loads a dataset in a single pass and in constant memory.

use pg::Db;
use web::Problem;

use crate::csv::{self, CsvError, ErrorKind, Reader};
use crate::domain::{Columns, DatasetName};
use crate::store::{self, Batch, Dataset};

/// The maximum number of purge steps per request: up to 500,000 rows in total.
const MAX_PURGE_STEPS: usize = 10;

/// Loads a file. A failed load leaves no visible dataset.
pub fn load(
    db: &Db,
    name: &DatasetName,
    chunks: csv::ChunkReader<Problem>,
) -> Result<Dataset, Problem> {
    let mut reader = Reader::new(chunks);
    let header = reader.next()?.map(|row| row.fields().map(str::to_owned).collect());
    let columns = Columns::new(header.unwrap_or_default())
        .map_err(|error| CsvError { line: 1, kind: ErrorKind::Row(error) })?;
    let number = store::begin(db, name, &columns)?;
    purge(db);
    let loaded = fill(db, number, &columns, &mut reader);
    if loaded.is_err() {
        // If this fails too, the load is abandoned after 15 minutes.
        let _ = store::abandon(db, number);
        purge(db);
    }
    loaded
}

fn fill(
    db: &Db,
    number: i64,
    columns: &Columns,
    reader: &mut Reader<Problem>,
) -> Result<Dataset, Problem> {
    let mut batch = Batch::default();
    let mut line = csv::line(columns.names());
    let (mut rows, mut bytes) = (0, line.len());
    while let Some(row) = reader.next()? {
        line.clear();
        csv::write(row.fields(), &mut line);
        bytes += line.len();
        batch.push(row.fields());
        if batch.is_full() {
            rows += send(db, number, rows, &mut batch)?;
        }
    }
    rows += send(db, number, rows, &mut batch)?;
    store::finish(db, number, rows, bytes as i64)?.ok_or_else(abandoned)
}

/// Sends the batch, whose rows follow the first `rows` rows. Returns the number of rows sent.
fn send(db: &Db, number: i64, rows: i64, batch: &mut Batch) -> Result<i64, Problem> {
    let count = batch.len() as i64;
    if count > 0 && !store::add(db, number, rows, batch)? {
        return Err(abandoned());
    }
    Ok(count)
}

fn abandoned() -> Problem {
    Problem::unavailable("the load timed out; try again", "the load was abandoned")
}

/// Purges deleted datasets, for a bounded time. After a failure, later requests continue.
pub fn purge(db: &Db) {
    for _ in 0..MAX_PURGE_STEPS {
        if !matches!(store::purge(db), Ok(true)) {
            break;
        }
    }
}
