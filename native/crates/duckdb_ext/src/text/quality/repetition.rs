//! Signals of repeated n-grams.

use super::table::Table;
use super::{ratio, Signals};
use crate::text::hash::hash64;

/// A word: its hash and its length in characters.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    hash: u64,
    characters: u32,
}

impl Token {
    /// A word of so many characters.
    pub fn new(word: &str, characters: usize) -> Self {
        // A word beyond 4 billion characters cannot come: a DuckDB text has at most 4 GiB.
        Token { hash: hash64(word.as_bytes()), characters: characters as u32 }
    }
}

/// Buffers that are reused from text to text.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Hash of the n-gram that begins at each word, for the n being looked at.
    hashes: Vec<u64>,
    /// Characters before each word and after the last one.
    offsets: Vec<usize>,
    /// For every different n-gram in order of first appearance: where, and how often.
    counts: Vec<(u32, u32)>,
}

impl Scratch {
    /// Fills in the signals of top and duplicate n-grams.
    pub fn signals(&mut self, tokens: &[Token], characters: usize, table: &mut Table, signals: &mut Signals) {
        self.offsets.clear();
        self.offsets.push(0);
        let mut offset = 0;
        self.offsets.extend(tokens.iter().map(|token| {
            offset += token.characters as usize;
            offset
        }));
        self.hashes.clear();
        self.hashes.extend(tokens.iter().map(|token| token.hash));

        let mut repeats = true;
        for n in 2..=4 {
            self.extend(tokens, n);
            let (top, most) = self.top(n, repeats, table);
            signals.top_ngram_char_frac[n - 2] = ratio(top, characters);
            repeats = most > 1;
        }
        for n in 5..=10 {
            // An n-gram repeats only where the (n-1)-gram that begins it does.
            if !repeats {
                break;
            }
            self.extend(tokens, n);
            let duplicate = self.duplicate(n, table);
            signals.dup_ngram_char_frac[n - 5] = ratio(duplicate, characters);
            repeats = duplicate > 0;
        }
    }

    /// From hashes of (n-1)-grams to hashes of n-grams.
    fn extend(&mut self, tokens: &[Token], n: usize) {
        self.hashes.truncate((tokens.len() + 1).saturating_sub(n));
        for (hash, token) in self.hashes.iter_mut().zip(&tokens[(n - 1).min(tokens.len())..]) {
            *hash = (hash.rotate_left(23) ^ token.hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    /// Characters in all occurrences of the most frequent n-gram, spaces between its words included,
    /// and how often it occurs. Of several equally frequent ones the first counts.
    fn top(&mut self, n: usize, repeats: bool, table: &mut Table) -> (usize, u32) {
        self.counts.clear();
        if repeats {
            table.reset(self.hashes.len());
            for (index, &hash) in self.hashes.iter().enumerate() {
                match table.insert(hash, self.counts.len() as u32) {
                    Some(entry) => self.counts[entry as usize].1 += 1,
                    None => self.counts.push((index as u32, 1)),
                }
            }
        } else if !self.hashes.is_empty() {
            self.counts.push((0, 1));
        }
        let Some(most) = self.counts.iter().map(|&(_, count)| count).max() else { return (0, 0) };
        let first =
            self.counts.iter().find(|&&(_, count)| count == most).map_or(0, |&(first, _)| first as usize);
        ((self.length(first, n) + n - 1) * most as usize, most)
    }

    /// Characters in n-grams that repeat an earlier one, counted from left to right without overlap.
    fn duplicate(&mut self, n: usize, table: &mut Table) -> usize {
        table.reset(self.hashes.len());
        let (mut index, mut characters) = (0, 0);
        while index < self.hashes.len() {
            if table.insert(self.hashes[index], 0).is_some() {
                characters += self.length(index, n);
                index += n;
            } else {
                index += 1;
            }
        }
        characters
    }

    fn length(&self, first: usize, n: usize) -> usize {
        self.offsets[first + n] - self.offsets[first]
    }
}
