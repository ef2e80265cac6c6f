//! Version 2: a resource with a version of its own, and lists that do not drift.

use json::{FromObject, Object};
use pg::Db;
use web::{Cursor, Reply, Request};

use super::existing_word;
use crate::domain::{Definition, Word};
use crate::error::Error;
use crate::store::{self, Put, Removed};

struct NewDefinition {
    definition: Definition,
}

impl FromObject for NewDefinition {
    fn from_object(object: &mut Object) -> Option<NewDefinition> {
        Some(NewDefinition { definition: object.text("definition", Definition::new)? })
    }
}

/// The entry for exactly this word, unless the client has it already.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    let word = existing_word(request)?;
    match store::find(db, &word)? {
        Some(entry) => Ok(Reply::ok(&entry).conditional(request, &entry.etag)?),
        None => Err(Error::missing(word)),
    }
}

/// Creates the entry, or replaces the one that the client has read.
pub fn put(request: &Request, db: &Db) -> Result<Reply, Error> {
    let word = Word::new(request.param("word")).map_err(Error::NoWord)?;
    let preconditions = request.preconditions()?;
    let NewDefinition { definition } = request.json()?;
    match store::put(db, &word, &definition, &preconditions)? {
        Put::Created(entry) => Ok(Reply::created(&entry).tagged(&entry.etag)),
        Put::Replaced(entry) => Ok(Reply::ok(&entry).tagged(&entry.etag)),
        Put::Refused => Err(Error::Precondition(word)),
    }
}

/// Removes the entry for exactly this word.
pub fn remove(request: &Request, db: &Db) -> Result<Reply, Error> {
    let word = existing_word(request)?;
    match store::remove_if(db, &word, &request.preconditions()?)? {
        Removed::Gone => Ok(Reply::no_content()),
        Removed::Missing => Err(Error::missing(word)),
        Removed::Refused => Err(Error::Precondition(word)),
    }
}

/// Entries by word, a page at a time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let after = query.cursor()?;
    let prefix = query.text("prefix").unwrap_or_default();
    let page = store::page(db, prefix, after.as_ref().map(|Cursor(word)| word.as_str()), limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(Cursor)))
}
