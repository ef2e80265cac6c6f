//! The handlers of messages, which the courier calls. Messages arrive in any order, several at the
//! same time, and more than once.

use http::StatusCode;
use json::{Fields, FromFields, Number};
use pg::Db;
use serde::Serialize;
use web::{Problem, Reply, Request};

use crate::run;
use crate::store::parts::{self as store, Part};

/// A message for a part of a run.
struct Message {
    run: String,
    /// The number of the part, from 1.
    part: i64,
}

impl FromFields for Message {
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<Message> {
        let uuid = |run: String| pg::uuid(&run).map(|_| run).ok_or("must be a UUID");
        let run = fields.parse("run", uuid);
        let part = fields.parse("part", part_number);
        Some(Message { run: run?, part: part? })
    }
}

/// Parses the number of a part. No run has more than a million.
fn part_number(Number(digits): Number) -> Result<i64, &'static str> {
    let number = digits.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or("must be an integer from 1 to 1000000")
}

#[derive(Serialize)]
struct Stored {
    /// Whether this request has stored the result of the part.
    stored: bool,
}

/// Calculates a part of a run and stores its result. The last part completes the run.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let message: Message = request.json()?;
    let Some(part) = store::begin(db, &message.run, message.part)? else {
        // The message is obsolete: the run is finished, or it has been deleted.
        return Ok(Reply::ok(&Stored { stored: false }));
    };
    if message.part > part.parts {
        let error = format_args!("must be at most {}", part.parts);
        return Err(Problem::invalid_field("part", error));
    }
    match process(db, message.part, &part) {
        Ok(true) => Ok(Reply::created(&Stored { stored: true })),
        Ok(false) => Ok(Reply::ok(&Stored { stored: false })),
        // The run itself is invalid, so a retry would fail too.
        Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            store::fail(db, &message.run, &problem)?;
            Ok(Reply::ok(&Stored { stored: false }))
        }
        Err(problem) => Err(problem),
    }
}

/// Calculates and stores a part unless it is stored already, and completes the run if no other part
/// is missing. Returns whether the part is new.
fn process(db: &Db, number: i64, part: &Part) -> Result<bool, Problem> {
    let (is_new, is_complete) = if part.is_stored {
        // The request that stored the last part may have ended before it completed the run.
        (false, part.is_complete)
    } else {
        let (result, rows) = run::part(db, &part.dataset, &part.task, &part.prices, &part.chunks)?;
        store::add(db, part.run, number, &result, rows)?
    };
    if is_complete {
        store::finish(db, part.run, &run::merge(db, part.run, &part.task)?)?;
    }
    Ok(is_new)
}

/// Marks a run as failed because one of its parts cannot be processed. Does nothing if the run is
/// finished, or if it has been deleted.
pub fn fail(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let Message { run, part } = request.json()?;
    let detail = format!("part {part} failed repeatedly; the cause has been logged");
    store::fail(db, &run, &Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))?;
    Ok(Reply::no_content())
}
