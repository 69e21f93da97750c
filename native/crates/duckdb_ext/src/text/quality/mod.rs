//! Every quality and repetition signal of a text in one pass: those of the Gopher rules (Rae et al.
//! 2021, "Scaling Language Models", section A1.1 and table A1), of the C4 rules (Raffel et al. 2020,
//! section 2.2; see [`c4`]) and of FineWeb's own filter (Penedo et al. 2024).
//!
//! Where the paper is vague, the published behaviour of datatrove 0.10 is followed:
//! - Words are linguistic ([`crate::text::english`]); punctuation marks are words of their own.
//!   `n_words` and `mean_word_length` leave out words made of symbols alone; the ratios divide by
//!   all words.
//! - Lengths are characters (Unicode code points), and character fractions divide by the length of
//!   the whole text.
//! - The text of a top n-gram is its words joined by spaces; when no n-gram repeats, the first one
//!   stands for the top, so very short texts exceed the limit. Duplicate n-grams are counted without
//!   overlap, from left to right, without the spaces.
//! - Line starts and ends are looked at after trimming; `•` and `-` are bullets.
//!
//! How far the verdicts agree is measured by the test `quality_agreement`; the classes of difference
//! are listed there.

pub mod c4;
mod lines;
mod repetition;
mod table;
mod thresholds;

use super::english;
use repetition::Token;
use std::ops::Range;
use table::Table;

pub use thresholds::{first_failure, to_json, Op, Threshold, THRESHOLDS};

/// The signals of one text. Fractions and ratios of an empty denominator are 0.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Signals {
    /// Words that have a character other than punctuation.
    pub n_words: i64,
    /// Mean length of those words in characters.
    pub mean_word_length: f64,
    /// `#` signs a word.
    pub hash_word_ratio: f64,
    /// Ellipses (`...` or `…`) a word.
    pub ellipsis_word_ratio: f64,
    /// The greater of the two ratios before.
    pub symbol_word_ratio: f64,
    /// Share of the lines that begin with a bullet.
    pub bullet_line_frac: f64,
    /// Share of the lines that end with an ellipsis.
    pub ellipsis_line_frac: f64,
    /// Share of the words that have a letter.
    pub alpha_word_frac: f64,
    /// How many of `the be to of and that have with` occur, as written here.
    pub stop_words: i32,
    /// Share of the lines that repeat an earlier one.
    pub dup_line_frac: f64,
    /// Share of the paragraphs that repeat an earlier one.
    pub dup_para_frac: f64,
    /// Share of the characters that stand in repeated lines.
    pub dup_line_char_frac: f64,
    /// Share of the characters that stand in repeated paragraphs.
    pub dup_para_char_frac: f64,
    /// Share of the characters that stand in occurrences of the most frequent 2-, 3-, 4-gram.
    pub top_ngram_char_frac: [f64; 3],
    /// Share of the characters that stand in repeated 5- to 10-grams.
    pub dup_ngram_char_frac: [f64; 6],
    /// Share of the non-blank lines that end with terminal punctuation (FineWeb).
    pub line_punct_frac: f64,
    /// Share of the non-blank lines of at most 30 characters (FineWeb).
    pub short_line_frac: f64,
    /// Share of the characters, line feeds aside, that stand in repeated lines (FineWeb).
    pub line_char_dup_frac: f64,
    /// Line feeds a word (FineWeb).
    pub newline_word_ratio: f64,
    /// Sentences in the lines that C4 keeps.
    pub c4_sentences: i64,
    /// Lines with "lorem ipsum" that C4 would otherwise keep.
    pub c4_lorem_ipsum_lines: i64,
    /// Lines with a curly bracket that C4 would otherwise keep.
    pub c4_curly_bracket_lines: i64,
    /// Lines, blank ones aside, that C4 removes.
    pub c4_removed_lines: i64,
}

/// The stop words of the Gopher rules.
const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];

/// Computes signals; keeps its buffers from text to text.
#[derive(Debug, Default)]
pub struct Analyzer {
    ranges: Vec<Range<usize>>,
    tokens: Vec<Token>,
    table: Table,
    ngrams: repetition::Scratch,
}

impl Analyzer {
    /// All signals of `text`.
    pub fn signals(&mut self, text: &str) -> Signals {
        let mut signals = Signals::default();
        let ascii = text.is_ascii();
        let characters = if ascii { text.len() } else { text.chars().count() };
        self.words(text, ascii, &mut signals);
        lines::signals(text, characters, self.ranges.len(), &mut self.table, &mut signals);
        c4::signals(text, &self.ranges, &mut signals);
        self.ngrams.signals(&self.tokens, characters, &mut self.table, &mut signals);
        signals
    }

    fn words(&mut self, text: &str, ascii: bool, signals: &mut Signals) {
        self.ranges.clear();
        self.tokens.clear();
        english::split(text, &mut self.ranges);
        let (mut letters, mut length, mut stop_words) = (0_usize, 0_usize, 0_u8);
        for range in &self.ranges {
            let word = &text[range.clone()];
            let characters = if ascii { word.len() } else { word.chars().count() };
            self.tokens.push(Token::new(word, characters));
            if !word.chars().all(english::is_symbol) {
                signals.n_words += 1;
                length += characters;
            }
            letters += usize::from(word.chars().any(char::is_alphabetic));
            if (2..=4).contains(&word.len()) {
                if let Some(index) = STOP_WORDS.iter().position(|stop| *stop == word) {
                    stop_words |= 1 << index;
                }
            }
        }
        let words = self.ranges.len();
        let hashes = memchr::memchr_iter(b'#', text.as_bytes()).count();
        let ellipses = count(text, "...") + if ascii { 0 } else { count(text, "…") };
        signals.mean_word_length = ratio(length, signals.n_words as usize);
        signals.hash_word_ratio = ratio(hashes, words);
        signals.ellipsis_word_ratio = ratio(ellipses, words);
        signals.symbol_word_ratio = signals.hash_word_ratio.max(signals.ellipsis_word_ratio);
        signals.alpha_word_frac = ratio(letters, words);
        signals.stop_words = stop_words.count_ones() as i32;
    }
}

/// Occurrences that do not overlap.
fn count(text: &str, needle: &str) -> usize {
    memchr::memmem::find_iter(text.as_bytes(), needle.as_bytes()).count()
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests;
