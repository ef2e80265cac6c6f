//! What the id, the name and the e-mail address of a user may be.

use std::fmt;

/// The most characters a name has.
const USERNAME_LENGTH: usize = 100;
/// The most characters an address has: what fits into an SMTP command (RFC 3696, erratum 1690).
const EMAIL_LENGTH: usize = 254;

/// A name: 1 to 100 characters of any script, as it was given. Several users may have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Username(String);

/// Up to 254 characters with the shape of an e-mail address: one `@`, something on both sides of it,
/// nowhere a space or a control character. Whether mail arrives, only mail can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Email(String);

/// Why a text is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flaw {
    /// No such text can be kept.
    Text(katas::Flaw),
    /// It has not the shape of an e-mail address.
    NoAddress,
    /// It is not an integer.
    NoNumber,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Text(flaw) => flaw.fmt(f),
            Flaw::NoAddress => f.write_str("must have the shape of name@example.com"),
            Flaw::NoNumber => f.write_str("must be a whole number"),
        }
    }
}

impl Username {
    /// The name, if `text` can be one.
    pub fn new(text: String) -> Result<Username, Flaw> {
        katas::name(text, USERNAME_LENGTH).map(Username).map_err(Flaw::Text)
    }

    /// The name's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Email {
    /// The address, if `text` can be one.
    pub fn new(text: String) -> Result<Email, Flaw> {
        match text.split_once('@') {
            Some((name, domain))
                if !name.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && !text.contains(|it: char| it.is_whitespace() || it.is_control()) =>
            {
                katas::text(text, EMAIL_LENGTH).map(Email).map_err(Flaw::Text)
            }
            _ => Err(Flaw::NoAddress),
        }
    }

    /// The address's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id that `text` stands for; `None` when it is an integer that no user can have.
pub fn id(text: &str) -> Result<Option<i64>, Flaw> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Flaw::NoNumber);
    }
    // What does not fit is not in a column of that type either.
    Ok(text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn username(text: &str) -> Result<Username, Flaw> {
        Username::new(text.to_owned())
    }

    fn email(text: &str) -> Result<Email, Flaw> {
        Email::new(text.to_owned())
    }

    #[test]
    fn a_name_is_anything_of_1_to_100_characters_but_nul() {
        for good in ["A", " ", "August", "Zoë", "\u{1}", &"🦀".repeat(100)] {
            assert!(username(good).is_ok(), "{good:?}");
        }
        assert_eq!(username(""), Err(Flaw::Text(katas::Flaw::Empty)));
        assert_eq!(username(&"🦀".repeat(101)), Err(Flaw::Text(katas::Flaw::Longer(100))));
        assert_eq!(username("a\0"), Err(Flaw::Text(katas::Flaw::Nul)));
    }

    #[test]
    fn an_address_is_checked_for_its_shape() {
        for good in ["a@b", "august1@example.com", "o'neil+x@例え.テスト", "ü@ö"] {
            assert!(email(good).is_ok(), "{good:?}");
        }
        for bad in
            ["", "@", "a", "a@", "@b", "a@@b", "a@b@c", "a b@c", "a@b c", " a@b", "a@b\n", "a\0@b"]
        {
            assert_eq!(email(bad), Err(Flaw::NoAddress), "{bad:?}");
        }
    }

    #[test]
    fn an_address_has_at_most_254_characters() {
        let name = "ü".repeat(250);
        assert!(email(&format!("{name}@b.c")).is_ok());
        assert_eq!(email(&format!("{name}@bb.c")), Err(Flaw::Text(katas::Flaw::Longer(254))));
    }

    #[test]
    fn an_id_is_an_integer_however_large() {
        for (text, number) in [("1", 1), ("007", 7), ("+7", 7), ("0", 0), ("-1", -1)] {
            assert_eq!(id(text), Ok(Some(number)));
        }
        assert_eq!(id("9223372036854775807"), Ok(Some(i64::MAX)));
        for nobody in ["9223372036854775808", "-9223372036854775809", &"9".repeat(1000)] {
            assert_eq!(id(nobody), Ok(None), "{nobody}");
        }
        let beyond = format!("{}x", "9".repeat(30));
        for bad in ["", "+", "-", "--1", "1.0", "1e3", "0x1", " 1", "1 ", "one", "١", &beyond] {
            assert_eq!(id(bad), Err(Flaw::NoNumber), "{bad:?}");
        }
    }
}
