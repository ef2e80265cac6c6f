//! What can go wrong, and the one place where it becomes a status.

use web::Problem;

use crate::domain::Flaw;

/// Why a request was not carried out.
pub enum Error {
    /// Nobody has the id.
    Unknown,
    /// What the path has in the place of this id cannot be one.
    NoId(&'static str, Flaw),
    /// The user with this id is not as `If-Match` or `If-None-Match` demands.
    Precondition(i64),
    /// The request itself is at fault.
    Request(Problem),
    /// The database did not do it.
    Database(pg::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Unknown => Problem::not_found("Unknown User ID"),
            Error::NoId(name, flaw) => Problem::invalid(vec![json::Flaw::of(name, &flaw)]),
            Error::Precondition(id) => Problem::precondition_failed(format!(
                "User {id} is not as the precondition demands"
            )),
            Error::Request(problem) => problem,
            Error::Database(error) => Problem::database(error.is_temporary(), &error),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Request(problem)
    }
}

impl From<pg::Error> for Error {
    fn from(error: pg::Error) -> Error {
        Error::Database(error)
    }
}
