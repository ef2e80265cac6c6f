//! The nth-char kata: a word from the n-th character of the n-th word.

/// Builds the result one word at a time. A character is a Unicode scalar value; indices start at 0.
#[derive(Debug, Default)]
pub struct NthChar {
    result: String,
    index: usize,
}

impl NthChar {
    /// Continues after `index` words, each of which was long enough.
    pub fn from_index(index: usize) -> NthChar {
        NthChar { result: String::new(), index }
    }

    /// Adds the next word. Returns `false` when the word is too short, which ends the result.
    pub fn push(&mut self, word: &str) -> bool {
        let character = word.chars().nth(self.index);
        self.result.extend(character);
        self.index += 1;
        character.is_some()
    }

    /// Returns the result so far.
    pub fn into_word(self) -> String {
        self.result
    }
}

/// Returns the word made of the n-th character of the n-th of these words, up to the first word
/// that is too short. Takes time linear in the length of the words.
pub fn nth_char<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let mut result = NthChar::default();
    for word in words {
        if !result.push(word) {
            break;
        }
    }
    result.into_word()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kata_example_returns_yes() {
        assert_eq!(nth_char(["yoda", "best", "has"]), "yes");
        assert_eq!(nth_char([]), "");
    }

    #[test]
    fn short_word_ends_the_result() {
        assert_eq!(nth_char(["ab", "c", "def"]), "a");
        assert_eq!(nth_char(["", "abc"]), "");
    }

    #[test]
    fn index_counts_characters_not_bytes() {
        assert_eq!(nth_char(["жук", "🦀🐝", "naïve"]), "ж🐝ï");
    }

    proptest! {
        #[test]
        fn result_has_every_character_up_to_the_first_short_word(words in prop::collection::vec(".{0,8}", 0..12)) {
            let result = nth_char(words.iter().map(String::as_str));
            let characters: Vec<char> = result.chars().collect();
            for (index, character) in characters.iter().enumerate() {
                prop_assert_eq!(words[index].chars().nth(index), Some(*character));
            }
            // The result does not end too early.
            if let Some(next) = words.get(characters.len()) {
                prop_assert_eq!(next.chars().nth(characters.len()), None);
            }
        }
    }
}
