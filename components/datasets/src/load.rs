//! Loads a dataset in a single pass and in constant memory.

use std::fmt::Display;

use http::StatusCode;
use pg::Db;
use rfc4180::{ChunkReader, ReadError, Reader};
use web::Problem;

use crate::domain::{Columns, DatasetName, byte_order_mark_warning};
use crate::store::{self, Batch, Dataset};

/// The size from which a chunk is complete: 64 KiB.
const CHUNK_BYTES: usize = 64 << 10;

/// The maximum number of purge steps per request: up to 2,000,000 rows in total.
const MAX_PURGE_STEPS: usize = 10;

/// Loads a file. A failed load leaves no visible dataset.
pub fn load(db: &Db, name: &DatasetName, file: ChunkReader<Problem>) -> Result<Dataset, Problem> {
    let mut reader = Reader::new(file);
    let (header, _) = reader.read(1).map_err(failed)?;
    let columns =
        Columns::from_header(&header).map_err(|error| invalid(format!("line 1 {error}")))?;
    let number = store::begin(db, name, &columns)?;
    purge(db);
    let loaded = fill(db, number, &header, &mut reader);
    if loaded.is_err() {
        // If this fails too, the load is abandoned after 15 minutes.
        let _ = store::abandon(db, number);
        purge(db);
    }
    let (mut dataset, byte_order_mark) = loaded?;
    dataset.warnings.extend(columns.separator_warning());
    dataset.warnings.extend(byte_order_mark);
    Ok(dataset)
}

/// Stores the rows and makes the dataset visible. Returns it with a warning.
fn fill(
    db: &Db,
    number: i64,
    header: &str,
    reader: &mut Reader<Problem>,
) -> Result<(Dataset, Option<String>), Problem> {
    let mut warning = byte_order_mark_warning(header, 1);
    let (mut rows, mut bytes) = (0, header.len());
    let mut batch = Batch::default();
    loop {
        let line = reader.line();
        let (chunk, count) = reader.read(CHUNK_BYTES).map_err(failed)?;
        if count == 0 {
            break;
        }
        warning = warning.or_else(|| byte_order_mark_warning(&chunk, line));
        bytes += chunk.len();
        batch.push(rows + 1, count as i64, chunk);
        rows += count as i64;
        if batch.is_full() {
            add(db, number, &mut batch)?;
        }
    }
    add(db, number, &mut batch)?;
    let dataset = store::finish(db, number, rows, bytes as i64)?.ok_or_else(abandoned)?;
    Ok((dataset, warning))
}

fn add(db: &Db, number: i64, batch: &mut Batch) -> Result<(), Problem> {
    if !batch.is_empty() && !store::add(db, number, batch)? {
        return Err(abandoned());
    }
    Ok(())
}

fn abandoned() -> Problem {
    Problem::unavailable("the load timed out; try again", "the load was abandoned")
}

fn failed(error: ReadError<Problem>) -> Problem {
    match error {
        ReadError::Source(problem) => problem,
        ReadError::Csv(error) => invalid(error),
    }
}

fn invalid(error: impl Display) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

/// Purges deleted datasets, for a bounded time. After a failure, later requests continue.
pub fn purge(db: &Db) {
    for _ in 0..MAX_PURGE_STEPS {
        if !matches!(store::purge(db), Ok(true)) {
            break;
        }
    }
}
