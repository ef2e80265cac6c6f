//! The handlers.

pub mod parts;

use pg::Db;
use web::{Attempt, Problem, Reply, Request};

use crate::rows::check_columns;
use crate::run::run;
use crate::store::datasets::{self, Dataset};
use crate::store::{self, Stored};
use crate::task::Task;

/// The preference for an asynchronous run (RFC 7240, section 4.1).
const RESPOND_ASYNC: &str = "respond-async";

fn dataset_not_found(request: &Request) -> Problem {
    Problem::not_found(format!("dataset {} not found", request.param("id")))
}

fn run_not_found(request: &Request) -> Problem {
    Problem::not_found(format!("run {} not found", request.param("run")))
}

/// Applies a kata to a dataset and stores the result, or stores the run for later. Returns the
/// existing run with the same idempotency key, if any.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = request.param("id");
    let is_async = request.prefers(RESPOND_ASYNC);
    let (task, attempt) = request.json_and_attempt()?;
    let dataset = datasets::find(db, id)?.ok_or_else(|| dataset_not_found(request))?;
    let earlier = attempt.as_ref().map(|attempt| store::find_by_key(db, &dataset, attempt));
    let stored = match earlier.transpose()?.flatten() {
        Some(stored) => Some(stored),
        None if is_async => queue(db, &dataset, &task, attempt.as_ref())?,
        None => {
            let outcome = run(db, &dataset, &task)?;
            store::add(db, &dataset, &task, &outcome, attempt.as_ref())?
        }
    };
    // A dataset that was deleted during the run may have lost rows, so the result would be wrong.
    let Stored { run, same_body } = stored.ok_or_else(|| dataset_not_found(request))?;
    if !same_body {
        return Err(Problem::key_reused());
    }
    let location = format!("/api/v1/datasets/{id}/runs/{}", run.id);
    let reply = match is_async {
        true => Reply::accepted(&run).header("preference-applied", RESPOND_ASYNC),
        // A retry may find a run that was requested asynchronously.
        false if !run.is_finished() => Reply::accepted(&run),
        false => return Ok(Reply::created(&run).header("location", location)),
    };
    Ok(reply.header("location", location).header("retry-after", "1"))
}

/// Stores a run for later. Returns `None` when the dataset has been deleted.
fn queue(
    db: &Db,
    dataset: &Dataset,
    task: &Task,
    attempt: Option<&Attempt>,
) -> Result<Option<Stored>, Problem> {
    check_columns(dataset, task)?;
    let (stored, has_prices) = store::queue(db, dataset, task, attempt)?;
    if !has_prices {
        return Err(orders::unknown_price_list());
    }
    Ok(stored)
}

/// Lists runs in the order in which they were stored, without their results.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let page = store::page(db, request.param("id"), query.after()?, query.limit(50)?)?;
    let page = page.ok_or_else(|| dataset_not_found(request))?;
    Ok(Reply::page(request, &page.items, page.last))
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let run = store::find(db, request.param("id"), request.param("run"))?;
    let run = run.ok_or_else(|| run_not_found(request))?;
    let reply = Reply::ok(&run);
    Ok(if run.is_finished() { reply } else { reply.header("retry-after", "1") })
}

/// Deletes a run. An unfinished one is cancelled: messages of its parts have no effect.
pub fn delete(request: &Request, db: &Db) -> Result<Reply, Problem> {
    match store::delete(db, request.param("id"), request.param("run"))? {
        true => Ok(Reply::no_content()),
        false => Err(run_not_found(request)),
    }
}
