//! The handlers, one module per version of the API.

pub mod v1;
pub mod v2;

use web::{Problem, Request};

use crate::domain;

/// Returns the id in the path segment `name`. Returns 422 when it is not an integer.
fn id(request: &Request, name: &str) -> Result<i64, Problem> {
    let id = domain::id(request.param(name));
    id.map_err(|error| Problem::invalid_field(name, error))?.ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::not_found("Unknown User ID")
}
