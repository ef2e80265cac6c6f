//! What can go wrong, and the one place where it becomes a status.

use katas::Flaw;
use web::Problem;

use crate::domain::Word;

/// Why a request was not carried out.
pub enum Error {
    /// There is an entry for the word already.
    Taken(Word),
    /// There is no entry for what was asked.
    Missing(String),
    /// The entry is not as `If-Match` or `If-None-Match` demands.
    Precondition(Word),
    /// What the path has in the place of a word cannot be one.
    NoWord(Flaw),
    /// The request itself is at fault.
    Request(Problem),
    /// The database did not do it.
    Database(pg::Error),
}

impl Error {
    /// There is no entry for `word`.
    pub fn missing(word: Word) -> Error {
        Error::Missing(word.as_str().to_owned())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Taken(word) => {
                Problem::bad_request(format!("Entry for '{}' already exists", word.as_str()))
            }
            Error::Missing(word) => Problem::not_found(format!("Can't find entry for {word}")),
            Error::Precondition(word) => Problem::precondition_failed(format!(
                "Entry for '{}' is not as the precondition demands",
                word.as_str()
            )),
            Error::NoWord(flaw) => Problem::invalid(vec![json::Flaw::of("word", &flaw)]),
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
