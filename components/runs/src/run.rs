//! A kata over a dataset, a stretch of rows at a time: its memory does not grow with the rows, and
//! neither does its time between two statements.

use katas::{Amount, Name, NthChar};
use pg::Db;
use serde::Serialize;

use crate::domain::{Task, Totals};
use crate::error::Error;
use crate::store::{self, Dataset};

/// What a run has come to.
pub struct Outcome {
    /// The name of the kata.
    pub kata: &'static str,
    /// What it was run with, as JSON.
    pub parameters: String,
    /// What came of it, as JSON.
    pub result: String,
    /// How many rows it took.
    pub rows: i64,
}

/// Runs a task.
pub fn run(db: &Db, dataset: &Dataset, task: &Task) -> Result<Outcome, Error> {
    match task {
        Task::NthChar { column } => nth_char(db, dataset, column),
        Task::Spending { item_column, price_list, tax, group_by } => {
            spending(db, dataset, item_column, price_list, *tax, group_by.as_deref())
        }
    }
}

fn nth_char(db: &Db, dataset: &Dataset, column: &str) -> Result<Outcome, Error> {
    let place = place(dataset, "column", column)?;
    let mut word = NthChar::default();
    let rows = each(db, dataset, place, None, &mut |next, _| Ok(word.push(next)))?;
    Ok(Outcome {
        kata: "nth-char",
        parameters: format!(r#"{{"column":{}}}"#, text(&column)),
        result: format!(r#"{{"word":{}}}"#, text(&word.into_word())),
        rows,
    })
}

fn spending(
    db: &Db,
    dataset: &Dataset,
    item_column: &str,
    price_list: &Name,
    tax: Amount,
    group_by: Option<&str>,
) -> Result<Outcome, Error> {
    let item = place(dataset, "item_column", item_column)?;
    let group = group_by.map(|column| place(dataset, "group_by", column)).transpose()?;
    let prices = store::prices(db, price_list)?.ok_or(Error::NoPriceList)?;
    let mut totals = Totals::new(&prices);
    let field = if group.is_some() { "group_by" } else { "item_column" };
    let flawed = |flaw| Error::NoResult(field, flaw);
    let rows = each(db, dataset, item, group, &mut |item, group| {
        totals.add(group, item).map_err(flawed)?;
        Ok(true)
    })?;
    let totals = totals.with_tax(tax).map_err(flawed)?;
    let mut parameters = format!(
        r#"{{"item_column":{},"price_list":{},"tax":{}"#,
        text(&item_column),
        text(&price_list.as_str()),
        tax.shortest()
    );
    if let Some(column) = group_by {
        parameters += &format!(r#","group_by":{}"#, text(&column));
    }
    let result = match group {
        Some(_) => groups(&totals),
        None => {
            let total = totals.first().map_or(Amount::ZERO, |(_, total)| *total);
            format!(r#"{{"total":{}}}"#, total.shortest())
        }
    };
    Ok(Outcome { kata: "spending", parameters: parameters + "}", result, rows })
}

/// Totals by group as JSON, numbers with all of their digits.
fn groups(totals: &[(String, Amount)]) -> String {
    let mut json = String::from(r#"{"groups":["#);
    for (index, (key, total)) in totals.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        json += &format!(r#"{comma}{{"key":{},"total":{}}}"#, text(key), total.shortest());
    }
    json + "]}"
}

/// Where a column stands, from 1. `field` is what names it in the request.
fn place(dataset: &Dataset, field: &'static str, column: &str) -> Result<i64, Error> {
    let mut columns = dataset.columns.iter().zip(1..);
    let found = columns.find(|(name, _)| *name == column);
    found.map(|(_, place)| place).ok_or(Error::NoColumn(field))
}

/// Gives each row's field in one column, and in another or nothing, to `take`, until it wants no more.
/// How many rows it took.
fn each(
    db: &Db,
    dataset: &Dataset,
    first: i64,
    second: Option<i64>,
    take: &mut dyn FnMut(&str, &str) -> Result<bool, Error>,
) -> Result<i64, Error> {
    let mut rows = 0;
    loop {
        let stretch = store::stretch(db, dataset, rows, first, second)?;
        if stretch.first.is_empty() {
            return Ok(rows);
        }
        // Without a second column all rows have the same nothing there.
        let seconds = stretch.second.iter().map(String::as_str).chain(std::iter::repeat(""));
        for (first, second) in stretch.first.iter().zip(seconds) {
            rows += 1;
            if !take(first, second)? {
                return Ok(rows);
            }
        }
    }
}

/// JSON of a string, which always serialises.
fn text(string: &impl Serialize) -> String {
    serde_json::to_string(string).unwrap_or_default()
}
