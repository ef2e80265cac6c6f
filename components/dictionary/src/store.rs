//! The dictionary's table, `katas.entry`.

use json::{FromObject, Object};
use pg::{Db, Page, Sql, int8, set, text};
use serde::Serialize;
use web::Preconditions;

use crate::domain::{Definition, Word};

/// An entry as it is stored. The fields that are not serialised make up its entity tag.
#[derive(Serialize)]
pub struct Entry {
    pub word: String,
    pub definition: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
    #[serde(skip_serializing)]
    pub etag: String,
    #[serde(skip_serializing)]
    version: i64,
}

impl FromObject for Entry {
    fn from_object(row: &mut Object) -> Option<Entry> {
        Some(Entry {
            word: row.required("word")?,
            definition: row.required("definition")?,
            created_at: row.required("created_at")?,
            updated_at: row.required("updated_at")?,
            etag: row.required("etag")?,
            version: row.required("version")?,
        })
    }
}

/// The columns of [`Entry`]. `id` never comes back and `version` only grows, so no two states of a
/// word ever share a tag, not even when the word is removed and added again.
macro_rules! entry {
    () => {
        " word, definition, version, id || '-' || version AS etag, \
          katas.rfc3339(created_at) AS created_at, katas.rfc3339(updated_at) AS updated_at "
    };
}

/// Whether the entry was added; `false` when the word has one already.
pub fn add(db: &Db, word: &Word, definition: &Definition) -> Result<bool, pg::Error> {
    const SQL: &str = "INSERT INTO katas.entry (word, definition) VALUES ($1, $2) \
         ON CONFLICT ON CONSTRAINT entry_word_key DO NOTHING RETURNING 1";
    Ok(db.execute(SQL, &[text(word.as_str()), text(definition.as_str())])? == 1)
}

/// The entry for exactly this word, `None` when there is none.
pub fn find(db: &Db, word: &Word) -> Result<Option<Entry>, pg::Error> {
    const SQL: &str = concat!("SELECT", entry!(), "FROM katas.entry WHERE word = $1");
    db.one(SQL, &[text(word.as_str())])
}

/// What became of a [`put`].
pub enum Put {
    Created(Entry),
    Replaced(Entry),
    /// The preconditions do not hold.
    Refused,
}

/// Creates or replaces the entry, if the preconditions allow it. Of writers that read the same
/// state and demand it, one wins.
pub fn put(
    db: &Db,
    word: &Word,
    definition: &Definition,
    preconditions: &Preconditions,
) -> Result<Put, pg::Error> {
    const UPSERT: &str = concat!(
        "INSERT INTO katas.entry (word, definition) VALUES ($1, $2) \
         ON CONFLICT ON CONSTRAINT entry_word_key DO UPDATE \
         SET definition = excluded.definition, version = entry.version + 1, \
             updated_at = greatest(entry.updated_at, now()) \
         WHERE NOT coalesce(entry.id || '-' || entry.version = ANY ($3), true) \
         RETURNING",
        entry!()
    );
    const UPDATE: &str = concat!(
        "UPDATE katas.entry \
         SET definition = $2, version = version + 1, updated_at = greatest(updated_at, now()) \
         WHERE word = $1 AND NOT coalesce(id || '-' || version = ANY ($3), true) \
           AND coalesce(id || '-' || version = ANY ($4), true) \
         RETURNING",
        entry!()
    );
    let mut parameters =
        vec![text(word.as_str()), text(definition.as_str()), set(preconditions.unwanted())];
    let sql = match preconditions.if_match {
        // Nothing that was read can match a word that has no entry: replace, but do not create.
        Some(_) => {
            parameters.push(set(preconditions.wanted()));
            UPDATE
        }
        None => UPSERT,
    };
    Ok(match db.one::<Entry>(sql, &parameters)? {
        Some(entry) if entry.version == 1 => Put::Created(entry),
        Some(entry) => Put::Replaced(entry),
        None => Put::Refused,
    })
}

/// Whether there was an entry to remove.
pub fn remove(db: &Db, word: &Word) -> Result<bool, pg::Error> {
    const SQL: &str = "DELETE FROM katas.entry WHERE word = $1 RETURNING 1";
    Ok(db.execute(SQL, &[text(word.as_str())])? == 1)
}

/// What became of a [`remove_if`].
pub enum Removed {
    Gone,
    Missing,
    /// The preconditions do not hold.
    Refused,
}

/// Removes the entry, if the preconditions allow it.
pub fn remove_if(
    db: &Db,
    word: &Word,
    preconditions: &Preconditions,
) -> Result<Removed, pg::Error> {
    const SQL: Sql = Sql::with(
        "gone AS (DELETE FROM katas.entry \
                  WHERE word = $1 AND NOT coalesce(id || '-' || version = ANY ($2), true) \
                    AND coalesce(id || '-' || version = ANY ($3), true) \
                  RETURNING 1)",
        // This sees the table as it was before the DELETE.
        "SELECT EXISTS (SELECT FROM gone) AS gone, \
                EXISTS (SELECT FROM katas.entry WHERE word = $1) AS existed",
    );

    struct Outcome {
        gone: bool,
        existed: bool,
    }

    impl FromObject for Outcome {
        fn from_object(row: &mut Object) -> Option<Outcome> {
            Some(Outcome { gone: row.required("gone")?, existed: row.required("existed")? })
        }
    }

    let parameters =
        [text(word.as_str()), set(preconditions.unwanted()), set(preconditions.wanted())];
    let demanding = *preconditions != Preconditions::default();
    Ok(match db.one(SQL, &parameters)? {
        Some(Outcome { gone: true, .. }) => Removed::Gone,
        // Without a demand nothing can refuse: somebody else removed it at the same time.
        Some(Outcome { existed: true, .. }) if demanding => Removed::Refused,
        _ => Removed::Missing,
    })
}

/// `limit` entries after the first `skip` in the order in which they were added, as JSON: up to
/// 40 MB that nobody needs to look at here.
pub fn added(db: &Db, skip: i64, limit: i64) -> Result<String, pg::Error> {
    const SQL: &str =
        "SELECT word, definition FROM katas.entry ORDER BY id OFFSET $1::int8 LIMIT $2::int8";
    db.json(SQL, &[int8(skip), int8(limit)])
}

/// Up to `limit` entries whose words begin with `prefix`, after the word `after`.
///
/// A page ends early once its definitions reach 256 KiB: a guest cannot be interrupted, and its
/// time between two calls of the host is short. The next page goes on from there.
pub fn page(
    db: &Db,
    prefix: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Page<String>, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT word, definition, katas.rfc3339(created_at) AS created_at, \
                    katas.rfc3339(updated_at) AS updated_at \
             FROM katas.entry WHERE word > $1 AND starts_with(word, $2) \
             ORDER BY word LIMIT $3::int8 + 1 \
         ), page AS ( \
             SELECT *, row_number() OVER w AS place, lead(word) OVER w IS NOT NULL AS more, \
                    sum(octet_length(definition)) OVER w - octet_length(definition) AS before \
             FROM found WINDOW w AS (ORDER BY word) \
         ) \
         SELECT coalesce(json_agg((SELECT e FROM \
                    (SELECT word, definition, created_at, updated_at) e) ORDER BY word), '[]') \
                    AS items, \
                CASE WHEN bool_and(more) THEN max(word) END AS last \
         FROM page WHERE place <= $3::int8 AND before < 262144";
    // No word is empty: all of them come after the empty one.
    db.page(SQL, &[text(after.unwrap_or_default()), text(prefix), int8(limit)])
}
