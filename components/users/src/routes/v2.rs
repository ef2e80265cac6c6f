//! Version 2: users with entity tags, and keyset pages.

use json::{Fields, FromFields};
use pg::{Change, Db};
use web::{Problem, Reply, Request};

use super::{NewUser, id, not_found};
use crate::domain::{Email, Username};
use crate::store;

/// Changes to a user. `None` leaves a field unchanged.
struct UserPatch {
    username: Option<Username>,
    email: Option<Email>,
}

impl FromFields for UserPatch {
    fn from_fields(fields: &mut Fields) -> Option<UserPatch> {
        let username = fields.patch("username", Username::new);
        let email = fields.patch("email", Email::new);
        Some(UserPatch { username: username?, email: email? })
    }
}

pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let NewUser::<false> { username, email } = request.json()?;
    let user = store::add(db, &username, &email)?;
    let location = format!("/api/v2/users/{}", user.id);
    Ok(Reply::created(&user).with_etag(&user.etag()).header("location", location))
}

pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let user = store::find(db, id(request, "id")?)?.ok_or_else(not_found)?;
    Reply::ok(&user).conditional(request, &user.etag())
}

pub fn replace(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = id(request, "id")?;
    let preconditions = request.preconditions()?;
    let NewUser::<false> { username, email } = request.json()?;
    let user = store::change(db, id, Some(&username), Some(&email), &preconditions)?;
    let user = applied(user, id)?;
    Ok(Reply::ok(&user).with_etag(&user.etag()))
}

/// Changes the fields in the body, a JSON Merge Patch.
pub fn patch(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = id(request, "id")?;
    let preconditions = request.preconditions()?;
    let UserPatch { username, email } = request.merge_patch()?;
    let user = store::change(db, id, username.as_ref(), email.as_ref(), &preconditions)?;
    let user = applied(user, id)?;
    Ok(Reply::ok(&user).with_etag(&user.etag()))
}

pub fn delete(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = id(request, "id")?;
    applied(store::delete(db, id, &request.preconditions()?)?, id)?;
    Ok(Reply::no_content())
}

/// Returns the result of an applied change, otherwise 404 or 412.
fn applied<T>(change: Change<T>, id: i64) -> Result<T, Problem> {
    match change {
        Change::NotFound => Err(not_found()),
        change => change.applied(format_args!("user {id}")),
    }
}

pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let page = store::page(db, query.after()?, query.limit(50)?)?;
    Ok(Reply::page(request, &page.items, page.last))
}
