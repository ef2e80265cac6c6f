//! Applies a kata to consecutive chunks of a dataset, a few at a time, which bounds the memory and
//! the computation time between two statements.

use std::ops::Range;

use pg::Db;
use rfc4180::{Row, Rows};
use rules::{Amount, Prices};
use web::Problem;

use crate::domain::{Sums, Totals};
use crate::run::invalid;
use crate::store::datasets::{self, Chunks, Dataset};
use crate::task::{NthChar, Spending, Task};

/// Returns 422 unless the dataset has the columns of a task.
pub fn check_columns(dataset: &Dataset, task: &Task) -> Result<(), Problem> {
    match task {
        Task::NthChar(task) => index(dataset, "column", &task.column).map(|_| ()),
        Task::Spending(task) => indices(dataset, task).map(|_| ()),
    }
}

/// Takes the n-th character of the field in row n, counted from 0, of the chunks in a range. Returns
/// the characters up to the first field that is too short, and the number of rows read.
pub fn word_of(
    db: &Db,
    dataset: &Dataset,
    task: &NthChar,
    chunks: &Range<i64>,
) -> Result<(String, i64), Problem> {
    let column = index(dataset, "column", &task.column)?;
    let mut word = rules::NthChar::from_index(chunks.start as usize - 1);
    let rows = for_each(db, dataset, chunks, |row| Ok(word.push(field(row, column))))?;
    Ok((word.into_word(), rows))
}

/// Adds up the prices of the items in the chunks of a range, by group. Returns the sums and the number
/// of rows.
pub fn totals_of(
    db: &Db,
    dataset: &Dataset,
    task: &Spending,
    prices: &Prices,
    chunks: &Range<i64>,
) -> Result<(Totals, i64), Problem> {
    let (item, group) = indices(dataset, task)?;
    let mut sums = Sums::default();
    let rows = for_each(db, dataset, chunks, |row| {
        let group = group.map_or("", |group| field(row, group));
        // An item without a price adds 0.
        let price = prices.price(field(row, item)).unwrap_or(Amount::ZERO);
        sums.add(group, price).map_err(|error| invalid(task, error))?;
        Ok(true)
    })?;
    Ok((sums.into_totals(), rows))
}

/// Returns the indices of the columns with the items and, if there are groups, with their keys.
fn indices(dataset: &Dataset, task: &Spending) -> Result<(usize, Option<usize>), Problem> {
    let item = index(dataset, "item_column", &task.item_column)?;
    let group = task.group_by.as_ref().map(|column| index(dataset, "group_by", column));
    Ok((item, group.transpose()?))
}

/// Returns the index of a column, from 0. `field` is the request field that names the column.
fn index(dataset: &Dataset, field: &str, column: &str) -> Result<usize, Problem> {
    let found = dataset.columns.iter().position(|name| name == column);
    found.ok_or_else(|| Problem::invalid_field(field, "is not a column of the dataset"))
}

/// Returns a field of a row, which has one for each column.
fn field(row: Row<'_>, column: usize) -> &str {
    row.get(column).unwrap_or_default()
}

/// Calls `visit` with each row of the chunks in a range, until it returns `false`. Returns the number
/// of rows visited.
fn for_each(
    db: &Db,
    dataset: &Dataset,
    chunks: &Range<i64>,
    mut visit: impl FnMut(Row<'_>) -> Result<bool, Problem>,
) -> Result<i64, Problem> {
    let (mut remaining, mut visited) = (chunks.clone(), 0);
    while !remaining.is_empty() {
        let Chunks { next_row, csv } = datasets::chunks(db, dataset.number, &remaining)?;
        if csv.is_empty() {
            break;
        }
        let mut rows = Rows::new(&csv);
        while let Some(row) = rows.next() {
            visited += 1;
            if !visit(row)? {
                return Ok(visited);
            }
        }
        remaining.start = next_row;
    }
    Ok(visited)
}
