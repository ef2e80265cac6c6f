//! What can go wrong, and the one place where it becomes a status.

use json::Flaw;
use web::Problem;

use crate::domain;

/// Why a request was not carried out.
pub enum Error {
    /// There is no such dataset.
    NoDataset(String),
    /// The dataset has no such run.
    NoRun(String),
    /// What this field names is not a column of the dataset.
    NoColumn(&'static str),
    /// There is no such price list.
    NoPriceList,
    /// What this field asks for leads to no result.
    NoResult(&'static str, domain::Flaw),
    /// The request itself is at fault.
    Request(Problem),
    /// The database did not do it.
    Database(pg::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let invalid = |field, detail| Problem::invalid(vec![Flaw::of(field, detail)]);
        match error {
            Error::NoDataset(id) => Problem::not_found(format!("Can't find dataset {id}")),
            Error::NoRun(id) => Problem::not_found(format!("Can't find run {id}")),
            Error::NoColumn(field) => invalid(field, &"is not a column of the dataset"),
            Error::NoPriceList => invalid("price_list", &"is not known"),
            Error::NoResult(field, flaw) => invalid(field, &flaw),
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
