//! Bearer authentication (RFC 6750) of requests that change data.

use subtle::ConstantTimeEq;

use crate::{Problem, Request};

/// The application variable with the expected token. An empty value disables authentication.
const TOKEN: &str = "api_token";

/// The application variable that requires the token for reading personal data as well: `true` or
/// `false`.
const PRIVATE_READS: &str = "private_reads";

/// Returns 401 unless the request carries the configured token.
pub(crate) fn require(request: &Request) -> Result<(), Problem> {
    check(&variable(TOKEN)?, request)
}

/// Returns 401 unless the request may read personal data.
pub(crate) fn require_private(request: &Request) -> Result<(), Problem> {
    match variable(PRIVATE_READS)?.as_str() {
        "false" => Ok(()),
        "true" => match variable(TOKEN)? {
            token if token.is_empty() => Err(Problem::internal(
                "variable private_reads is true, but api_token is empty; set api_token",
            )),
            token => check(&token, request),
        },
        _ => Err(Problem::internal("variable private_reads must be true or false")),
    }
}

#[cfg(target_arch = "wasm32")]
fn variable(name: &str) -> Result<String, Problem> {
    crate::bindings::fermyon::spin::variables::get(name).map_err(|_| {
        Problem::internal(format!(
            "variable {name} is not defined; add it to the component in spin.toml"
        ))
    })
}

/// Native tests have no host and run without authentication.
#[cfg(not(target_arch = "wasm32"))]
fn variable(name: &str) -> Result<String, Problem> {
    Ok(if name == PRIVATE_READS { "false".to_owned() } else { String::new() })
}

fn check(expected: &str, request: &Request) -> Result<(), Problem> {
    if expected.is_empty() {
        return Ok(());
    }
    compare(expected, request.header("authorization")?.as_deref())
}

fn compare(expected: &str, authorization: Option<&str>) -> Result<(), Problem> {
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
    use crate::native::receive;

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
            assert_eq!(compare("secret", authorization).is_ok(), permitted, "{authorization:?}");
        }
    }

    #[test]
    fn repeated_authorization_returns_400() {
        let request = http::Request::get("/")
            .header("authorization", "Bearer secret")
            .header("authorization", "Bearer secret");
        let error = check("secret", &receive(request.body(Vec::new()).unwrap())).unwrap_err();
        assert_eq!(error.status(), 400);
    }

    #[test]
    fn empty_token_disables_authorization() {
        for authorization in ["Bearer anything", ""] {
            let request = http::Request::get("/").header("authorization", authorization);
            check("", &receive(request.body(Vec::new()).unwrap()))
                .expect("authorization is disabled");
        }
    }
}
