//! Version 1, compatible with the former users service.

use pg::Db;
use serde::Serialize;
use web::{Problem, Reply, Request};

use super::{id, not_found};
use crate::store;

#[derive(Serialize)]
struct User {
    user_id: i64,
    username: String,
    email: String,
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let user = store::find(db, id(request, "user_id")?)?.ok_or_else(not_found)?;
    let store::User { id, username, email, .. } = user;
    Ok(Reply::ok(&User { user_id: id, username, email }))
}

pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let skip = query.number("skip", 0, 0..=i64::MAX)?;
    Ok(Reply::json_text(store::list(db, skip, query.limit(100)?)?))
}
