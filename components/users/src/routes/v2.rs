//! Version 2: users that come, change and go, and lists that do not drift.

use json::{FromObject, Object};
use pg::Db;
use web::{Cursor, Reply, Request};

use super::id;
use crate::domain::{Email, Username};
use crate::error::Error;
use crate::store::{self, Change};

struct NewUser {
    username: Username,
    email: Email,
}

impl FromObject for NewUser {
    fn from_object(object: &mut Object) -> Option<NewUser> {
        let username = object.text("username", Username::new);
        let email = object.text("email", Email::new);
        Some(NewUser { username: username?, email: email? })
    }
}

/// Adds a user, whose id is new.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Error> {
    let NewUser { username, email } = request.json()?;
    let user = store::add(db, &username, &email)?;
    let location = format!("/api/v2/users/{}", user.id);
    Ok(Reply::created(&user).tagged(&user.etag).header("location", location))
}

/// The user with this id, unless the client has them already.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    let user = store::find(db, id(request, "id")?)?.ok_or(Error::Unknown)?;
    Ok(Reply::ok(&user).conditional(request, &user.etag)?)
}

/// Replaces the name and the address of the user that the client has read.
pub fn replace(request: &Request, db: &Db) -> Result<Reply, Error> {
    let id = id(request, "id")?;
    let preconditions = request.preconditions()?;
    let NewUser { username, email } = request.json()?;
    match store::replace(db, id, &username, &email, &preconditions)? {
        Change::Made(user) => Ok(Reply::ok(&user).tagged(&user.etag)),
        Change::Missing => Err(Error::Unknown),
        Change::Refused => Err(Error::Precondition(id)),
    }
}

/// Removes the user with this id.
pub fn remove(request: &Request, db: &Db) -> Result<Reply, Error> {
    let id = id(request, "id")?;
    match store::remove(db, id, &request.preconditions()?)? {
        Change::Made(_) => Ok(Reply::no_content()),
        Change::Missing => Err(Error::Unknown),
        Change::Refused => Err(Error::Precondition(id)),
    }
}

/// Users in the order of their ids, a page at a time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let after = query.cursor()?.map(|cursor| cursor.number()).transpose()?;
    let page = store::page(db, after, limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(|id| Cursor(id.to_string()))))
}
