//! Version 1, as the first dictionary had it.

use http::StatusCode;
use json::{FromObject, Object};
use pg::Db;
use serde::Serialize;
use web::{Reply, Request};

use super::existing_word;
use crate::domain::{Definition, Word};
use crate::error::Error;
use crate::store;

struct NewEntry {
    word: Word,
    definition: Definition,
}

impl FromObject for NewEntry {
    // As the first dictionary did.
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<NewEntry> {
        let word = object.text("word", Word::new);
        let definition = object.text("definition", Definition::new);
        Some(NewEntry { word: word?, definition: definition? })
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    word: &'a str,
    definition: &'a str,
}

#[derive(Serialize)]
struct Deleted<'a> {
    word: &'a str,
    message: String,
}

/// Adds an entry for a word that has none.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Error> {
    let NewEntry { word, definition } = request.json()?;
    if !store::add(db, &word, &definition)? {
        return Err(Error::Taken(word));
    }
    Ok(Reply::created(&Entry { word: word.as_str(), definition: definition.as_str() }))
}

/// The entry for exactly this word.
pub fn look(request: &Request, db: &Db) -> Result<Reply, Error> {
    let word = existing_word(request)?;
    match store::find(db, &word)? {
        Some(found) => Ok(Reply::ok(&Entry { word: &found.word, definition: &found.definition })),
        None => Err(Error::missing(word)),
    }
}

/// Entries in the order in which they were added.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let skip = query.number("skip", 0, 0..=i64::MAX)?;
    let limit = query.number("limit", 100, 1..=1000)?;
    Ok(Reply::json_text(StatusCode::OK, store::added(db, skip, limit)?))
}

/// Removes the entry for exactly this word.
pub fn remove(request: &Request, db: &Db) -> Result<Reply, Error> {
    let word = existing_word(request)?;
    if !store::remove(db, &word)? {
        return Err(Error::missing(word));
    }
    let message = format!("Entry for '{}' deleted successfully", word.as_str());
    Ok(Reply::ok(&Deleted { word: word.as_str(), message }))
}
