//! The optional bearer token (RFC 6750) that protects every change.

use subtle::ConstantTimeEq;

use crate::{Problem, Request};

/// The variable with the token. When it is empty, changes need no token.
const TOKEN: &str = "api_token";

/// The variable that decides whether reading personal data needs the token as well: `true` or `false`.
const PRIVATE_READS: &str = "private_reads";

/// Checks that the request may change something; 401 otherwise.
pub(crate) fn require(request: &Request) -> Result<(), Problem> {
    check(&variable(TOKEN)?, request)
}

/// Checks that the request may read personal data; 401 otherwise.
pub(crate) fn require_private(request: &Request) -> Result<(), Problem> {
    match variable(PRIVATE_READS)?.as_str() {
        "false" => Ok(()),
        "true" => match variable(TOKEN)? {
            token if token.is_empty() => {
                Err(Problem::internal("private_reads is true, but api_token is empty"))
            }
            token => check(&token, request),
        },
        _ => Err(Problem::internal("private_reads is neither true nor false")),
    }
}

#[cfg(target_arch = "wasm32")]
fn variable(name: &str) -> Result<String, Problem> {
    crate::wasi::variable(name)
        .ok_or_else(|| Problem::internal(format!("the component has no variable {name}")))
}

/// Natively there is no host: no token is required.
#[cfg(not(target_arch = "wasm32"))]
fn variable(name: &str) -> Result<String, Problem> {
    Ok(if name == PRIVATE_READS { "false".to_owned() } else { String::new() })
}

fn check(token: &str, request: &Request) -> Result<(), Problem> {
    if token.is_empty() {
        return Ok(());
    }
    compare(token, request.header("authorization").as_deref())
}

fn compare(token: &str, authorization: Option<&str>) -> Result<(), Problem> {
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
    use crate::native::receive;

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
            assert_eq!(compare("secret", authorization).is_ok(), permitted, "{authorization:?}");
        }
    }

    #[test]
    fn empty_token_permits_everything() {
        for authorization in ["Bearer anything", ""] {
            let request = http::Request::get("/").header("authorization", authorization);
            check("", &receive(request.body(Vec::new()).unwrap())).expect("it is open");
        }
    }
}
