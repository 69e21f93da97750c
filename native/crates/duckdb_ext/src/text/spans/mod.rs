//! Repeated passages of a corpus: runs of at least n words that occur more than once, in two texts or
//! in one (Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better", section 4.1,
//! with the words of [`super::words`] for tokens).
//!
//! A function of SQL sees one text, so the work is parted in steps that each are linear in the length
//! of the texts, with grouping by hash between them. No two texts are ever compared as a pair, so that a
//! passage that stands in a million texts costs no more than a million passages.
//!
//! 1. [`Spans::anchors`]: of the hashes of all runs of k = n / 2 words, the least in each window of n
//!    words, every place once (winnowing: Schleimer, Wilkerson and Aiken 2003, "Winnowing: local
//!    algorithms for document fingerprinting"). Equal windows have equal anchors, so what occurs twice
//!    has an anchor that occurs twice. Of 27 places two are anchors for n = 50: 89 million hashes in ten
//!    million texts of 120 words.
//! 2. [`Spans::windows`]: hash and first word of every window of n words whose anchor is one of those that
//!    occur more than once. Texts without such an anchor, nearly all, are not read again.
//! 3. Of each window that occurs more than once the first occurrence stays, in the order of the texts;
//!    the words of the others are cut ([`cut`]). A later occurrence that overlaps the first one ("a a a a")
//!    loses only what is behind it.
//!
//! In SQL, for a table `docs(n, text)` whose order is `n`:
//!
//! ```sql
//! WITH anchors AS MATERIALIZED (SELECT n, unnest(till_span_anchors(text, 50)) AS anchor FROM docs),
//! repeated AS (SELECT anchor FROM anchors GROUP BY anchor HAVING count(*) > 1),
//! candidates AS (SELECT n, list(DISTINCT anchor) AS anchors FROM anchors SEMI JOIN repeated USING (anchor) GROUP BY n),
//! windows AS MATERIALIZED (
//!   SELECT n, w.hash AS hash, w.start AS start
//!   FROM (SELECT n, unnest(till_span_windows(text, 50, anchors)) AS w FROM docs JOIN candidates USING (n))),
//! firsts AS (SELECT hash, min({n: n, start: start}) AS first FROM windows GROUP BY hash HAVING count(*) > 1),
//! cuts AS (
//!   SELECT n, list(CASE WHEN n = first.n THEN greatest(start, first.start + 50) ELSE start END) AS starts,
//!          list(start + 50) AS ends, min(first.n) AS matched
//!   FROM windows JOIN firsts USING (hash) WHERE (n, start) <> (first.n, first.start) GROUP BY n)
//! SELECT n, matched, till_cut_words(text, starts, ends) AS text FROM docs JOIN cuts USING (n)
//! ```
//!
//! Anchors and windows are 64-bit hashes: two of 10^8 different windows have the same one with a
//! probability of 3 in 10,000. Equal windows always have the same: nothing that is repeated is missed.

mod cut;

pub use cut::cut;

use super::shingle::roll;
use super::words::Words;
use std::collections::{HashSet, VecDeque};

/// A run of n words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its hash.
    pub hash: u64,
    /// Its first word's number, from 0.
    pub start: i32,
}

/// Buffers that are reused from text to text.
#[derive(Debug, Default)]
pub struct Spans {
    words: Words,
    word_hashes: Vec<u64>,
    /// Of the shorter runs that anchors are chosen from.
    short: Vec<u64>,
    long: Vec<u64>,
    /// Runs of the current window that may yet be the least, by place; their hashes grow.
    queue: VecDeque<usize>,
}

impl Spans {
    /// Hashes of the anchors of all windows of `n` words, one for every place that is an anchor.
    pub fn anchors(&mut self, text: &str, n: usize) -> Vec<u64> {
        let mut anchors = Vec::new();
        let mut last = None;
        self.read(text, n);
        self.each_window(n, |short, _, place| {
            if last != Some(place) {
                anchors.push(short[place]);
                last = Some(place);
            }
        });
        anchors
    }

    /// The windows of `n` words whose anchor is among `anchors`, in order.
    pub fn windows(&mut self, text: &str, n: usize, anchors: &[u64]) -> Vec<Window> {
        let wanted: HashSet<u64> = anchors.iter().copied().collect();
        let mut windows = Vec::new();
        if wanted.is_empty() {
            return windows;
        }
        self.read(text, n);
        self.long.clear();
        roll(&self.word_hashes, n, &mut self.long);
        let long = std::mem::take(&mut self.long);
        self.each_window(n, |short, start, place| {
            if wanted.contains(&short[place]) {
                // A text of 4 GiB has less than 2^31 words of a letter and a space.
                windows.push(Window { hash: long[start], start: start as i32 });
            }
        });
        self.long = long;
        windows
    }

    fn read(&mut self, text: &str, n: usize) {
        self.words.read(text);
        self.words.hash_into(&mut self.word_hashes);
        self.short.clear();
        roll(&self.word_hashes, short_length(n), &mut self.short);
    }

    /// Calls `f` with the short runs' hashes, the first word of each window, and the place of its anchor,
    /// the first of the least hashes.
    fn each_window(&mut self, n: usize, mut f: impl FnMut(&[u64], usize, usize)) {
        // So many short runs lie in a window.
        let width = n - short_length(n) + 1;
        self.queue.clear();
        for place in 0..self.short.len() {
            while self.queue.back().is_some_and(|&back| self.short[back] > self.short[place]) {
                self.queue.pop_back();
            }
            self.queue.push_back(place);
            if place + 1 < width {
                continue;
            }
            let start = place + 1 - width;
            while self.queue[0] < start {
                self.queue.pop_front();
            }
            f(&self.short, start, self.queue[0]);
        }
    }
}

/// Words of the runs that anchors are chosen from.
fn short_length(n: usize) -> usize {
    (n / 2).max(1)
}

#[cfg(test)]
mod tests;
