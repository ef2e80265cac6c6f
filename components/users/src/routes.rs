//! Between HTTP and the users, a module per version of the API.

pub mod v1;
pub mod v2;

use web::Request;

use crate::domain;
use crate::error::Error;

/// The id in the path of a request, where the route has `{name}`.
fn id(request: &Request, name: &'static str) -> Result<i64, Error> {
    let id = domain::id(request.param(name)).map_err(|flaw| Error::NoId(name, flaw))?;
    id.ok_or(Error::Unknown)
}
