//! A MinHash signature in four bits a position ("b-bit minwise hashing", Li and König 2010), for telling most false
//! candidates from pairs without reading their texts.
//!
//! Two texts of Jaccard similarity s agree in a position of their signatures with probability s, and by chance in the four
//! bits of one where they differ with probability 1/16: so in p = s + (1 - s) / 16 of all. With n positions the estimate
//! (p - 1/16) / (15/16) has standard deviation sqrt(p (1 - p) / n) / (15/16): 0.037 at s = 0.8 and n = 128.

/// Bits of a position.
const BITS: usize = 4;
/// Positions in a word of a sketch.
const POSITIONS: usize = u32::BITS as usize / BITS;
/// The lowest bit of each position.
const LOWEST: u32 = 0x1111_1111;

/// The lowest four bits of every position, eight positions a word; the last word is filled up with zeros.
pub fn sketch(signature: &[u32]) -> Vec<u32> {
    let word = |positions: &[u32]| {
        positions.iter().enumerate().fold(0, |word, (i, value)| word | ((value & 0xF) << (i * BITS)))
    };
    signature.chunks(POSITIONS).map(word).collect()
}

/// The Jaccard similarity that two sketches of signatures of `positions` values speak of, from below 0 (less agreement than
/// by chance) to 1; 0 where one is of a text without words.
///
/// # Errors
/// When one is not of so many positions.
pub fn estimate(a: &[u32], b: &[u32], positions: usize) -> Result<f64, String> {
    if a.is_empty() || b.is_empty() {
        return Ok(0.0);
    }
    if positions == 0 || a.len() != b.len() || a.len() != positions.div_ceil(POSITIONS) {
        return Err(format!(
            "sketches of {} and {} words are not of {positions} positions",
            a.len(),
            b.len()
        ));
    }
    let differ: u32 = a.iter().zip(b).map(|(x, y)| differing(x ^ y)).sum();
    let agree = 1.0 - f64::from(differ) / positions as f64;
    let chance = 1.0 / f64::from(1 << BITS);
    Ok((agree - chance) / (1.0 - chance))
}

/// How many of a word's positions are not 0.
fn differing(word: u32) -> u32 {
    let pairs = word | (word >> 1);
    ((pairs | (pairs >> 2)) & LOWEST).count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::minhash::Permutations;
    use crate::text::shingle::{jaccard, mix};

    fn signature(shingles: &[u64]) -> Vec<u32> {
        let mut permutations = Permutations::default();
        permutations.prepare(128, 3);
        permutations.signature(shingles)
    }

    #[test]
    fn estimates_the_similarity_within_four_standard_deviations() {
        for (case, shared) in (0..200_u64).map(|case| (case, case / 2)) {
            let set = |from: u64| (from..from + 100).map(|i| mix(mix(case) ^ i)).collect::<Vec<_>>();
            let (mut a, mut b) = (set(0), set(100 - shared));
            let found = estimate(&sketch(&signature(&a)), &sketch(&signature(&b)), 128).unwrap();
            let exact = jaccard(&mut a, &mut b);
            let p = exact + (1.0 - exact) / 16.0;
            let deviation = (p * (1.0 - p) / 128.0).sqrt() / (15.0 / 16.0);
            assert!((found - exact).abs() <= 4.0 * deviation, "case {case}: {found} for {exact}");
        }
    }

    #[test]
    fn counts_every_position_once_whatever_bits_differ() {
        for bits in 1..16_u32 {
            for place in 0..8 {
                assert_eq!(differing(bits << (4 * place)), 1, "bits {bits} at {place}");
            }
        }
        assert_eq!(differing(0x1248_f0a5), 7);
        let (a, b) = (sketch(&[0x11, 0x22, 0x3f]), sketch(&[0x91, 0x23, 0x0f]));
        assert_eq!(a, [0xf21]);
        assert!((estimate(&a, &b, 3).unwrap() - (2.0 / 3.0 - 1.0 / 16.0) / (15.0 / 16.0)).abs() < 1e-12);
    }

    #[test]
    fn texts_without_words_are_alike_to_none_and_other_lengths_are_errors() {
        assert_eq!(estimate(&[], &[], 128), Ok(0.0));
        assert_eq!(estimate(&sketch(&[1; 128]), &[], 128), Ok(0.0));
        assert_eq!(estimate(&sketch(&[1; 128]), &sketch(&[1; 128]), 128), Ok(1.0));
        assert!(estimate(&sketch(&[1; 128]), &sketch(&[1; 64]), 128).is_err());
        assert!(estimate(&sketch(&[1; 128]), &sketch(&[1; 128]), 64).is_err());
        assert!(estimate(&[0], &[0], 0).is_err());
    }
}
