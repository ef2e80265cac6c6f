//! What can go wrong, and the one place where it becomes a status.

use json::Flaw;
use katas::Inexact;
use web::Problem;

use crate::domain;

/// Why a request was not carried out.
pub enum Error {
    /// There is no price list of this name.
    NoPriceList(String),
    /// The price list in an order is not there.
    UnknownPriceList,
    /// There is no receipt with this id.
    NoReceipt(String),
    /// The key stands for another order already.
    KeyTaken,
    /// What the path has in the place of a name cannot be one.
    NoName(domain::Flaw),
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
        let invalid = |name: &str, detail: &str| Problem::invalid(vec![Flaw::of(name, &detail)]);
        match error {
            Error::NoPriceList(name) => Problem::not_found(format!("Can't find price list {name}")),
            Error::UnknownPriceList => invalid("price_list", "is not known"),
            Error::NoReceipt(id) => Problem::not_found(format!("Can't find receipt {id}")),
            Error::KeyTaken => Problem::invalid(vec![Flaw {
                pointer: String::new(),
                detail: "is not the one that this Idempotency-Key was first used with".to_owned(),
            }]),
            Error::NoName(flaw) => Problem::invalid(vec![Flaw::of("name", &flaw)]),
            Error::NoKey(flaw) => Problem::bad_request(format!("Idempotency-Key {flaw}")),
            Error::Inexact(flaw) => Problem::invalid(vec![Flaw {
                pointer: String::new(),
                detail: format!("has a sum that {flaw}"),
            }]),
            Error::Request(problem) => problem,
            Error::Database(error) if error.is_temporary() => {
                Problem::unavailable("the database is not ready; try again", &error)
            }
            Error::Database(error) => Problem::internal(&error),
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
