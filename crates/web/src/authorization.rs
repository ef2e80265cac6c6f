//! Bearer authentication (RFC 6750) of requests that change data.

use subtle::ConstantTimeEq;

use crate::{Problem, Request};

/// The application variable with the expected token. An empty value disables authentication.
#[cfg(target_arch = "wasm32")]
const VARIABLE: &str = "api_token";

/// Returns 401 unless the request carries the configured token.
pub(crate) fn require(request: &Request) -> Result<(), Problem> {
    match expected_token() {
        Some(expected) => check(&expected, request.header("authorization").as_deref()),
        None => Err(Problem::internal(
            "variable api_token is not defined; add it to the component in spin.toml",
        )),
    }
}

#[cfg(target_arch = "wasm32")]
fn expected_token() -> Option<String> {
    crate::wasi::variable(VARIABLE)
}

/// Native tests have no host and run without authentication.
#[cfg(not(target_arch = "wasm32"))]
fn expected_token() -> Option<String> {
    Some(String::new())
}

fn check(expected: &str, authorization: Option<&str>) -> Result<(), Problem> {
    if expected.is_empty() {
        return Ok(());
    }
    let Some((scheme, token)) = authorization.and_then(|value| value.trim_ascii().split_once(' '))
    else {
        return Err(Problem::unauthorized(
            "authorization required; send Authorization: Bearer <token>",
        ));
    };
    // Compared in constant time: the duration must not reveal the length of a correct prefix.
    let equal: bool = token.trim_ascii_start().as_bytes().ct_eq(expected.as_bytes()).into();
    match scheme.eq_ignore_ascii_case("bearer") && equal {
        true => Ok(()),
        false => Err(Problem::unauthorized("invalid token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_without_the_exact_token_is_rejected() {
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
    fn empty_token_disables_authorization() {
        for authorization in [None, Some("Bearer whatever"), Some("")] {
            check("", authorization).expect("authorization is disabled");
        }
    }
}
