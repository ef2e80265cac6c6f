//! Between HTTP and the kata.

use json::{FromObject, Object};
use serde::Serialize;
use web::{Problem, Reply, Request};

/// The most words in a request.
const MOST_WORDS: usize = 10_000;

struct Words(Vec<String>);

impl FromObject for Words {
    // As the first one did.
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<Words> {
        object.list("words", MOST_WORDS, json::string).map(Words)
    }
}

#[derive(Serialize)]
struct Answer {
    word: String,
}

/// The word made of the n-th character of the n-th word.
pub fn nth_char(request: &Request, _: &()) -> Result<Reply, Problem> {
    let Words(words) = request.json()?;
    Ok(Reply::ok(&Answer { word: katas::nth_char(words.iter().map(String::as_str)) }))
}
