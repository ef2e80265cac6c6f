//! The handler.

use std::convert::Infallible;

use json::{Fields, FromFields};
use serde::Serialize;
use web::{Problem, Reply, Request};

const MAX_WORDS: usize = 10_000;

struct Words(Vec<String>);

impl FromFields for Words {
    // The FastAPI predecessor ignored unknown fields.
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<Words> {
        fields.list("words", MAX_WORDS, Ok::<String, Infallible>).map(Words)
    }
}

#[derive(Serialize)]
struct Word {
    word: String,
}

/// Returns the word made of the n-th character of the n-th word.
pub fn nth_char(request: &Request, _: &()) -> Result<Reply, Problem> {
    let Words(words) = request.json()?;
    Ok(Reply::ok(&Word { word: rules::nth_char(words.iter().map(String::as_str)) }))
}
