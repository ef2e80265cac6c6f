//! The optional bearer token (RFC 6750) without which nothing can be changed.

use subtle::ConstantTimeEq;

use crate::{Problem, Request};

/// The variable with the token. Where it is empty anybody may change things.
#[cfg(target_arch = "wasm32")]
const VARIABLE: &str = "api_token";

/// Nothing, if the request may change something; else 401.
pub(crate) fn require(request: &Request) -> Result<(), Problem> {
    match token() {
        Some(token) => permit(&token, request.header("authorization").as_deref()),
        None => Err(Problem::internal(&"the component is not given the variable api_token")),
    }
}

#[cfg(target_arch = "wasm32")]
fn token() -> Option<String> {
    crate::wasi::variable(VARIABLE)
}

/// Where there is no host there is no token either.
#[cfg(not(target_arch = "wasm32"))]
fn token() -> Option<String> {
    Some(String::new())
}

fn permit(token: &str, authorization: Option<&str>) -> Result<(), Problem> {
    if token.is_empty() {
        return Ok(());
    }
    let Some((scheme, given)) = authorization.and_then(|value| value.trim_ascii().split_once(' '))
    else {
        return Err(Problem::unauthorized("this needs Authorization: Bearer <token>"));
    };
    // How long it takes to compare tells nothing of how much of it was right.
    let equal: bool = given.trim_ascii_start().as_bytes().ct_eq(token.as_bytes()).into();
    match scheme.eq_ignore_ascii_case("bearer") && equal {
        true => Ok(()),
        false => Err(Problem::unauthorized("this is not the token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_permits() {
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
            assert_eq!(permit("secret", authorization).is_ok(), permitted, "{authorization:?}");
        }
    }

    #[test]
    fn without_a_token_everything_is_permitted() {
        for authorization in [None, Some("Bearer whatever"), Some("")] {
            permit("", authorization).expect("it is open");
        }
    }
}
