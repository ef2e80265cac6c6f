//! The table `katas.person`, which stores the users.

use const_format::concatcp;
use pg::{Change, Db, Page, Row, int8, nullable, set, text};
use serde::Serialize;
use web::Preconditions;

use crate::domain::{Email, Username};

/// A stored user.
#[derive(Serialize)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub email: String,
    #[serde(skip)]
    version: i64,
}

impl User {
    /// Reads the columns `username`, `email` and `version`. Returns `None` when the row has no user.
    fn from_row(id: i64, row: &mut Row) -> Result<Option<User>, pg::Error> {
        let Some(username) = row.take(0)? else { return Ok(None) };
        Ok(Some(User { id, username, email: row.take(1)?, version: row.take(2)? }))
    }

    /// Returns the entity tag. Ids are never reused and versions only increase, so no two states of
    /// an id share a tag.
    pub fn etag(&self) -> String {
        self.version.to_string()
    }
}

pub fn add(db: &Db, username: &Username, email: &Email) -> Result<User, pg::Error> {
    const SQL: &str =
        "INSERT INTO katas.person (username, email) VALUES ($1, $2) RETURNING id, version";
    let mut row = db.row(SQL, &[text(username.as_str()), text(email.as_str())])?;
    let (username, email) = (username.as_str().to_owned(), email.as_str().to_owned());
    Ok(User { id: row.take(0)?, username, email, version: row.take(1)? })
}

/// Returns the user with this id.
pub fn find(db: &Db, id: i64) -> Result<Option<User>, pg::Error> {
    const SQL: &str = "SELECT username, email, version \
         FROM (SELECT) AS one LEFT JOIN katas.person ON id = $1";
    User::from_row(id, &mut db.row(SQL, &[int8(id)])?)
}

/// The condition that the user exists and matches the preconditions.
const MATCHES: &str = "id = $1 AND NOT coalesce(version::text = ANY ($2), true) \
                       AND coalesce(version::text = ANY ($3), true)";

/// Changes a user that matches the preconditions. `None` leaves a column unchanged. Of concurrent
/// requests with the same `If-Match`, one succeeds.
pub fn change(
    db: &Db,
    id: i64,
    username: Option<&Username>,
    email: Option<&Email>,
    preconditions: &Preconditions,
) -> Result<Change<User>, pg::Error> {
    // The last column reads the snapshot from before the UPDATE.
    const SQL: &str = concatcp!(
        "WITH changed AS ( \
             UPDATE katas.person SET username = coalesce($4, username), email = coalesce($5, email), \
                version = version + 1 WHERE ",
        MATCHES,
        " RETURNING * \
         ) \
         SELECT username, email, version, EXISTS (SELECT FROM katas.person WHERE id = $1) \
         FROM (SELECT) AS one LEFT JOIN changed ON true"
    );
    let parameters = [
        int8(id),
        set(preconditions.if_none_match()),
        set(preconditions.if_match()),
        nullable(username, |username| text(username.as_str())),
        nullable(email, |email| text(email.as_str())),
    ];
    let mut row = db.row(SQL, &parameters)?;
    Ok(Change::new(User::from_row(id, &mut row)?, row.take(3)?, preconditions))
}

/// Deletes a user that matches the preconditions.
pub fn delete(db: &Db, id: i64, preconditions: &Preconditions) -> Result<Change<()>, pg::Error> {
    // The second column reads the snapshot from before the DELETE.
    const SQL: &str = concatcp!(
        "WITH deleted AS (DELETE FROM katas.person WHERE ",
        MATCHES,
        " RETURNING id) \
         SELECT EXISTS (SELECT FROM deleted), EXISTS (SELECT FROM katas.person WHERE id = $1)"
    );
    let (if_none_match, if_match) =
        (set(preconditions.if_none_match()), set(preconditions.if_match()));
    let mut row = db.row(SQL, &[int8(id), if_none_match, if_match])?;
    let deleted: bool = row.take(0)?;
    Ok(Change::new(deleted.then_some(()), row.take(1)?, preconditions))
}

/// Returns `limit` users after the first `skip` users, in the order of their ids, as a JSON array.
pub fn list(db: &Db, skip: i64, limit: i64) -> Result<String, pg::Error> {
    const SQL: &str = "SELECT coalesce(json_agg(person), '[]')::text FROM ( \
             SELECT id AS user_id, id, username, email FROM katas.person ORDER BY id OFFSET $1 LIMIT $2 \
         ) AS person";
    db.row(SQL, &[int8(skip), int8(limit)])?.take(0)
}

/// Returns up to `limit` users with ids greater than `after`.
pub fn page(db: &Db, after: Option<i64>, limit: i64) -> Result<Page<i64>, pg::Error> {
    const SQL: &str = pg::page!("id, username, email", "katas.person WHERE id > $2", "id");
    // Ids begin at 1.
    db.page(SQL, &[int8(limit), int8(after.unwrap_or(0))])
}
