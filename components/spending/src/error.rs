//! What can go wrong, and the one place where it becomes a status.

use json::Flaw;
use katas::Inexact;
use web::Problem;

/// Why a request was not carried out.
pub enum Error {
    /// The price list in the order is not there.
    UnknownPriceList,
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
            Error::UnknownPriceList => {
                Problem::invalid(vec![Flaw::of("price_list", &"is not known")])
            }
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
