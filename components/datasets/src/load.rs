//! A dataset on its way into the database, in one pass and in constant memory.

use pg::Db;

use crate::csv::{self, Flaw, Kind, Reader};
use crate::domain::{Columns, Name};
use crate::error::Error;
use crate::store::{self, Batch, Dataset};

/// The most steps of sweeping that one request does for those before it: 500,000 rows.
const STEPS: usize = 10;

/// Loads a file. If that fails, nothing is left.
pub fn load(db: &Db, name: &Name, source: csv::Source<Error>) -> Result<Dataset, Error> {
    let mut reader = Reader::new(source);
    let header = reader.next()?.map(|row| row.fields().map(str::to_owned).collect());
    let columns = Columns::new(header.unwrap_or_default())
        .map_err(|flaw| Flaw { line: 1, kind: Kind::Row(flaw) })?;
    let begun = store::begin(db, name, &columns)?;
    sweep(db);
    let loaded = fill(db, &begun, &mut reader);
    if loaded.is_err() {
        // Should this fail as well, the load is given up when it has been silent for long.
        let _ = store::give_up(db, begun.number);
        sweep(db);
    }
    loaded
}

fn fill(db: &Db, begun: &Dataset, reader: &mut Reader<Error>) -> Result<Dataset, Error> {
    let mut batch = Batch::default();
    let mut line = csv::line(&begun.columns);
    let (mut rows, mut bytes) = (0, line.len());
    while let Some(row) = reader.next()? {
        line.clear();
        csv::write(row.fields(), &mut line);
        bytes += line.len();
        batch.push(row.fields());
        if batch.is_full() {
            rows += send(db, begun, rows, &mut batch)?;
        }
    }
    rows += send(db, begun, rows, &mut batch)?;
    store::finish(db, begun.number, rows, bytes as i64)?.ok_or(Error::GivenUp)
}

/// Sends the batch, to be added after the first `rows`; how many there were in it.
fn send(db: &Db, begun: &Dataset, rows: i64, batch: &mut Batch) -> Result<i64, Error> {
    let more = batch.len() as i64;
    if more > 0 && !store::add(db, begun.number, rows, batch)? {
        return Err(Error::GivenUp);
    }
    Ok(more)
}

/// Sweeps what is gone, for as long as it is no burden. What fails or is left is for the next one.
pub fn sweep(db: &Db) {
    for _ in 0..STEPS {
        if !matches!(store::sweep(db), Ok(true)) {
            break;
        }
    }
}
