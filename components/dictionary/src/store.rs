//! The table `katas.entry`.

use const_format::concatcp;
use pg::{Change, Db, Page, Row, Timestamp, int8, set, text};
use serde::Serialize;
use web::Preconditions;

use crate::domain::{Definition, Word};

/// A stored entry.
#[derive(Serialize)]
pub struct Entry {
    word: String,
    definition: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip)]
    id: i64,
    #[serde(skip)]
    version: i64,
}

/// The columns of [`Entry`] in the order in which [`Entry::from_row`] reads them.
const ENTRY: &str = "definition, id, version, \
                     created_at AT TIME ZONE 'UTC', updated_at AT TIME ZONE 'UTC'";

impl Entry {
    /// Reads an entry. Returns `None` when the row has none.
    fn from_row(word: &Word, mut row: Row) -> Result<Option<Entry>, pg::Error> {
        let Some(definition) = row.take(0)? else { return Ok(None) };
        Ok(Some(Entry {
            word: word.as_str().to_owned(),
            definition,
            id: row.take(1)?,
            version: row.take(2)?,
            created_at: row.take(3)?,
            updated_at: row.take(4)?,
        }))
    }

    /// Returns the entity tag. Ids are never reused and versions only increase, so no two states of
    /// a word share a tag, even after it is deleted and added again.
    pub fn etag(&self) -> String {
        format!("{}-{}", self.id, self.version)
    }
}

/// Adds an entry. Returns `false` when the word already has one.
pub fn add(db: &Db, word: &Word, definition: &Definition) -> Result<bool, pg::Error> {
    const SQL: &str = "INSERT INTO katas.entry (word, definition) VALUES ($1, $2) \
         ON CONFLICT ON CONSTRAINT entry_word_key DO NOTHING";
    Ok(db.execute(SQL, &[text(word.as_str()), text(definition.as_str())])? == 1)
}

/// Returns the definition of exactly this word.
pub fn definition(db: &Db, word: &Word) -> Result<Option<String>, pg::Error> {
    const SQL: &str = "SELECT definition FROM (SELECT) AS one LEFT JOIN katas.entry ON word = $1";
    db.row(SQL, &[text(word.as_str())])?.take(0)
}

/// Returns the entry for exactly this word.
pub fn find(db: &Db, word: &Word) -> Result<Option<Entry>, pg::Error> {
    const SQL: &str =
        concatcp!("SELECT ", ENTRY, " FROM (SELECT) AS one LEFT JOIN katas.entry ON word = $1");
    Entry::from_row(word, db.row(SQL, &[text(word.as_str())])?)
}

/// The result of [`put`].
pub enum Put {
    Created(Entry),
    Replaced(Entry),
    PreconditionFailed,
}

/// Creates or replaces an entry. Of concurrent requests with the same `If-Match`, one succeeds.
pub fn put(
    db: &Db,
    word: &Word,
    definition: &Definition,
    preconditions: &Preconditions,
) -> Result<Put, pg::Error> {
    const UPSERT: &str = concatcp!(
        "WITH changed AS ( \
             INSERT INTO katas.entry (word, definition) VALUES ($1, $2) \
             ON CONFLICT ON CONSTRAINT entry_word_key DO UPDATE \
             SET definition = excluded.definition, version = entry.version + 1, \
                 updated_at = greatest(entry.updated_at, now()) \
             WHERE NOT coalesce(entry.id || '-' || entry.version = ANY ($3), true) \
             RETURNING * \
         ) SELECT ",
        ENTRY,
        " FROM (SELECT) AS one LEFT JOIN changed ON true"
    );
    const UPDATE: &str = concatcp!(
        "WITH changed AS ( \
             UPDATE katas.entry \
             SET definition = $2, version = version + 1, updated_at = greatest(updated_at, now()) \
             WHERE word = $1 AND NOT coalesce(id || '-' || version = ANY ($3), true) \
               AND coalesce(id || '-' || version = ANY ($4), true) \
             RETURNING * \
         ) SELECT ",
        ENTRY,
        " FROM (SELECT) AS one LEFT JOIN changed ON true"
    );
    let mut parameters =
        vec![text(word.as_str()), text(definition.as_str()), set(preconditions.if_none_match())];
    let sql = match preconditions.if_match {
        // `If-Match` never creates an entry: without one, no tag can match.
        Some(_) => {
            parameters.push(set(preconditions.if_match()));
            UPDATE
        }
        None => UPSERT,
    };
    Ok(match Entry::from_row(word, db.row(sql, &parameters)?)? {
        Some(entry) if entry.version == 1 => Put::Created(entry),
        Some(entry) => Put::Replaced(entry),
        None => Put::PreconditionFailed,
    })
}

/// Deletes an entry. Returns `false` when the word has none.
pub fn delete(db: &Db, word: &Word) -> Result<bool, pg::Error> {
    const SQL: &str = "DELETE FROM katas.entry WHERE word = $1";
    Ok(db.execute(SQL, &[text(word.as_str())])? == 1)
}

/// Deletes an entry that matches the preconditions.
pub fn delete_if(
    db: &Db,
    word: &Word,
    preconditions: &Preconditions,
) -> Result<Change<()>, pg::Error> {
    // The second column reads the snapshot from before the DELETE.
    const SQL: &str = "WITH deleted AS ( \
             DELETE FROM katas.entry \
             WHERE word = $1 AND NOT coalesce(id || '-' || version = ANY ($2), true) \
               AND coalesce(id || '-' || version = ANY ($3), true) \
             RETURNING 1 \
         ) \
         SELECT EXISTS (SELECT FROM deleted), EXISTS (SELECT FROM katas.entry WHERE word = $1)";
    let (if_none_match, if_match) =
        (set(preconditions.if_none_match()), set(preconditions.if_match()));
    let mut row = db.row(SQL, &[text(word.as_str()), if_none_match, if_match])?;
    let deleted: bool = row.take(0)?;
    Ok(Change::new(deleted.then_some(()), row.take(1)?, preconditions))
}

/// Part of a list of entries.
pub struct Part {
    /// The entries, as a JSON array.
    pub items: String,
    /// The number of entries.
    pub count: i64,
    /// The id of the last entry, `None` at the end of the list.
    pub last: Option<i64>,
}

/// Returns the first part of the list of `limit` entries after the entry with the id `after` and
/// `skip` further entries, in the order in which they were added.
///
/// The list can have 40 MB. A part ends when its definitions reach 256 KiB, which bounds the memory
/// of an instance.
pub fn list(db: &Db, after: i64, skip: i64, limit: i64) -> Result<Part, pg::Error> {
    const SQL: &str = "WITH part AS ( \
             SELECT *, lead(id) OVER w IS NOT NULL AS more, \
                    sum(octet_length(definition)) OVER w - octet_length(definition) AS before \
             FROM ( \
                 SELECT id, word, definition FROM katas.entry WHERE id > $1 \
                 ORDER BY id OFFSET $2 LIMIT $3 \
             ) AS found WINDOW w AS (ORDER BY id) \
         ) \
         SELECT coalesce(json_agg((SELECT e FROM (SELECT word, definition) AS e) ORDER BY id), \
                    '[]')::text, \
                count(*), CASE WHEN bool_and(more) THEN max(id) END \
         FROM part WHERE before < 262144";
    let mut row = db.row(SQL, &[int8(after), int8(skip), int8(limit)])?;
    Ok(Part { items: row.take(0)?, count: row.take(1)?, last: row.take(2)? })
}

/// Returns up to `limit` entries whose words begin with `prefix`, after the word `after`.
///
/// A page ends early when its definitions reach 256 KiB, which bounds the computing time of the
/// guest: Spin does not preempt it.
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
                    (SELECT word, definition, created_at, updated_at) AS e) ORDER BY word), \
                    '[]')::text, \
                CASE WHEN bool_and(more) THEN max(word) END \
         FROM page WHERE place <= $3 AND before < 262144";
    // Words are not empty, so all of them sort after the empty string.
    db.page(SQL, &[text(after.unwrap_or_default()), text(prefix), int8(limit)])
}
