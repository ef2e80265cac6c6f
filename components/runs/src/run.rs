//! Applies a kata to a dataset, one chunk of rows at a time, which bounds the memory and the
//! computation time between two statements.

use pg::Db;
use rules::{Amount, NthChar};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use web::Problem;

use crate::domain::{Spending, Task, Totals};
use crate::store::{self, Dataset};

/// The result of a run that has not been stored yet.
pub struct Outcome {
    pub kata: &'static str,
    /// The parameters of the kata as a JSON object.
    pub parameters: Box<RawValue>,
    /// The result as a JSON object.
    pub result: Box<RawValue>,
    /// The number of rows read.
    pub rows: i64,
}

impl Outcome {
    fn new(
        kata: &'static str,
        parameters: impl Serialize,
        result: impl Serialize,
        rows: i64,
    ) -> Result<Outcome, Problem> {
        let parameters = to_raw_value(&parameters).map_err(Problem::internal)?;
        let result = to_raw_value(&result).map_err(Problem::internal)?;
        Ok(Outcome { kata, parameters, result, rows })
    }
}

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
    let mut word = NthChar::default();
    let rows = for_each(db, dataset, index, None, |next, _| Ok(word.push(next)))?;
    Outcome::new("nth-char", Parameters { column }, Word { word: word.into_word() }, rows)
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
    let rows = for_each(db, dataset, item, group, |item, group| {
        totals.add(group, item).map_err(invalid)?;
        Ok(true)
    })?;
    let mut totals = totals.with_tax(*tax).map_err(invalid)?;
    if group.is_some() {
        let groups = totals.into_iter().map(|(key, total)| Group { key, total }).collect();
        Outcome::new("spending", spending, Groups { groups }, rows)
    } else {
        let total = totals.pop().map_or(Amount::ZERO, |(_, total)| total);
        Outcome::new("spending", spending, Total { total }, rows)
    }
}

/// Returns the index of a column, from 1. `field` is the request field that names the column.
fn index(dataset: &Dataset, field: &str, column: &str) -> Result<i64, Problem> {
    let mut columns = dataset.columns.iter().zip(1..);
    let found = columns.find(|(name, _)| *name == column);
    found
        .map(|(_, index)| index)
        .ok_or_else(|| Problem::invalid_field(field, "is not a column of the dataset"))
}

/// Calls `visit` with the fields of one or two columns of each row, until it returns `false`. The
/// second field is empty without a second column. Returns the number of rows visited.
fn for_each(
    db: &Db,
    dataset: &Dataset,
    first: i64,
    second: Option<i64>,
    mut visit: impl FnMut(&str, &str) -> Result<bool, Problem>,
) -> Result<i64, Problem> {
    let mut rows = 0;
    loop {
        let chunk = store::chunk(db, dataset, rows, first, second)?;
        if chunk.first.is_empty() {
            return Ok(rows);
        }
        let seconds = chunk.second.iter().map(String::as_str).chain(std::iter::repeat(""));
        for (first, second) in chunk.first.iter().zip(seconds) {
            rows += 1;
            if !visit(first, second)? {
                return Ok(rows);
            }
        }
    }
}
