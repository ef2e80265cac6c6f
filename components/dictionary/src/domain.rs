//! Validation of words and definitions.

use rules::TextError;

const MAX_WORD_CHARS: usize = 200;
const MAX_DEFINITION_CHARS: usize = 10_000;

/// A word: 1 to 200 characters. Words are case-sensitive.
#[derive(Clone, Debug, PartialEq)]
pub struct Word(String);

/// The definition of a word: 0 to 10,000 characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition(String);

impl Word {
    pub fn new(text: String) -> Result<Word, TextError> {
        rules::name(text, MAX_WORD_CHARS).map(Word)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Definition {
    pub fn new(text: String) -> Result<Definition, TextError> {
        rules::text(text, MAX_DEFINITION_CHARS).map(Definition)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_not_bytes() {
        assert!(Word::new("ж".repeat(200)).is_ok());
        assert_eq!(Word::new("ж".repeat(201)), Err(TextError::TooLong(200)));
        assert!(Definition::new("🦀".repeat(10_000)).is_ok());
        assert_eq!(Definition::new("🦀".repeat(10_001)), Err(TextError::TooLong(10_000)));
    }

    #[test]
    fn definition_may_be_empty_but_word_may_not() {
        assert!(Definition::new(String::new()).is_ok());
        assert_eq!(Word::new(String::new()), Err(TextError::Empty));
        assert!(Word::new(" ".to_owned()).is_ok());
    }
}
