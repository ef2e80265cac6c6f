//! The optional bearer token (RFC 6750) that protects every change.

use subtle::ConstantTimeEq;

use crate::{Problem, Request};

/// The variable with the token. When it is empty, changes need no token.
#[cfg(target_arch = "wasm32")]
const VARIABLE: &str = "api_token";

/// Checks that the request may change something; 401 otherwise.
pub(crate) fn require(request: &Request) -> Result<(), Problem> {
    match token() {
        Some(token) => check(&token, request.header("authorization").as_deref()),
        None => Err(Problem::internal("the component has no variable api_token")),
    }
}

#[cfg(target_arch = "wasm32")]
fn token() -> Option<String> {
    crate::wasi::variable(VARIABLE)
}

/// Natively there is no host, and so no token.
#[cfg(not(target_arch = "wasm32"))]
fn token() -> Option<String> {
    Some(String::new())
}

fn check(token: &str, authorization: Option<&str>) -> Result<(), Problem> {
    if token.is_empty() {
        return Ok(());
    }
    let Some((scheme, given)) = authorization.and_then(|value| value.trim_ascii().split_once(' '))
    else {
        return Err(Problem::unauthorized(
            "authorization required: send Authorization: Bearer <token>",
        ));
    };
    // In constant time: the duration must not reveal a correct prefix.
    let equal: bool = given.trim_ascii_start().as_bytes().ct_eq(token.as_bytes()).into();
    match scheme.eq_ignore_ascii_case("bearer") && equal {
        true => Ok(()),
        false => Err(Problem::unauthorized("the token is wrong")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_accepted() {
        for (authorization, permitted) in [
            (Some("Bearer secret"), true),
            (Some("bearer  secret "), true),
            (Some("Bearer Secret"), false),
            (Some("Bearer secrets"), false),
            (Some("Bearer "), false),
            (Some("Bearer"), false),
            (Some("Basic secret"), false),
            (Some("secret"), false),
            (None, false),
        ] {
            assert_eq!(check("secret", authorization).is_ok(), permitted, "{authorization:?}");
        }
    }

    #[test]
    fn empty_token_permits_everything() {
        for authorization in [None, Some("Bearer whatever"), Some("")] {
            check("", authorization).expect("it is open");
        }
    }
}
