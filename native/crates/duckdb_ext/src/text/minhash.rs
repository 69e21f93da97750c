//! MinHash signatures and locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman, Ullman,
//! "Mining of Massive Datasets", chapter 3).
//!
//! Two texts whose shingle sets have Jaccard similarity s agree in each position of their
//! signatures with probability s. The signature is cut into b bands of r rows; texts that agree in
//! a whole band are candidates. They become candidates with probability 1 - (1 - s^r)^b, an S-curve
//! that rises steepest near (1/b)^(1/r). Candidates are then checked with the exact Jaccard
//! similarity, so a low-lying curve costs time, not correctness, and a high-lying one costs recall.
//! [`choose_bands`] therefore takes the steepest curve that still finds 99 % of the pairs exactly at
//! the threshold. For 128 permutations:
//!
//! | threshold | bands x rows | found at threshold |
//! |---|---|---|
//! | 0.5 | 42 x 3 | 0.996 |
//! | 0.6 | 42 x 3 | 0.99996 |
//! | 0.7 | 32 x 4 | 0.9998 |
//! | 0.8 | 21 x 6 | 0.998 |
//! | 0.9 | 12 x 10 | 0.994 |

use super::shingle::mix;

/// Most permutations that a signature may have: beyond, it costs more than the exact comparison.
pub const MAX_PERMUTATIONS: usize = 4096;

/// Functions that are computed together; their minima stay in vector registers.
const BLOCK: usize = 32;

/// A family of hash functions x -> a x + b modulo 2^32, with a odd, over the high 32 bits of the
/// shingle hashes (which are mixed). The coefficients follow from the seed alone.
#[derive(Debug, Default)]
pub struct Permutations {
    seed: i64,
    count: usize,
    multipliers: Vec<[u32; BLOCK]>,
    offsets: Vec<[u32; BLOCK]>,
}

impl Permutations {
    /// Makes the family `count` functions large, from `seed`; does nothing when it is so already.
    pub fn prepare(&mut self, count: usize, seed: i64) {
        if self.count == count && self.seed == seed {
            return;
        }
        let mut state = mix(seed as u64);
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix(state)
        };
        (self.seed, self.count) = (seed, count);
        self.multipliers.clear();
        self.offsets.clear();
        for _ in 0..count.div_ceil(BLOCK) {
            let coefficients: [u64; BLOCK] = std::array::from_fn(|_| next());
            self.multipliers.push(coefficients.map(|value| value as u32 | 1));
            self.offsets.push(coefficients.map(|value| (value >> 32) as u32));
        }
    }

    /// The signature of a shingle set: the least value of every function. Empty for no shingles.
    pub fn signature(&self, shingles: &[u64]) -> Vec<u32> {
        if shingles.is_empty() {
            return Vec::new();
        }
        let mut signature = Vec::with_capacity(self.multipliers.len() * BLOCK);
        // Compiled for several instruction sets; the widest that the processor has is run.
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (multipliers, offsets) in self.multipliers.iter().zip(&self.offsets) {
                    signature.extend_from_slice(&minima(shingles, multipliers, offsets));
                }
            },
        );
        signature.truncate(self.count);
        signature
    }
}

#[inline(always)]
fn minima(shingles: &[u64], multipliers: &[u32; BLOCK], offsets: &[u32; BLOCK]) -> [u32; BLOCK] {
    let mut least = [u32::MAX; BLOCK];
    for &shingle in shingles {
        let shingle = (shingle >> 32) as u32;
        for index in 0..BLOCK {
            let value = shingle.wrapping_mul(multipliers[index]).wrapping_add(offsets[index]);
            least[index] = least[index].min(value);
        }
    }
    least
}

/// One hash a band of `len / bands` rows, the band's number mixed in, so that hashes of different
/// bands can share a column. Positions beyond bands x rows are not used. Empty for an empty signature.
///
/// # Errors
/// When `bands` is below 1 or above the length of the signature.
pub fn bands(signature: &[u32], bands: i32) -> Result<Vec<u64>, String> {
    if signature.is_empty() {
        return Ok(Vec::new());
    }
    let count = usize::try_from(bands).unwrap_or(0);
    if count == 0 || count > signature.len() {
        return Err(format!(
            "bands must be between 1 and {}, the length of the signature; got {bands}",
            signature.len()
        ));
    }
    let rows = signature.len() / count;
    let band_hash = |(index, band): (usize, &[u32])| {
        band.iter().fold(mix(index as u64), |hash, &value| mix(hash ^ u64::from(value)))
    };
    Ok(signature.chunks_exact(rows).take(count).enumerate().map(band_hash).collect())
}

/// Probability that a pair of Jaccard similarity `similarity` shares a band.
pub fn candidate_probability(similarity: f64, bands: usize, rows: usize) -> f64 {
    1.0 - (1.0 - similarity.powi(rows as i32)).powi(bands as i32)
}

/// Share of the pairs exactly at the threshold that [`choose_bands`] insists on.
pub const RECALL_AT_THRESHOLD: f64 = 0.99;

/// The number of bands for signatures of `permutations` values and a Jaccard threshold: the fewest
/// (so the most rows, the fewest false candidates) that find [`RECALL_AT_THRESHOLD`] of the pairs
/// at the threshold.
///
/// # Errors
/// When the permutations are not in 1..=[`MAX_PERMUTATIONS`] or the threshold is not in (0, 1].
pub fn choose_bands(permutations: i32, threshold: f64) -> Result<i32, String> {
    let permutations = check_permutations(permutations)?;
    if !(threshold > 0.0 && threshold <= 1.0) {
        return Err(format!("the threshold must be above 0 and at most 1; got {threshold}"));
    }
    let rows = (1..=permutations)
        .rev()
        .find(|&rows| candidate_probability(threshold, permutations / rows, rows) >= RECALL_AT_THRESHOLD)
        .unwrap_or(1);
    Ok((permutations / rows) as i32)
}

/// Checks a number of permutations that came from SQL.
///
/// # Errors
/// A number below 1 or above [`MAX_PERMUTATIONS`].
pub fn check_permutations(permutations: i32) -> Result<usize, String> {
    usize::try_from(permutations)
        .ok()
        .filter(|count| (1..=MAX_PERMUTATIONS).contains(count))
        .ok_or_else(|| format!("permutations must be between 1 and {MAX_PERMUTATIONS}; got {permutations}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::shingle::{jaccard, Shingler};

    fn signature_of(text: &str) -> Vec<u32> {
        let mut shingles = Vec::new();
        Shingler::default().shingles(text, 5, &mut shingles);
        let mut permutations = Permutations::default();
        permutations.prepare(128, 1);
        permutations.signature(&shingles)
    }

    /// A text of `count` words drawn from 2,000, and a copy in which about one word in `gap` is
    /// another one.
    fn planted_pair(seed: u64, count: usize, gap: u64) -> (String, String) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix(state)
        };
        let (mut a, mut b) = (String::new(), String::new());
        for _ in 0..count {
            let word = next() % 2000;
            let copy = if next() % gap == 0 { next() % 2000 } else { word };
            a.push_str(&format!("w{word} "));
            b.push_str(&format!("w{copy} "));
        }
        (a, b)
    }

    #[test]
    fn signatures_estimate_jaccard_and_bands_find_the_planted_pairs() {
        let mut shingler = Shingler::default();
        let (mut above, mut found, mut worst) = (0, 0, 0.0_f64);
        for seed in 0..600 {
            let (a, b) = planted_pair(seed, 300, 60);
            let (mut left, mut right) = (Vec::new(), Vec::new());
            shingler.shingles(&a, 5, &mut left);
            shingler.shingles(&b, 5, &mut right);
            let exact = jaccard(&mut left, &mut right);
            let (x, y) = (signature_of(&a), signature_of(&b));
            let estimate = x.iter().zip(&y).filter(|(p, q)| p == q).count() as f64 / 128.0;
            worst = worst.max((estimate - exact).abs());
            if exact >= 0.8 {
                above += 1;
                let (p, q) = (bands(&x, 21).unwrap(), bands(&y, 21).unwrap());
                found += usize::from(p.iter().zip(&q).any(|(p, q)| p == q));
            }
        }
        // The estimate has standard deviation sqrt(s(1-s)/128) <= 0.044; 600 pairs stay within 4.
        assert!(worst < 0.18, "worst error of the estimate {worst}");
        assert!(above > 200, "only {above} planted pairs reach 0.8");
        assert!(found as f64 / above as f64 > 0.98, "recall {found}/{above}");
    }

    #[test]
    fn unlike_texts_share_no_band() {
        let texts: Vec<Vec<u64>> =
            (0..200).map(|seed| bands(&signature_of(&planted_pair(seed, 200, 2).0), 21).unwrap()).collect();
        let mut all: Vec<u64> = texts.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200 * 21);
    }

    #[test]
    fn the_table_in_the_documentation_is_right() {
        for (threshold, count) in [(0.5, 42), (0.6, 42), (0.7, 32), (0.8, 21), (0.9, 12)] {
            assert_eq!(choose_bands(128, threshold), Ok(count), "threshold {threshold}");
            assert!(candidate_probability(threshold, count as usize, 128 / count as usize) >= 0.99);
        }
        assert_eq!(choose_bands(1, 0.1), Ok(1));
        assert!(
            choose_bands(0, 0.5).is_err()
                && choose_bands(128, 0.0).is_err()
                && choose_bands(128, f64::NAN).is_err()
        );
    }

    #[test]
    fn edges() {
        assert!(signature_of("!!").is_empty());
        assert_eq!(bands(&[], 20), Ok(vec![]));
        assert!(bands(&[1, 2, 3], 4).is_err() && bands(&[1, 2, 3], 0).is_err());
        assert_eq!(bands(&[1, 2, 3], 2).unwrap().len(), 2);
        assert_ne!(bands(&[7, 7], 2).unwrap()[0], bands(&[7, 7], 2).unwrap()[1], "the band's number counts");
        let mut other = Permutations::default();
        other.prepare(128, 2);
        assert_ne!(other.signature(&[42]), signature_of("x y z a b"));
    }
}
