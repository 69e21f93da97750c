//! Gradients made short so that their products stay about the same.
//!
//! The projection is sparse: every number of a gradient goes to [`NONZEROS`] of the result's, one in each block of them, with
//! random signs (Kane and Nelson 2014, the block construction; with one nonzero it is the count sketch of Charikar et al.
//! 2002). The product of two projected vectors is theirs in the mean, with the variance of a dense Rademacher matrix, (|x|² |y|² +
//! (x·y)²) / dims at most, and the cost of a projection is that of reading the gradient a few times. A dense matrix of 8,192
//! columns would cost more than the passes that make the gradient.

use rayon::prelude::*;

/// Numbers of the result that each number of a gradient goes to.
const NONZEROS: usize = 4;

/// Parts of a gradient that are projected by themselves and then added up in order, so that the number of threads decides nothing.
const LANES: usize = 64;

/// Numbers that a lane takes at once.
const CHUNK: usize = 1 << 14;

/// A seeded projection of gradients of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Projection {
    parameters: usize,
    dims: usize,
    seed: u64,
}

impl Projection {
    /// Of gradients with so many numbers to `dims`, a power of two; gradients that are no longer than that stay as they are.
    pub fn new(parameters: usize, dims: usize, seed: u64) -> Self {
        Self { parameters, dims, seed }
    }

    /// Whether gradients stay as they are.
    pub fn is_exact(&self) -> bool {
        self.parameters <= self.dims
    }

    /// Numbers of a result.
    pub fn dims(&self) -> usize {
        self.parameters.min(self.dims)
    }

    /// Projects a gradient that lies in several slices, each number times its factor.
    ///
    /// # Panics
    /// When the slices, or the factors, are not as many numbers as the projection takes.
    pub fn project(&self, gradient: &[&[f32]], factors: Option<&[f32]>) -> Vec<f32> {
        assert_eq!(gradient.iter().map(|g| g.len()).sum::<usize>(), self.parameters, "a whole gradient");
        assert!(factors.is_none_or(|f| f.len() == self.parameters), "a factor for each number");
        let mut pieces = Vec::new();
        let mut first = 0;
        for slice in gradient {
            for piece in slice.chunks(CHUNK) {
                pieces.push((first, piece));
                first += piece.len();
            }
        }
        let scaled = |at: usize, x: f32| factors.map_or(x, |f| f[at] * x);
        if self.is_exact() {
            let each = pieces
                .iter()
                .flat_map(|(first, piece)| piece.iter().enumerate().map(move |(i, x)| scaled(first + i, *x)));
            return each.collect();
        }
        let lanes: Vec<Vec<f32>> = (0..LANES.min(pieces.len()))
            .into_par_iter()
            .map(|lane| {
                let mut sums = vec![0.0f32; self.dims];
                for (first, piece) in pieces.iter().skip(lane).step_by(LANES) {
                    for (i, x) in piece.iter().enumerate() {
                        self.add(&mut sums, first + i, scaled(first + i, *x));
                    }
                }
                sums
            })
            .collect();
        let mut whole = vec![0.0f32; self.dims];
        for lane in lanes {
            whole.iter_mut().zip(lane).for_each(|(sum, x)| *sum += x);
        }
        // Each of the nonzeros is ±1/√NONZEROS.
        whole.iter_mut().for_each(|x| *x /= (NONZEROS as f32).sqrt());
        whole
    }

    /// Adds a number to its places: 16 bits of a hash say sign and place in each block.
    fn add(&self, sums: &mut [f32], at: usize, x: f32) {
        let block = self.dims / NONZEROS;
        let hash = mix(self.seed, at as u64);
        for (k, sums) in sums.chunks_exact_mut(block).enumerate() {
            let bits = (hash >> (16 * k)) as usize & 0xffff;
            let sign = if bits >> 15 == 0 { x } else { -x };
            sums[bits & (block - 1)] += sign;
        }
    }
}

/// SplitMix64 (Steele et al. 2014) at a place of its stream.
fn mix(seed: u64, at: u64) -> u64 {
    let mut z = (seed ^ 0x5151_AC5E_ED00_0001).wrapping_add((at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The sum of products, in f64 and in one order.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (whole, rest) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in whole.0.iter().zip(rest.0) {
        for ((sum, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    let tail: f64 = whole.1.iter().zip(rest.1).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    lanes.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, Normal};

    fn vectors(count: usize, n: usize) -> Vec<Vec<f32>> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let normal = Normal::new(0.0f32, 1.0).unwrap();
        // A common part, so that products are not all about 0.
        let common: Vec<f32> = (0..n).map(|_| normal.sample(&mut rng)).collect();
        (0..count)
            .map(|v| common.iter().map(|c| 0.2 * v as f32 * c + normal.sample(&mut rng)).collect())
            .collect()
    }

    #[test]
    fn products_of_projected_vectors_are_about_those_of_the_vectors() {
        let (count, n, dims) = (12, 50_000, 4096);
        let all = vectors(count, n);
        let projection = Projection::new(n, dims, 3);
        let short: Vec<Vec<f32>> = all.iter().map(|v| projection.project(&[v], None)).collect();
        let length = |v: &[f32]| dot(v, v).sqrt();
        let mut squares = 0.0;
        for i in 0..count {
            for j in 0..=i {
                let error = dot(&short[i], &short[j]) - dot(&all[i], &all[j]);
                let relative = error / (length(&all[i]) * length(&all[j]));
                // Standard deviation √(2 / dims) at most, by the variance above; five of them.
                assert!(relative.abs() < 5.0 * (2.0 / dims as f64).sqrt(), "{i} {j}: {relative}");
                squares += relative * relative;
            }
        }
        let spread = (squares / (count * (count + 1) / 2) as f64).sqrt();
        assert!(spread < (2.0 / dims as f64).sqrt() && spread > 0.1 / (dims as f64).sqrt(), "{spread}");
    }

    #[test]
    fn numbers_of_one_sign_do_not_add_up_to_a_product() {
        // Vectors that share no number: without random signs their products would be about Σx Σy / dims, as large as their lengths.
        let (n, dims) = (20_000, 1024);
        let projection = Projection::new(n, dims, 3);
        let of = |from: usize| {
            let all: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i % 2 == from))).collect();
            projection.project(&[&all], None)
        };
        let (a, b) = (of(0), of(1));
        let (lengths, product) = ((dot(&a, &a) * dot(&b, &b)).sqrt(), dot(&a, &b));
        assert!((lengths / (n / 2) as f64 - 1.0).abs() < 0.3, "{lengths}");
        assert!(product.abs() < 5.0 * lengths * (2.0 / dims as f64).sqrt(), "{product} of {lengths}");
    }

    #[test]
    fn equal_large_numbers_do_not_hide_each_other() {
        // Two numbers alone: where all their places were the same, their sum and their difference could not be told.
        for seed in 0..200 {
            let projection = Projection::new(1000, 64, seed);
            let mut v = vec![0.0; 1000];
            (v[17], v[800]) = (1.0, 1.0);
            let short = projection.project(&[&v], None);
            assert!(dot(&short, &short) > 0.4, "seed {seed}");
        }
    }

    #[test]
    fn slices_and_threads_decide_nothing_and_seeds_do() {
        let v = vectors(2, 300_000).remove(1);
        let projection = Projection::new(v.len(), 1024, 5);
        let whole = projection.project(&[&v], None);
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| projection.project(&[&v], None)), whole);
        let parts = projection.project(&[&v[..CHUNK * 3], &v[CHUNK * 3..]], None);
        assert_eq!(parts, whole);
        assert_ne!(Projection::new(v.len(), 1024, 6).project(&[&v], None), whole);
        let twice = projection.project(&[&v], Some(&vec![2.0; v.len()]));
        assert!(twice.iter().zip(&whole).all(|(a, b)| *a == 2.0 * b), "doubling is exact");
    }

    #[test]
    fn a_short_gradient_stays_as_it_is() {
        let projection = Projection::new(5, 64, 1);
        let found =
            projection.project(&[&[1.0, 2.0], &[], &[3.0, 4.0, 5.0]], Some(&[1.0, 1.0, 1.0, 1.0, 2.0]));
        assert_eq!((projection.dims(), found), (5, vec![1.0, 2.0, 3.0, 4.0, 10.0]));
    }
}
