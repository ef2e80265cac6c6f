//! What can go wrong, and the one place where it becomes a status.

use json::Flaw;
use web::Problem;

/// Why a request was not carried out.
pub enum Error {
    /// There is no price list of this name.
    Missing(String),
    /// What the path has in the place of a name cannot be one.
    NoName(katas::Flaw),
    /// The request itself is at fault.
    Request(Problem),
    /// The database did not do it.
    Database(pg::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Missing(name) => Problem::not_found(format!("Can't find price list {name}")),
            Error::NoName(flaw) => Problem::invalid(vec![Flaw::of("name", &flaw)]),
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
