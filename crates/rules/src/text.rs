//! Validation of stored text: a maximum length, no NUL.

use std::fmt;

/// The reason why a text cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TextError {
    /// The text is empty.
    Empty,
    /// The text has more characters than this maximum.
    TooLong(usize),
    /// The text contains NUL, which PostgreSQL cannot store.
    Nul,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::Empty => f.write_str("must not be empty"),
            TextError::TooLong(max) => write!(f, "must have at most {max} characters"),
            TextError::Nul => f.write_str("must not contain a NUL character"),
        }
    }
}

/// Validates a text of at most `max` characters.
pub fn text(text: String, max: usize) -> Result<String, TextError> {
    if text.contains('\0') {
        Err(TextError::Nul)
    } else if text.chars().nth(max).is_some() {
        Err(TextError::TooLong(max))
    } else {
        Ok(text)
    }
}

/// Validates a text of 1 to `max` characters.
pub fn name(name: String, max: usize) -> Result<String, TextError> {
    if name.is_empty() { Err(TextError::Empty) } else { text(name, max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_not_bytes() {
        assert!(name("ж".repeat(200), 200).is_ok());
        assert_eq!(name("ж".repeat(201), 200), Err(TextError::TooLong(200)));
        assert!(text("🦀".repeat(10), 10).is_ok());
        assert_eq!(text("🦀".repeat(11), 10), Err(TextError::TooLong(10)));
    }

    #[test]
    fn text_may_be_empty_but_name_may_not() {
        assert!(text(String::new(), 1).is_ok());
        assert_eq!(name(String::new(), 1), Err(TextError::Empty));
        assert!(name(" ".to_owned(), 1).is_ok());
    }

    #[test]
    fn text_with_nul_is_an_error() {
        assert_eq!(name("a\0b".to_owned(), 9), Err(TextError::Nul));
        assert_eq!(text("\0".to_owned(), 9), Err(TextError::Nul));
    }
}
