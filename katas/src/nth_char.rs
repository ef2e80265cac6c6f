//! The word made of the n-th character of the n-th word.

/// The word so far. Characters are Unicode scalar values, counted from 0.
#[derive(Debug, Default)]
pub struct NthChar {
    result: String,
    place: usize,
}

impl NthChar {
    /// Takes the next word; whether the result can go on after it. It cannot once a word is too
    /// short.
    pub fn push(&mut self, word: &str) -> bool {
        let character = word.chars().nth(self.place);
        self.result.extend(character);
        self.place += 1;
        character.is_some()
    }

    /// The result.
    pub fn into_word(self) -> String {
        self.result
    }
}

/// The word made of the n-th character of the n-th of these words, up to the first that is too
/// short. The time it takes grows with their length alone.
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
    fn it_answers_as_the_first_one_did() {
        assert_eq!(nth_char(["yoda", "best", "has"]), "yes");
        assert_eq!(nth_char([]), "");
    }

    #[test]
    fn it_ends_at_the_first_word_that_is_too_short() {
        assert_eq!(nth_char(["ab", "c", "def"]), "a");
        assert_eq!(nth_char(["", "abc"]), "");
    }

    #[test]
    fn characters_count_not_bytes() {
        assert_eq!(nth_char(["жук", "🦀🐝", "naïve"]), "ж🐝ï");
    }

    proptest! {
        #[test]
        fn every_character_is_where_it_was(words in prop::collection::vec(".{0,8}", 0..12)) {
            let result = nth_char(words.iter().map(String::as_str));
            let found: Vec<char> = result.chars().collect();
            for (place, character) in found.iter().enumerate() {
                prop_assert_eq!(words[place].chars().nth(place), Some(*character));
            }
            // It did not end too early.
            if let Some(next) = words.get(found.len()) {
                prop_assert_eq!(next.chars().nth(found.len()), None);
            }
        }
    }
}
