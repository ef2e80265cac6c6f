//! A dataset on its way into the database, in one pass and in constant memory.

use pg::Db;

use crate::csv;
use crate::domain::{Columns, Name};
use crate::error::Error;
use crate::store::{self, Batch, Dataset};

/// The most steps of sweeping that one request does for those before it: 500,000 rows.
const STEPS: usize = 10;

/// A load that has begun.
pub struct Load<'d> {
    db: &'d Db,
    dataset: i64,
    batch: Batch,
    /// How many rows have been sent.
    rows: i64,
    /// The row as CSV, to know how long it is.
    line: Vec<u8>,
    bytes: usize,
}

/// The dataset that `fill` has filled. If that fails, nothing is left.
pub fn load(
    db: &Db,
    name: &Name,
    columns: &Columns,
    fill: impl FnOnce(&mut Load) -> Result<(), Error>,
) -> Result<Dataset, Error> {
    let mut load = Load {
        db,
        dataset: store::begin(db, name, columns)?,
        batch: Batch::default(),
        rows: 0,
        line: Vec::new(),
        bytes: 0,
    };
    sweep(db);
    load.count(columns.names().iter().map(String::as_str));
    let loaded = fill(&mut load).and_then(|()| load.finish());
    if loaded.is_err() {
        // Should this fail as well, the load is given up when it has been silent for long.
        let _ = store::give_up(db, load.dataset);
        sweep(db);
    }
    loaded
}

/// Sweeps what is gone, for as long as it is no burden. What fails or is left is for the next one.
pub fn sweep(db: &Db) {
    for _ in 0..STEPS {
        if !matches!(store::sweep(db), Ok(true)) {
            break;
        }
    }
}

impl Load<'_> {
    /// Adds a row.
    pub fn row<'f>(&mut self, fields: impl Iterator<Item = &'f str> + Clone) -> Result<(), Error> {
        self.count(fields.clone());
        self.batch.push(fields);
        if self.batch.is_full() { self.send() } else { Ok(()) }
    }

    fn count<'f>(&mut self, fields: impl Iterator<Item = &'f str>) {
        self.line.clear();
        csv::write(fields, &mut self.line);
        self.bytes += self.line.len();
    }

    fn send(&mut self) -> Result<(), Error> {
        let rows = self.batch.len() as i64;
        if !store::add(self.db, self.dataset, self.rows, &mut self.batch)? {
            return Err(Error::GivenUp);
        }
        self.rows += rows;
        Ok(())
    }

    fn finish(&mut self) -> Result<Dataset, Error> {
        if self.batch.len() > 0 {
            self.send()?;
        }
        let bytes = self.bytes as i64;
        store::finish(self.db, self.dataset, self.rows, bytes)?.ok_or(Error::GivenUp)
    }
}
