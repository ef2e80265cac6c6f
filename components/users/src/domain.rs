//! Validation of usernames, e-mail addresses and ids.

use std::fmt;

use rules::TextError;

const MAX_USERNAME_CHARS: usize = 100;
/// The maximum length of an address in characters, the limit of SMTP (RFC 3696, erratum 1690).
const MAX_EMAIL_CHARS: usize = 254;

/// A username: 1 to 100 characters. Usernames need not be unique.
#[derive(Clone, Debug, PartialEq)]
pub struct Username(String);

/// An e-mail address of at most 254 characters. Only the format is checked: one `@` with text on
/// both sides, no white space or control characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Email(String);

/// The reason why a text is not an [`Email`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EmailError {
    /// The text does not have the format of an address.
    Format,
    /// The text cannot be stored.
    Text(TextError),
}

impl fmt::Display for EmailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmailError::Format => f.write_str("must be an e-mail address such as name@example.com"),
            EmailError::Text(error) => error.fmt(f),
        }
    }
}

/// The error for an id that is not an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an integer")
    }
}

impl Username {
    pub fn new(text: String) -> Result<Username, TextError> {
        rules::name(text, MAX_USERNAME_CHARS).map(Username)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Email {
    pub fn new(text: String) -> Result<Email, EmailError> {
        match text.split_once('@') {
            Some((name, domain))
                if !name.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
            {
                rules::text(text, MAX_EMAIL_CHARS).map(Email).map_err(EmailError::Text)
            }
            _ => Err(EmailError::Format),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parses an id. Returns `None` for an integer outside the range of `int8`, which no user can have.
pub fn id(text: &str) -> Result<Option<i64>, InvalidId> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidId);
    }
    Ok(text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn username(text: &str) -> Result<Username, TextError> {
        Username::new(text.to_owned())
    }

    fn email(text: &str) -> Result<Email, EmailError> {
        Email::new(text.to_owned())
    }

    #[test]
    fn username_without_1_to_100_characters_or_with_nul_is_an_error() {
        for good in ["A", " ", "August", "Zoë", "\u{1}", &"🦀".repeat(100)] {
            assert!(username(good).is_ok(), "{good:?}");
        }
        assert_eq!(username(""), Err(TextError::Empty));
        assert_eq!(username(&"🦀".repeat(101)), Err(TextError::TooLong(100)));
        assert_eq!(username("a\0"), Err(TextError::Nul));
    }

    #[test]
    fn address_with_invalid_format_is_an_error() {
        for good in ["a@b", "august1@example.com", "o'neil+x@例え.テスト", "ü@ö"] {
            assert!(email(good).is_ok(), "{good:?}");
        }
        for bad in
            ["", "@", "a", "a@", "@b", "a@@b", "a@b@c", "a b@c", "a@b c", " a@b", "a@b\n", "a\0@b"]
        {
            assert_eq!(email(bad), Err(EmailError::Format), "{bad:?}");
        }
    }

    #[test]
    fn address_over_254_characters_is_an_error() {
        let name = "ü".repeat(250);
        assert!(email(&format!("{name}@b.c")).is_ok());
        assert_eq!(email(&format!("{name}@bb.c")), Err(EmailError::Text(TextError::TooLong(254))));
    }

    #[test]
    fn id_out_of_range_is_none_and_non_integer_is_an_error() {
        for (text, number) in [("1", 1), ("007", 7), ("+7", 7), ("0", 0), ("-1", -1)] {
            assert_eq!(id(text), Ok(Some(number)));
        }
        assert_eq!(id("9223372036854775807"), Ok(Some(i64::MAX)));
        for too_large in ["9223372036854775808", "-9223372036854775809", &"9".repeat(1000)] {
            assert_eq!(id(too_large), Ok(None), "{too_large}");
        }
        let beyond = format!("{}x", "9".repeat(30));
        for bad in ["", "+", "-", "--1", "1.0", "1e3", "0x1", " 1", "1 ", "one", "١", &beyond] {
            assert_eq!(id(bad), Err(InvalidId), "{bad:?}");
        }
    }
}
