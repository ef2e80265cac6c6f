//! Version 1, compatible with the two former users services.

use pg::Db;
use serde::Serialize;
use web::{Problem, Reply, Request};

use super::{NewUser, id, not_found};
use crate::store;

/// A user. The clients of one former service read `user_id`, those of the other `id`.
#[derive(Serialize)]
struct User {
    user_id: i64,
    id: i64,
    username: String,
    email: String,
}

impl From<store::User> for User {
    fn from(user: store::User) -> User {
        let store::User { id, username, email, .. } = user;
        User { user_id: id, id, username, email }
    }
}

pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let NewUser::<true> { username, email } = request.json()?;
    let user = store::add(db, &username, &email)?;
    let location = format!("/api/v1/users/{}", user.id);
    Ok(Reply::created(&User::from(user)).header("location", location))
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let user = store::find(db, id(request, "user_id")?)?.ok_or_else(not_found)?;
    Ok(Reply::ok(&User::from(user)))
}

pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let skip = query.number("skip", 0, 0..=i64::MAX)?;
    Ok(Reply::json_text(store::list(db, skip, query.limit(100)?)?))
}
