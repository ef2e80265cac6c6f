//! The users' table, `katas.person`.

use json::{FromObject, Object};
use pg::{Db, Page, Parameter, Sql, int8, set, text};
use serde::Serialize;
use web::Preconditions;

use crate::domain::{Email, Username};

/// A user as they are stored.
#[derive(Serialize)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub email: String,
    #[serde(skip_serializing)]
    pub etag: String,
}

impl FromObject for User {
    fn from_object(row: &mut Object) -> Option<User> {
        Some(User {
            id: row.required("id")?,
            username: row.required("username")?,
            email: row.required("email")?,
            etag: row.required("etag")?,
        })
    }
}

/// The columns of [`User`]. An id is never given twice and `version` only grows, so no two states of
/// a user ever share a tag.
macro_rules! user {
    () => {
        " id, username, email, version::text AS etag "
    };
}

/// Adds a user.
pub fn add(db: &Db, username: &Username, email: &Email) -> Result<User, pg::Error> {
    const SQL: &str =
        concat!("INSERT INTO katas.person (username, email) VALUES ($1, $2) RETURNING", user!());
    db.one(SQL, &[text(username.as_str()), text(email.as_str())])?
        .ok_or_else(|| pg::Error::Other("an INSERT returned no row".to_owned()))
}

/// The user with this id, `None` when there is none.
pub fn find(db: &Db, id: i64) -> Result<Option<User>, pg::Error> {
    const SQL: &str = concat!("SELECT", user!(), "FROM katas.person WHERE id = $1");
    db.one(SQL, &[int8(id)])
}

/// What became of a change to one user.
pub enum Change {
    /// It was made, to this state or, when they are removed, from it.
    Made(User),
    /// There is no such user.
    Missing,
    /// The preconditions do not hold.
    Refused,
}

impl FromObject for Change {
    // Without a change the columns of the user are NULL.
    const IGNORES_OTHERS: bool = true;

    fn from_object(row: &mut Object) -> Option<Change> {
        match row.required("made")? {
            true => User::from_object(row).map(Change::Made),
            false => Some(Change::Refused),
        }
    }
}

/// Which row to change: the user's, if the preconditions hold.
macro_rules! allowed {
    () => {
        " id = $1 AND NOT coalesce(version::text = ANY ($2), true) \
          AND coalesce(version::text = ANY ($3), true) "
    };
}

/// What [`change`] selects beside `changed`, the CTE that writes. It sees the table as it was before.
const CHANGE: &str = "SELECT changed.*, changed.id IS NOT NULL AS made \
     FROM katas.person LEFT JOIN changed USING (id) WHERE id = $1";

/// Replaces the user, if the preconditions allow it. Of writers that read the same state and demand
/// it, one wins.
pub fn replace(
    db: &Db,
    id: i64,
    username: &Username,
    email: &Email,
    preconditions: &Preconditions,
) -> Result<Change, pg::Error> {
    const CHANGED: &str = concat!(
        "changed AS (UPDATE katas.person \
                     SET username = $4, email = $5, version = version + 1 WHERE",
        allowed!(),
        "RETURNING",
        user!(),
        ")"
    );
    let user = [text(username.as_str()), text(email.as_str())];
    change(db, Sql::with(CHANGED, CHANGE), id, preconditions, user)
}

/// Removes the user, if the preconditions allow it.
pub fn remove(db: &Db, id: i64, preconditions: &Preconditions) -> Result<Change, pg::Error> {
    const CHANGED: &str = concat!(
        "changed AS (DELETE FROM katas.person WHERE",
        allowed!(),
        "RETURNING",
        user!(),
        ")"
    );
    change(db, Sql::with(CHANGED, CHANGE), id, preconditions, [])
}

fn change(
    db: &Db,
    sql: Sql,
    id: i64,
    preconditions: &Preconditions,
    more: impl IntoIterator<Item = Parameter>,
) -> Result<Change, pg::Error> {
    let mut parameters = vec![int8(id), set(preconditions.unwanted()), set(preconditions.wanted())];
    parameters.extend(more);
    Ok(match db.one(sql, &parameters)? {
        // Without a demand nothing can refuse: somebody else removed them at the same time.
        Some(Change::Refused) if *preconditions == Preconditions::default() => Change::Missing,
        Some(change) => change,
        None => Change::Missing,
    })
}

/// `limit` users after the first `skip` in the order of their ids, as JSON that nobody needs to look
/// at here.
pub fn list(db: &Db, skip: i64, limit: i64) -> Result<String, pg::Error> {
    const SQL: &str = "SELECT id AS user_id, username, email FROM katas.person \
         ORDER BY id OFFSET $1::int8 LIMIT $2::int8";
    db.json(SQL, &[int8(skip), int8(limit)])
}

/// Up to `limit` users with ids after `after`.
pub fn page(db: &Db, after: Option<i64>, limit: i64) -> Result<Page<i64>, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT id, username, email FROM katas.person WHERE id > $1 \
             ORDER BY id LIMIT $2::int8 + 1 \
         ), page AS (SELECT * FROM found ORDER BY id LIMIT $2::int8) \
         SELECT coalesce(json_agg(page ORDER BY id), '[]') AS items, \
                CASE WHEN count(*) < (SELECT count(*) FROM found) THEN max(id) END AS last \
         FROM page";
    // Ids begin at 1.
    db.page(SQL, &[int8(after.unwrap_or(0)), int8(limit)])
}
