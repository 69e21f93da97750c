//! Operations number by number: biases, sums, caps, dropout.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::{tanh, vectorised};
use rayon::prelude::*;

/// Numbers that one thread should take at least.
const GRAIN: usize = 16_384;

/// `y += scale * x`.
pub fn add(y: &mut [f32], x: &[f32], scale: f32) {
    assert!(y.len() == x.len());
    let y = Disjoint::new(y);
    par::ranges(x.len(), GRAIN, |range| {
        // SAFETY: ranges do not overlap.
        let y = unsafe { y.part(range.clone()) };
        vectorised(
            #[inline(always)]
            || {
                for (y, x) in y.iter_mut().zip(&x[range]) {
                    *y += scale * x;
                }
            },
        );
    });
}

/// `y *= scale`.
pub fn scale(y: &mut [f32], scale: f32) {
    if scale != 1.0 {
        y.par_chunks_mut(GRAIN).for_each(|part| part.iter_mut().for_each(|y| *y *= scale));
    }
}

/// `y = cap * tanh(y / cap)`, the soft cap of Gemma 2's logits.
pub fn soft_cap(y: &mut [f32], cap: f32) {
    y.par_chunks_mut(GRAIN).for_each(|part| {
        vectorised(
            #[inline(always)]
            || {
                for y in part {
                    *y = cap * tanh(*y / cap);
                }
            },
        );
    });
}

/// Gradient of [`soft_cap`] in place: `dy *= 1 - (y / cap)²`, with the capped `y`.
pub fn soft_cap_backward(dy: &mut [f32], y: &[f32], cap: f32) {
    assert!(dy.len() == y.len());
    dy.par_chunks_mut(GRAIN).zip(y.par_chunks(GRAIN)).for_each(|(dy, y)| {
        for (d, y) in dy.iter_mut().zip(y) {
            *d *= 1.0 - (y / cap) * (y / cap);
        }
    });
}

/// Adds `bias[width]` to every row of `y`.
pub fn add_bias(y: &mut [f32], bias: &[f32]) {
    for row in y.chunks_exact_mut(bias.len()) {
        for (y, b) in row.iter_mut().zip(bias) {
            *y += b;
        }
    }
}

/// `dbias += column sums of dy`.
pub fn bias_backward(dbias: &mut [f32], dy: &[f32]) {
    for row in dy.chunks_exact(dbias.len()) {
        for (b, d) in dbias.iter_mut().zip(row) {
            *b += d;
        }
    }
}

/// Multiplies column `i` of every row of `y` by `factors[i]`.
pub fn scale_rows(y: &mut [f32], factors: &[f32]) {
    for row in y.chunks_exact_mut(factors.len()) {
        for (y, f) in row.iter_mut().zip(factors) {
            *y *= f;
        }
    }
}

/// `y = x` with each number dropped with `probability`, the rest scaled up (Srivastava et al. 2014).
///
/// The mask is a function of `key` and the number's place alone, so the backward pass and a resumed run repeat it.
pub fn dropout(y: &mut [f32], x: &[f32], probability: f32, key: u64) {
    assert!(y.len() == x.len());
    let keep = 1.0 / (1.0 - probability);
    let key = mix(key);
    let threshold = (f64::from(probability) * 4_294_967_296.0) as u64;
    let y = Disjoint::new(y);
    par::ranges(x.len(), GRAIN, |range| {
        // SAFETY: ranges do not overlap.
        let y = unsafe { y.part(range.clone()) };
        for ((y, &x), i) in y.iter_mut().zip(&x[range.clone()]).zip(range) {
            *y = if (mix(key ^ i as u64) >> 32) < threshold { 0.0 } else { x * keep };
        }
    });
}

/// The output function of SplitMix64 (Steele et al. 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
