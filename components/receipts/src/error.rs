//! What can go wrong, and the one place where it becomes a status.

use json::Flaw;
use katas::Inexact;
use web::Problem;

use crate::domain;

/// Why a request was not carried out.
pub enum Error {
    /// There is no receipt with this id.
    Missing(String),
    /// The price list in the order is not there.
    UnknownPriceList,
    /// The key stands for another order already.
    KeyTaken,
    /// The header `Idempotency-Key` cannot be a key.
    NoKey(domain::Flaw),
    /// A sum would have to be rounded.
    Inexact(Inexact),
    /// The request itself is at fault.
    Request(Problem),
    /// The database did not do it.
    Database(pg::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Missing(id) => Problem::not_found(format!("Can't find receipt {id}")),
            Error::UnknownPriceList => {
                Problem::invalid(vec![Flaw::of("price_list", &"is not known")])
            }
            Error::KeyTaken => Problem::invalid(vec![Flaw {
                pointer: String::new(),
                detail: "is not what this Idempotency-Key was first used with".to_owned(),
            }]),
            Error::NoKey(flaw) => Problem::bad_request(format!("Idempotency-Key {flaw}")),
            Error::Inexact(flaw) => Problem::invalid(vec![Flaw {
                pointer: String::new(),
                detail: format!("has a sum that {flaw}"),
            }]),
            Error::Request(problem) => problem,
            Error::Database(error) => Problem::database(error.is_temporary(), &error),
        }
    }
}

impl From<Inexact> for Error {
    fn from(flaw: Inexact) -> Error {
        Error::Inexact(flaw)
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
