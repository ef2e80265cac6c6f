//! The handlers, one module per version of the API.

pub mod v1;
pub mod v2;

use web::{Problem, Request};

use crate::domain::Word;

/// Returns the word in the path. Returns 404 when it is invalid, because no entry can have it.
fn word_in_path(request: &Request) -> Result<Word, Problem> {
    Word::new(request.param("word").to_owned()).map_err(|_| not_found(request))
}

fn not_found(request: &Request) -> Problem {
    Problem::not_found(format!("Can't find entry for {}", request.param("word")))
}
