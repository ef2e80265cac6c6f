//! Between HTTP and the runs.

use http::StatusCode;
use json::{FromObject, Object};
use katas::{Amount, Name};
use pg::Db;
use web::{Cursor, Reply, Request};

use crate::domain::Task;
use crate::error::Error;
use crate::run::run;
use crate::store;

impl FromObject for Task {
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<Task> {
        match object.required::<String>("kata")?.as_str() {
            "nth-char" => object.required("column").map(|column| Task::NthChar { column }),
            "spending" => {
                let item_column = object.required("item_column");
                let price_list = object.text("price_list", Name::new);
                let tax = object.number("tax", Amount::parse);
                let grouped = object.has("group_by");
                let group_by = if grouped { object.required("group_by") } else { Some(None) };
                Some(Task::Spending {
                    item_column: item_column?,
                    price_list: price_list?,
                    tax: tax?,
                    group_by: group_by?,
                })
            }
            _ => {
                object.flaw("kata", &"must be nth-char or spending");
                None
            }
        }
    }
}

fn no_dataset(request: &Request) -> Error {
    Error::NoDataset(request.param("id").to_owned())
}

/// Runs a kata over a dataset, and keeps what came of it.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Error> {
    let id = request.param("id");
    let task = request.json()?;
    let dataset = store::dataset(db, id)?.ok_or_else(|| no_dataset(request))?;
    let outcome = run(db, &dataset, &task)?;
    // A dataset that has been removed meanwhile has been swept perhaps: then this is no result.
    let stored = store::add(db, &dataset, &outcome)?.ok_or_else(|| no_dataset(request))?;
    let location = format!("/api/v1/datasets/{id}/runs/{}", stored.id);
    Ok(Reply::json_text(StatusCode::CREATED, stored.run).header("location", location))
}

/// Runs over a dataset in the order in which they were stored, without their results, a page at a
/// time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let after = query.cursor()?.map(|cursor| cursor.number()).transpose()?;
    let page = store::page(db, request.param("id"), after, limit)?;
    let page = page.ok_or_else(|| no_dataset(request))?;
    Ok(Reply::page(request, &page.items, page.last.map(|number| Cursor(number.to_string()))))
}

/// One run.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    let run = request.param("run");
    match store::find(db, request.param("id"), run)? {
        Some(run) => Ok(Reply::json_text(StatusCode::OK, run)),
        None => Err(Error::NoRun(run.to_owned())),
    }
}
