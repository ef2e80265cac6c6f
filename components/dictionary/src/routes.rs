//! Between HTTP and the dictionary, a module per version of the API.

pub mod v1;
pub mod v2;

use web::Request;

use crate::domain::Word;
use crate::error::Error;

/// The word in the path of a request that looks for an entry. What cannot be a word cannot have an
/// entry either.
fn existing_word(request: &Request) -> Result<Word, Error> {
    let text = request.param("word");
    Word::new(text).map_err(|_| Error::Missing(text.to_owned()))
}
