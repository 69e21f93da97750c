//! Hashes of word n-grams ("shingles"), for near-duplicates and decontamination.
//!
//! The hash of an n-gram is a polynomial over the XXH3 hashes of its words, finished by a mixing
//! step, so it is computed in constant time a position. It depends on nothing but the words, so
//! it may be stored and compared between versions.

use super::words::Words;

/// Odd, so that no power of it vanishes modulo 2^64.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Buffers that are reused from text to text.
#[derive(Debug, Default)]
pub struct Shingler {
    words: Words,
    word_hashes: Vec<u64>,
}

impl Shingler {
    /// Hashes of the `n`-grams of normalised words, in order, repeats included. A text with fewer
    /// than `n` words has none.
    pub fn ngrams(&mut self, text: &str, n: usize, hashes: &mut Vec<u64>) {
        self.words.read(text);
        self.words.hash_into(&mut self.word_hashes);
        hashes.clear();
        roll(&self.word_hashes, n, hashes);
    }

    /// As [`Self::ngrams`], but a text with at least one and fewer than `n` words has one shingle,
    /// made of all of them: short texts are compared whole rather than not at all.
    pub fn shingles(&mut self, text: &str, n: usize, hashes: &mut Vec<u64>) {
        self.ngrams(text, n, hashes);
        if hashes.is_empty() && !self.word_hashes.is_empty() {
            roll(&self.word_hashes, self.word_hashes.len(), hashes);
        }
    }
}

/// Appends the hash of every run of `n` words, given the hashes of the words.
pub fn roll(word_hashes: &[u64], n: usize, hashes: &mut Vec<u64>) {
    if n == 0 || word_hashes.len() < n {
        return;
    }
    // BASE^n, the weight of the word that leaves the window after the multiplication.
    let weight = (0..n).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut rolling = 0_u64;
    for (index, &word) in word_hashes.iter().enumerate() {
        rolling = rolling.wrapping_mul(BASE).wrapping_add(word);
        if index >= n {
            rolling = rolling.wrapping_sub(word_hashes[index - n].wrapping_mul(weight));
        }
        if index + 1 >= n {
            hashes.push(mix(rolling));
        }
    }
}

/// A bijection that spreads every input bit over the output (the finaliser of SplitMix64).
pub fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Exact Jaccard similarity |A ∩ B| / |A ∪ B| of two shingle sets, given as hashes that may repeat;
/// sorts both. 0 when both are empty: texts without words have nothing in common.
pub fn jaccard(a: &mut Vec<u64>, b: &mut Vec<u64>) -> f64 {
    for set in [&mut *a, &mut *b] {
        set.sort_unstable();
        set.dedup();
    }
    let (mut i, mut j, mut common) = (0, 0, 0_usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common += 1;
                i += 1;
                j += 1;
            }
        }
    }
    let union = a.len() + b.len() - common;
    if union == 0 {
        0.0
    } else {
        common as f64 / union as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ngrams(text: &str, n: usize) -> Vec<u64> {
        let mut hashes = Vec::new();
        Shingler::default().ngrams(text, n, &mut hashes);
        hashes
    }

    fn similarity(a: &str, b: &str, n: usize) -> f64 {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        Shingler::default().shingles(a, n, &mut left);
        Shingler::default().shingles(b, n, &mut right);
        jaccard(&mut left, &mut right)
    }

    #[test]
    fn the_rolling_hash_is_the_hash_of_the_window() {
        let rolled = ngrams("one two three four five", 3);
        assert_eq!(rolled.len(), 3);
        assert_eq!(rolled[1], ngrams("two three four", 3)[0]);
        assert_eq!(rolled[2], ngrams("Three, FOUR five!", 3)[0]);
        assert_ne!(ngrams("two one", 2), ngrams("one two", 2), "order counts");
        assert_ne!(ngrams("add 3 to 4", 4), ngrams("add 3 to 5", 4), "digits count");
    }

    #[test]
    fn short_texts() {
        assert!(ngrams("one two", 3).is_empty());
        assert_eq!(similarity("one two", "One two!", 5), 1.0);
        assert_eq!(similarity("", "", 5), 0.0);
        assert_eq!(similarity("one", "two", 5), 0.0);
    }

    #[test]
    fn jaccard_counts_sets() {
        // bigrams {ab, bc, cd} and {bc, cd, de}: 2 of 4
        assert_eq!(similarity("a b c d", "b c d e", 2), 0.5);
        assert_eq!(similarity("a b a b a b", "a b a", 2), 1.0, "repeats count once");
    }

    #[test]
    fn hashes_are_stable_across_versions() {
        // Pinned: stored decontamination indexes depend on it.
        assert_eq!(ngrams("the cat sat", 2), PINNED);
    }
    const PINNED: [u64; 2] = [11_376_239_951_979_472_865, 15_386_970_938_643_527_422];
}
