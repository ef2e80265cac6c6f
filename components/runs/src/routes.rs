//! The handlers.

use json::{Fields, FromFields};
use pg::Db;
use rules::PriceListName;
use web::{Problem, Reply, Request};

use crate::domain::{Spending, Task};
use crate::run::run;
use crate::store;

impl FromFields for Task {
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<Task> {
        match fields.required::<String>("kata")?.as_str() {
            "nth-char" => fields.required("column").map(|column| Task::NthChar { column }),
            "spending" => {
                let item_column = fields.required("item_column");
                let price_list = fields.parse("price_list", PriceListName::new);
                let tax = fields.parse("tax", orders::amount);
                let group_by = fields.optional("group_by");
                Some(Task::Spending(Spending {
                    item_column: item_column?,
                    price_list: price_list?,
                    tax: tax?,
                    group_by: group_by?,
                }))
            }
            _ => {
                fields.error(&["kata"], "must be nth-char or spending");
                None
            }
        }
    }
}

fn dataset_not_found(request: &Request) -> Problem {
    Problem::not_found(format!("dataset {} not found", request.param("id")))
}

/// Applies a kata to a dataset and stores the result.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = request.param("id");
    let task = request.json()?;
    let dataset = store::dataset(db, id)?.ok_or_else(|| dataset_not_found(request))?;
    let outcome = run(db, &dataset, &task)?;
    // A dataset that was deleted during the run may have lost rows, so the result would be wrong.
    let run = store::add(db, &dataset, outcome)?.ok_or_else(|| dataset_not_found(request))?;
    let location = format!("/api/v1/datasets/{id}/runs/{}", run.id);
    Ok(Reply::created(&run).header("location", location))
}

/// Lists runs in the order in which they were stored, without their results.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let page = store::page(db, request.param("id"), query.after()?, query.limit(50)?)?;
    let page = page.ok_or_else(|| dataset_not_found(request))?;
    Ok(Reply::page(request, &page.items, page.last))
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let run = request.param("run");
    match store::find(db, request.param("id"), run)? {
        Some(run) => Ok(Reply::ok(&run)),
        None => Err(Problem::not_found(format!("run {run} not found"))),
    }
}
