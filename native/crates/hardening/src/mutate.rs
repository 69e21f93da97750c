//! Deterministic mutations of seeds, for the tests; the fuzzers have their own.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Texts that readers of numbers, names and structure stumble over.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "1e999",
    "-1e308",
    "1e-320",
    "0.5",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "1000000000000000",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[[[[[[[",
    "{\"a\":",
    "\\u0000",
    "\\ud800",
    "{% for x in range(100000) %}",
    "{{ x ~ x }}",
    "..",
];

/// A stream of mutations of a seed.
#[derive(Debug)]
pub struct Mutations(ChaCha8Rng);

impl Mutations {
    /// The same number gives the same stream.
    pub fn new(seed: u64) -> Self {
        Mutations(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The next mutation of these bytes: one to four changes.
    pub fn of(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..self.0.random_range(1..=4) {
            self.change(&mut out);
        }
        out
    }

    fn place(&mut self, len: usize) -> usize {
        self.0.random_range(0..=len)
    }

    fn change(&mut self, out: &mut Vec<u8>) {
        let at = self.place(out.len());
        let end = (at + self.0.random_range(1..=16)).min(out.len());
        match self.0.random_range(0..7u8) {
            0 if at < out.len() => out[at] ^= 1 << self.0.random_range(0..8u8),
            1 if at < out.len() => out[at] = self.0.next_u32() as u8,
            2 => drop(out.drain(at..end)),
            3 => {
                let copied = out[at..end].to_vec();
                let to = self.place(out.len());
                out.splice(to..to, copied);
            }
            4 => out.truncate(at),
            5 => {
                // A number, where one stands.
                let digit = |b: &u8| b.is_ascii_digit();
                let Some(first) = out[at..].iter().position(digit).map(|i| at + i) else { return };
                let last = out[first..].iter().position(|b| !digit(b)).map_or(out.len(), |i| first + i);
                let word = WORDS[self.0.random_range(0..WORDS.len())];
                out.splice(first..last, word.bytes());
            }
            _ => {
                let word = WORDS[self.0.random_range(0..WORDS.len())];
                out.splice(at..at, word.bytes());
            }
        }
    }
}
