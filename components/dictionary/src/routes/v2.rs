//! Version 2: entries with entity tags, and keyset pages.

use json::{Fields, FromFields};
use pg::{Change, Db};
use web::{Problem, Reply, Request};

use super::{not_found, word_in_path};
use crate::domain::{Definition, Word};
use crate::store::{self, Put};

struct NewDefinition {
    definition: Definition,
}

impl FromFields for NewDefinition {
    fn from_fields(fields: &mut Fields) -> Option<NewDefinition> {
        Some(NewDefinition { definition: fields.parse("definition", Definition::new)? })
    }
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let word = word_in_path(request)?;
    match store::find(db, &word)? {
        Some(entry) => Reply::ok(&entry).conditional(request, &entry.etag()),
        None => Err(not_found(request)),
    }
}

pub fn put(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let word = Word::new(request.param("word").to_owned())
        .map_err(|error| Problem::invalid_field("word", error))?;
    let preconditions = request.preconditions()?;
    let NewDefinition { definition } = request.json()?;
    match store::put(db, &word, &definition, &preconditions)? {
        Put::Created(entry) => Ok(Reply::created(&entry).with_etag(&entry.etag())),
        Put::Replaced(entry) => Ok(Reply::ok(&entry).with_etag(&entry.etag())),
        Put::PreconditionFailed => Err(precondition_failed(&word)),
    }
}

pub fn delete(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let word = word_in_path(request)?;
    match store::delete_if(db, &word, &request.preconditions()?)? {
        Change::Applied(()) => Ok(Reply::no_content()),
        Change::NotFound => Err(not_found(request)),
        Change::PreconditionFailed => Err(precondition_failed(&word)),
    }
}

fn precondition_failed(word: &Word) -> Problem {
    let detail = format!("entry for '{}' does not match the precondition", word.as_str());
    Problem::precondition_failed(detail)
}

pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let prefix = query.text("prefix").unwrap_or_default();
    let after: Option<String> = query.after()?;
    let page = store::page(db, prefix, after.as_deref(), query.limit(50)?)?;
    Ok(Reply::page(request, &page.items, page.last))
}
