//! Requests that are safe to retry: `Idempotency-Key`.

use json::FromFields;

use crate::{Problem, Request, body};

const MAX_KEY_CHARS: usize = 255;

/// A request with an `Idempotency-Key`. The same key with the same body returns the same resource.
#[derive(Debug)]
pub struct Attempt {
    /// The key: 1 to 255 characters.
    pub key: String,
    /// The request body.
    pub body: Vec<u8>,
}

/// Parses the body of a request. Returns it as an attempt if the request has a key.
pub(crate) fn json<T: FromFields>(request: &Request) -> Result<(T, Option<Attempt>), Problem> {
    let key = request.header("idempotency-key")?;
    if key.as_ref().is_some_and(|key| !(1..=MAX_KEY_CHARS).contains(&key.chars().count())) {
        let detail = format!("Idempotency-Key must have 1 to {MAX_KEY_CHARS} characters");
        return Err(Problem::bad_request(detail));
    }
    let (value, body) = body::json(request)?;
    Ok((value, key.map(|key| Attempt { key, body })))
}

#[cfg(test)]
mod tests {
    use json::Fields;

    use super::*;
    use crate::native::receive;

    struct Nothing;

    impl FromFields for Nothing {
        fn from_fields(_: &mut Fields) -> Option<Nothing> {
            Some(Nothing)
        }
    }

    fn attempt(keys: &[&str]) -> Result<Option<Attempt>, Problem> {
        let mut request = http::Request::post("/").header("content-type", "application/json");
        for key in keys {
            request = request.header("idempotency-key", key.as_bytes());
        }
        json::<Nothing>(&receive(request.body(b"{}".to_vec()).unwrap())).map(|(_, attempt)| attempt)
    }

    #[test]
    fn key_with_1_to_255_characters_makes_an_attempt_with_the_body() {
        assert!(attempt(&[]).unwrap().is_none());
        for key in ["k", &"ж".repeat(255)] {
            let attempt = attempt(&[key]).unwrap().expect("an attempt");
            assert_eq!((attempt.key.as_str(), attempt.body.as_slice()), (key, &b"{}"[..]));
        }
    }

    #[test]
    fn empty_long_or_repeated_key_returns_400() {
        for keys in [&[""][..], &[&"ж".repeat(256)], &["k", "k"]] {
            assert_eq!(attempt(keys).unwrap_err().status(), 400, "{keys:?}");
        }
    }
}
