//! What a word and a definition may be.

use katas::Flaw;

/// The most characters a word has.
const WORD_LENGTH: usize = 200;
/// The most characters a definition has.
const DEFINITION_LENGTH: usize = 10_000;

/// A word: 1 to 200 characters of any script, as it was given. `Apple` and `apple` are two words.
#[derive(Clone, Debug, PartialEq)]
pub struct Word(String);

/// What a word means: up to 10,000 characters, none at all included.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition(String);

impl Word {
    /// The word, if `text` can be one.
    pub fn new(text: impl Into<String>) -> Result<Word, Flaw> {
        katas::name(text.into(), WORD_LENGTH).map(Word)
    }

    /// The word's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Definition {
    /// The definition, if `text` can be one.
    pub fn new(text: impl Into<String>) -> Result<Definition, Flaw> {
        katas::text(text.into(), DEFINITION_LENGTH).map(Definition)
    }

    /// The definition's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_count_not_bytes() {
        assert!(Word::new("ж".repeat(200)).is_ok());
        assert_eq!(Word::new("ж".repeat(201)), Err(Flaw::Longer(200)));
        assert!(Definition::new("🦀".repeat(10_000)).is_ok());
        assert_eq!(Definition::new("🦀".repeat(10_001)), Err(Flaw::Longer(10_000)));
    }

    #[test]
    fn a_definition_may_be_empty_and_a_word_may_not() {
        assert!(Definition::new("").is_ok());
        assert_eq!(Word::new(""), Err(Flaw::Empty));
        assert!(Word::new(" ").is_ok());
    }
}
