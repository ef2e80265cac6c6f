//! What can go wrong, and the one place where it becomes a status.

use http::StatusCode;
use web::Problem;

use crate::csv;

/// Why a request was not carried out.
pub enum Error {
    /// There is no such dataset.
    Missing(String),
    /// The query does not say how the dataset is to be called, or it cannot be called that.
    Name(katas::Flaw),
    /// The file is not CSV, or has no columns.
    Csv(csv::Flaw),
    /// The body is neither of what can be read.
    MediaType,
    /// The load took so long that it was given up.
    GivenUp,
    /// The request itself is at fault.
    Request(Problem),
    /// The database did not do it.
    Database(pg::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Missing(id) => Problem::not_found(format!("Can't find dataset {id}")),
            Error::Name(flaw) => Problem::bad_request(format!("name {flaw}")),
            Error::Csv(flaw) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, flaw.to_string()),
            Error::MediaType => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send Content-Type: text/csv or application/json, without Content-Encoding",
            ),
            Error::GivenUp => {
                Problem::unavailable("the load took too long; try again", &"the load was given up")
            }
            Error::Request(problem) => problem,
            Error::Database(error) => Problem::database(error.is_temporary(), &error),
        }
    }
}

impl From<csv::Flaw> for Error {
    fn from(flaw: csv::Flaw) -> Error {
        Error::Csv(flaw)
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
