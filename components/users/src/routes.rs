//! The handlers, one module per version of the API.

pub mod v1;
pub mod v2;

use json::{Fields, FromFields};
use web::{Problem, Request};

use crate::domain::{self, Email, Username};

/// The body that creates or replaces a user. Version 1 allows unknown fields.
struct NewUser<const ALLOW_UNKNOWN_FIELDS: bool> {
    username: Username,
    email: Email,
}

impl<const ALLOW_UNKNOWN_FIELDS: bool> FromFields for NewUser<ALLOW_UNKNOWN_FIELDS> {
    const ALLOW_UNKNOWN_FIELDS: bool = ALLOW_UNKNOWN_FIELDS;

    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let username = fields.parse("username", Username::new);
        let email = fields.parse("email", Email::new);
        Some(NewUser { username: username?, email: email? })
    }
}

/// Returns the id in the path segment `name`. Returns 422 when it is not an integer.
fn id(request: &Request, name: &str) -> Result<i64, Problem> {
    let id = domain::id(request.param(name));
    id.map_err(|error| Problem::invalid_field(name, error))?.ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::not_found("Unknown User ID")
}
