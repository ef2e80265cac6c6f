//! Loads a dataset in one pass and in constant memory.

use pg::Db;
use web::Problem;

use crate::csv::{self, CsvError, Kind, Reader};
use crate::domain::{Columns, DatasetName};
use crate::store::{self, Batch, Dataset};

/// The maximum number of purging steps in one request, together 500,000 rows.
const PURGE_STEPS: usize = 10;

/// Loads a file. A load that fails leaves nothing visible.
pub fn load(db: &Db, name: &DatasetName, source: csv::Source<Problem>) -> Result<Dataset, Problem> {
    let mut reader = Reader::new(source);
    let header = reader.next()?.map(|row| row.fields().map(str::to_owned).collect());
    let columns = Columns::new(header.unwrap_or_default())
        .map_err(|error| CsvError { line: 1, kind: Kind::Row(error) })?;
    let number = store::begin(db, name, &columns)?;
    purge(db);
    let loaded = fill(db, number, &columns, &mut reader);
    if loaded.is_err() {
        // When this fails as well, the load is abandoned after 15 minutes.
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

/// Sends the batch, whose rows follow the first `rows`. Returns the number of rows in it.
fn send(db: &Db, number: i64, rows: i64, batch: &mut Batch) -> Result<i64, Problem> {
    let count = batch.len() as i64;
    if count > 0 && !store::add(db, number, rows, batch)? {
        return Err(abandoned());
    }
    Ok(count)
}

fn abandoned() -> Problem {
    Problem::unavailable("the load took too long; try again", "the load was abandoned")
}

/// Purges datasets that are gone, for a bounded time. Later requests continue after a failure.
pub fn purge(db: &Db) {
    for _ in 0..PURGE_STEPS {
        if !matches!(store::purge(db), Ok(true)) {
            break;
        }
    }
}
