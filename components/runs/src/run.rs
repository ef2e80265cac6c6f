//! Applies a kata to a dataset, as a whole or in parts whose results are merged.

use std::ops::Range;

use pg::Db;
use rules::{Amount, Prices};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use web::Problem;

use crate::domain::{Totals, TotalsError};
use crate::rows::{check_columns, totals_of, word_of};
use crate::store::datasets::Dataset;
use crate::store::parts::{self, Sums};
use crate::task::{Spending, Task};

/// The result of a run.
pub struct Outcome {
    /// The result as a JSON object.
    pub result: Box<RawValue>,
    /// The number of rows read.
    pub rows: i64,
}

/// Applies a kata to a dataset at the current prices.
pub fn run(db: &Db, dataset: &Dataset, task: &Task) -> Result<Outcome, Problem> {
    check_columns(dataset, task)?;
    let chunks = dataset.chunks();
    match task {
        Task::NthChar(task) => {
            let (word, rows) = word_of(db, dataset, task, &chunks)?;
            word_outcome(word, rows)
        }
        Task::Spending(task) => {
            let prices = orders::stored_prices(db, &task.price_list)?;
            let (totals, rows) = totals_of(db, dataset, task, &prices, &chunks)?;
            totals_outcome(task, totals, rows)
        }
    }
}

/// Applies a kata to the chunks of a part. Returns the result as text, and the number of rows read.
pub fn part(
    db: &Db,
    dataset: &Dataset,
    task: &Task,
    prices: &Prices,
    chunks: &Range<i64>,
) -> Result<(String, i64), Problem> {
    match task {
        Task::NthChar(task) => word_of(db, dataset, task, chunks),
        Task::Spending(task) => {
            let (totals, rows) = totals_of(db, dataset, task, prices, chunks)?;
            Ok((totals.to_csv(), rows))
        }
    }
}

/// Merges the results of all parts of a run.
pub fn merge(db: &Db, run: i64, task: &Task) -> Result<Outcome, Problem> {
    match task {
        Task::NthChar(_) => {
            let (word, rows) = parts::word(db, run)?;
            word_outcome(word, rows)
        }
        Task::Spending(task) => {
            let (mut totals, mut rows, mut last) = (Totals::default(), 0, 0);
            // A few parts at a time, which bounds the memory and the computation time between two
            // statements.
            while let Some(sums) = parts::sums(db, run, last)? {
                let Sums { parts, rows: read, last: part } = sums;
                for csv in parts {
                    totals.add_csv(&csv).map_err(|error| invalid(task, error))?;
                }
                (rows, last) = (rows + read, part);
            }
            totals_outcome(task, totals, rows)
        }
    }
}

fn word_outcome(word: String, rows: i64) -> Result<Outcome, Problem> {
    #[derive(Serialize)]
    struct Word {
        word: String,
    }

    outcome(Word { word }, rows)
}

fn totals_outcome(task: &Spending, totals: Totals, rows: i64) -> Result<Outcome, Problem> {
    #[derive(Serialize)]
    struct Total {
        total: Amount,
    }

    #[derive(Serialize)]
    struct Group {
        key: String,
        total: Amount,
    }

    #[derive(Serialize)]
    struct Groups {
        groups: Vec<Group>,
    }

    let mut totals = totals.with_tax(task.tax).map_err(|error| invalid(task, error))?;
    if task.group_by.is_some() {
        let groups = totals.into_iter().map(|(key, total)| Group { key, total }).collect();
        outcome(Groups { groups }, rows)
    } else {
        let total = totals.pop().map_or(Amount::ZERO, |(_, total)| total);
        outcome(Total { total }, rows)
    }
}

/// Creates an outcome from a value of any type.
fn outcome(result: impl Serialize, rows: i64) -> Result<Outcome, Problem> {
    Ok(Outcome { result: to_raw_value(&result).map_err(Problem::internal)?, rows })
}

/// Returns 422 for totals that cannot be calculated.
pub fn invalid(task: &Spending, error: TotalsError) -> Problem {
    let field = if task.group_by.is_some() { "group_by" } else { "item_column" };
    Problem::invalid_field(field, error)
}
