//! Normalised words: the units of shingles, n-grams and `till_words`.
//!
//! A text is put into Unicode form NFKC and lower-cased; its words are then the longest runs of
//! letters, digits, combining marks and underscores. Scripts written without spaces (Han, kana,
//! Thai, Lao, Burmese, Khmer) have one word a character, marks staying with their letter, so that
//! n-grams mean something there too. Digits are kept as they are: "12 apples" and "13 apples" differ.

use super::hash::hash64;
use std::ops::Range;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible, is_combining_mark};
use unicode_normalization::{is_nfc_quick, is_nfkc_quick, IsNormalized, UnicodeNormalization};

/// The normalised words of a text, in one buffer that is reused from text to text.
#[derive(Debug, Default)]
pub struct Words {
    /// UTF-8.
    buffer: Vec<u8>,
    ends: Vec<usize>,
    /// A character that is a word of its own came last: a mark would still belong to it.
    after_single: bool,
}

/// For every byte: its lower-case form where it is an ASCII word character, otherwise 0.
const ASCII_WORD: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_' {
            table[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

impl Words {
    /// Replaces the contents by the words of `text`.
    pub fn read(&mut self, text: &str) {
        self.buffer.clear();
        self.ends.clear();
        self.after_single = false;
        if text.is_ascii() {
            self.read_ascii(text.as_bytes());
        } else {
            // ASCII is in normal form and cannot make what follows it less so.
            let others = text.chars().filter(|character| !character.is_ascii());
            if is_nfkc_quick(others) == IsNormalized::Yes {
                text.chars().for_each(|character| self.push(character));
            } else {
                text.nfkc().for_each(|character| self.push(character));
            }
        }
        self.finish();
    }

    /// As [`Self::read`], and puts the byte range of `text` that each word comes from into `places`.
    /// Where several characters have one normal form, a word's range has all of them.
    pub fn read_with_places(&mut self, text: &str, places: &mut Vec<Range<usize>>) {
        self.buffer.clear();
        self.ends.clear();
        self.after_single = false;
        places.clear();
        let mut normal = String::new();
        let mut start = 0;
        while let Some(first) = text[start..].chars().next() {
            // What belongs to the character: nothing can be composed over the end of such a piece, so
            // the normal form of the text is that of its pieces.
            let after = start + first.len_utf8();
            let end = match text[after..].chars().next() {
                Some(next) if !next.is_ascii() => {
                    let tail = &text[after..];
                    after
                        + tail.char_indices().find(|&(_, c)| begins_piece(c)).map_or(tail.len(), |(at, _)| at)
                }
                _ => after,
            };
            normal.clear();
            normal.extend(text[start..end].nfkc());
            for character in normal.chars() {
                let before = self.buffer.len();
                self.push(character);
                if self.buffer.len() > before {
                    let word = if self.in_word() { self.ends.len() } else { self.ends.len() - 1 };
                    match places.get_mut(word) {
                        Some(place) => place.end = end,
                        None => places.push(start..end),
                    }
                }
            }
            start = end;
        }
        self.finish();
    }

    /// How many words were read.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the text had no word.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The words, in UTF-8.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.buffer[start..end])
    }

    /// The 64-bit XXH3 of every word, appended to `hashes` after clearing it.
    pub fn hash_into(&self, hashes: &mut Vec<u64>) {
        hashes.clear();
        hashes.extend(self.iter().map(hash64));
    }

    fn read_ascii(&mut self, bytes: &[u8]) {
        self.buffer.resize(bytes.len(), 0);
        let mut length = 0;
        let mut last_end = 0;
        for &byte in bytes {
            let lower = ASCII_WORD[byte as usize];
            if lower != 0 {
                self.buffer[length] = lower;
                length += 1;
            } else if length > last_end {
                self.ends.push(length);
                last_end = length;
            }
        }
        self.buffer.truncate(length);
    }

    #[inline]
    fn push(&mut self, character: char) {
        if character.is_ascii() {
            let lower = ASCII_WORD[character as usize];
            if lower == 0 {
                self.finish();
            } else {
                self.buffer.push(lower);
            }
            self.after_single = false;
        } else {
            self.push_other(character);
        }
    }

    fn push_other(&mut self, character: char) {
        if is_combining_mark(character) {
            // A mark belongs to the word before it and begins none.
            if self.after_single {
                self.encode(character);
                *self.ends.last_mut().expect("a word came before the mark") = self.buffer.len();
            } else if self.in_word() {
                self.encode(character);
            }
            return;
        }
        self.after_single = stands_alone(character) && character.is_alphanumeric();
        if !character.is_alphanumeric() {
            self.finish();
        } else if self.after_single {
            self.finish();
            self.encode(character);
            self.finish();
        } else {
            character.to_lowercase().for_each(|lower| self.encode(lower));
        }
    }

    fn encode(&mut self, character: char) {
        self.buffer.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn in_word(&self) -> bool {
        self.buffer.len() > self.ends.last().copied().unwrap_or(0)
    }

    fn finish(&mut self) {
        if self.in_word() {
            self.ends.push(self.buffer.len());
        }
    }
}

/// How many normalised words a text has.
pub fn count(text: &str, words: &mut Words) -> usize {
    words.read(text);
    words.len()
}

/// Whether a character is never composed with one before it.
fn begins_piece(character: char) -> bool {
    let mut first = None;
    decompose_compatible(character, |part| {
        first.get_or_insert(part);
    });
    let first = first.unwrap_or(character);
    canonical_combining_class(first) == 0 && is_nfc_quick(std::iter::once(first)) == IsNormalized::Yes
}

/// Characters of scripts that do not put spaces between words.
fn stands_alone(character: char) -> bool {
    matches!(character as u32,
        0x0E00..=0x0EFF         // Thai, Lao
        | 0x1000..=0x109F       // Burmese
        | 0x1780..=0x17FF       // Khmer
        | 0x3040..=0x30FF | 0x31F0..=0x31FF // kana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
    // Han
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Words::default();
        words.read(text);
        words.iter().map(|word| String::from_utf8(word.to_vec()).unwrap()).collect()
    }

    #[test]
    fn folds_case_and_punctuation() {
        assert_eq!(
            words("The quick-brown FOX, don't_stop!"),
            ["the", "quick", "brown", "fox", "don", "t_stop"]
        );
        assert_eq!(words("  "), Vec::<String>::new());
        assert_eq!(words("Éléphant ﬁn ＡＢＣ１２"), ["éléphant", "fin", "abc12"]);
        assert_eq!(words("cafe\u{301} naïve"), ["café", "naïve"], "composed and decomposed are equal");
    }

    #[test]
    fn scripts_without_spaces_have_one_word_a_character() {
        assert_eq!(words("我爱你 ok"), ["我", "爱", "你", "ok"]);
        assert_eq!(words("ที่นี่"), ["ที่", "นี่"]);
    }

    #[test]
    fn places_are_where_the_words_stand() {
        let (mut plain, mut placed, mut places) = (Words::default(), Words::default(), Vec::new());
        for text in [
            "The quick-brown FOX, don't_stop!",
            "Éléphant ﬁn ＡＢＣ１２ cafe\u{301} naïve",
            "我爱你，ok。ｶﾞｷﾞ 각각 \u{1100}\u{1161}\u{11a8}",
            "ที่นี่ ½ a\u{300}\u{301} \u{301}x ㈠ … İI ẞ",
            "",
        ] {
            plain.read(text);
            placed.read_with_places(text, &mut places);
            assert_eq!(placed.iter().collect::<Vec<_>>(), plain.iter().collect::<Vec<_>>(), "{text}");
            assert_eq!(places.len(), plain.len(), "{text}");
            let mut again = Words::default();
            for (place, word) in places.iter().zip(plain.iter()) {
                again.read(&text[place.clone()]);
                let contains = again.iter().any(|part| part == word);
                assert!(contains, "{text}: {:?}", &text[place.clone()]);
            }
        }
        placed.read_with_places("我爱，ok", &mut places);
        assert_eq!(places, [0..3, 3..6, 9..11]);
    }

    #[test]
    fn counts() {
        assert_eq!(count("3 - 2 = 1", &mut Words::default()), 3);
        assert_eq!(count("привет, мир", &mut Words::default()), 2);
    }
}
