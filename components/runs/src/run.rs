//! Applies a kata to a dataset, a few chunks at a time, which bounds the memory and the computation
//! time between two statements.

use std::ops::Range;

use pg::Db;
use rfc4180::{Row, Rows};
use rules::{Amount, NthChar};
use serde::Serialize;
use serde_json::value::to_raw_value;
use web::Problem;

use crate::domain::{Spending, Task, Totals};
use crate::store::{self, Chunks, Dataset, Outcome};

pub fn run(db: &Db, dataset: &Dataset, task: &Task) -> Result<Outcome, Problem> {
    match task {
        Task::NthChar { column } => nth_char(db, dataset, column),
        Task::Spending(spending) => self::spending(db, dataset, spending),
    }
}

fn nth_char(db: &Db, dataset: &Dataset, column: &str) -> Result<Outcome, Problem> {
    #[derive(Serialize)]
    struct Parameters<'a> {
        column: &'a str,
    }

    #[derive(Serialize)]
    struct Word {
        word: String,
    }

    let index = index(dataset, "column", column)?;
    let (word, rows) = word_of(db, dataset, &dataset.chunks(), index)?;
    outcome("nth-char", Parameters { column }, Word { word }, rows)
}

/// Takes the n-th character of the field in row n, counted from 0, of the chunks in a range. Returns
/// the characters up to the first field that is too short, and the number of rows read.
fn word_of(
    db: &Db,
    dataset: &Dataset,
    chunks: &Range<i64>,
    column: usize,
) -> Result<(String, i64), Problem> {
    let mut word = NthChar::from_index(chunks.start as usize - 1);
    let rows = for_each(db, dataset, chunks, |row| Ok(word.push(field(row, column))))?;
    Ok((word.into_word(), rows))
}

fn spending(db: &Db, dataset: &Dataset, spending: &Spending) -> Result<Outcome, Problem> {
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

    let Spending { item_column, price_list, tax, group_by } = spending;
    let item = index(dataset, "item_column", item_column)?;
    let group = group_by.as_ref().map(|column| index(dataset, "group_by", column)).transpose()?;
    let prices = orders::stored_prices(db, price_list)?;
    let field = if group.is_some() { "group_by" } else { "item_column" };
    let invalid = |error| Problem::invalid_field(field, error);
    let mut totals = Totals::new(&prices);
    let rows = add_up(db, dataset, &dataset.chunks(), item, group, |group, item| {
        totals.add(group, item).map_err(invalid)
    })?;
    let mut totals = totals.with_tax(*tax).map_err(invalid)?;
    if group.is_some() {
        let groups = totals.into_iter().map(|(key, total)| Group { key, total }).collect();
        outcome("spending", spending, Groups { groups }, rows)
    } else {
        let total = totals.pop().map_or(Amount::ZERO, |(_, total)| total);
        outcome("spending", spending, Total { total }, rows)
    }
}

/// Adds the items in the chunks of a range to the totals of their groups. Returns the number of rows.
fn add_up(
    db: &Db,
    dataset: &Dataset,
    chunks: &Range<i64>,
    item: usize,
    group: Option<usize>,
    mut add: impl FnMut(&str, &str) -> Result<(), Problem>,
) -> Result<i64, Problem> {
    for_each(db, dataset, chunks, |row| {
        add(group.map_or("", |group| field(row, group)), field(row, item))?;
        Ok(true)
    })
}

/// Creates an outcome from values of any type.
fn outcome(
    kata: &'static str,
    parameters: impl Serialize,
    result: impl Serialize,
    rows: i64,
) -> Result<Outcome, Problem> {
    let parameters = to_raw_value(&parameters).map_err(Problem::internal)?;
    let result = to_raw_value(&result).map_err(Problem::internal)?;
    Ok(Outcome { kata, parameters, result, rows })
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
        let Chunks { next_row, csv } = store::chunks(db, dataset.number, &remaining)?;
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
