//! Version 1, as the first service of users had it: to look at.

use http::StatusCode;
use pg::Db;
use serde::Serialize;
use web::{Reply, Request};

use super::id;
use crate::error::Error;
use crate::store;

#[derive(Serialize)]
struct User<'a> {
    user_id: i64,
    username: &'a str,
    email: &'a str,
}

/// The user with this id.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    let store::User { id, username, email, .. } =
        store::find(db, id(request, "user_id")?)?.ok_or(Error::Unknown)?;
    Ok(Reply::ok(&User { user_id: id, username: &username, email: &email }))
}

/// Users in the order of their ids.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let skip = query.number("skip", 0, 0..=i64::MAX)?;
    let limit = query.number("limit", 100, 1..=1000)?;
    Ok(Reply::json_text(StatusCode::OK, store::list(db, skip, limit)?))
}
