//! Version 1, compatible with the FastAPI predecessor.

use json::{Fields, FromFields};
use pg::Db;
use serde::Serialize;
use web::{Problem, Reply, Request, Stream};

use super::{not_found, word_in_path};
use crate::domain::{Definition, Word};
use crate::store::{self, Part};

struct NewEntry {
    word: Word,
    definition: Definition,
}

impl FromFields for NewEntry {
    // The FastAPI predecessor ignored unknown fields.
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<NewEntry> {
        let word = fields.parse("word", Word::new);
        let definition = fields.parse("definition", Definition::new);
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

pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let NewEntry { word, definition } = request.json()?;
    if !store::add(db, &word, &definition)? {
        let detail = format!("Entry for '{}' already exists", word.as_str());
        return Err(Problem::bad_request(detail));
    }
    Ok(Reply::created(&Entry { word: word.as_str(), definition: definition.as_str() }))
}

pub fn look(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let word = word_in_path(request)?;
    match store::definition(db, &word)? {
        Some(definition) => Ok(Reply::ok(&Entry { word: word.as_str(), definition: &definition })),
        None => Err(not_found(request)),
    }
}

/// Lists entries in the order in which they were added.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let skip = query.number("skip", 0, 0..=i64::MAX)?;
    let limit = query.limit(100)?;
    let first = store::list(db, 0, skip, limit)?;
    match first.last {
        Some(_) => Ok(Reply::stream("application/json", None, array(*db, first, limit))),
        None => Ok(Reply::json_text(first.items)),
    }
}

/// Returns a JSON array of up to `limit` entries, part by part.
fn array(db: Db, first: Part, limit: i64) -> Stream {
    let (mut remaining, mut after) = (limit, first.last);
    let mut first = Some(first);
    Box::new(move || {
        let (start, part) = match (first.take(), after) {
            (Some(part), _) => (b'[', part),
            (None, Some(after)) => (b',', store::list(&db, after, 0, remaining)?),
            (None, None) => return Ok(None),
        };
        remaining -= part.count;
        after = part.last;
        // The remaining entries may have been deleted.
        if part.count == 0 {
            return Ok(Some(vec![b']']));
        }
        let mut json = part.items.into_bytes();
        json[0] = start;
        if after.is_some() {
            json.pop();
        }
        Ok(Some(json))
    })
}

pub fn delete(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let word = word_in_path(request)?;
    if !store::delete(db, &word)? {
        return Err(not_found(request));
    }
    let message = format!("Entry for '{}' deleted successfully", word.as_str());
    Ok(Reply::ok(&Deleted { word: word.as_str(), message }))
}
