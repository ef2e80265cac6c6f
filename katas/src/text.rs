//! What every text that is kept has to be: not too long, and without NUL.

use std::fmt;

/// Why a text cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flaw {
    /// There is nothing.
    Empty,
    /// There are more characters than this.
    Longer(usize),
    /// There is a character that PostgreSQL cannot store.
    Nul,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Empty => f.write_str("must not be empty"),
            Flaw::Longer(most) => write!(f, "may have at most {most} characters"),
            Flaw::Nul => f.write_str("must not contain the character NUL"),
        }
    }
}

/// A text of up to `most` characters, if it is one.
pub fn text(text: String, most: usize) -> Result<String, Flaw> {
    if text.contains('\0') {
        Err(Flaw::Nul)
    } else if text.chars().nth(most).is_some() {
        Err(Flaw::Longer(most))
    } else {
        Ok(text)
    }
}

/// A text of 1 to `most` characters, if it is one.
pub fn name(name: String, most: usize) -> Result<String, Flaw> {
    if name.is_empty() { Err(Flaw::Empty) } else { text(name, most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_count_not_bytes() {
        assert!(name("ж".repeat(200), 200).is_ok());
        assert_eq!(name("ж".repeat(201), 200), Err(Flaw::Longer(200)));
        assert!(text("🦀".repeat(10), 10).is_ok());
        assert_eq!(text("🦀".repeat(11), 10), Err(Flaw::Longer(10)));
    }

    #[test]
    fn a_text_may_be_empty_and_a_name_may_not() {
        assert!(text(String::new(), 1).is_ok());
        assert_eq!(name(String::new(), 1), Err(Flaw::Empty));
        assert!(name(" ".to_owned(), 1).is_ok());
    }

    #[test]
    fn nul_is_refused_wherever_it_stands() {
        assert_eq!(name("a\0b".to_owned(), 9), Err(Flaw::Nul));
        assert_eq!(text("\0".to_owned(), 9), Err(Flaw::Nul));
    }
}
