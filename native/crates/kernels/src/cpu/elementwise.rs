//! Operations number by number: SwiGLU, biases, sums, dropout.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::{sigmoid, vectorised};

/// Numbers that one thread should take at least.
const GRAIN: usize = 16_384;

/// `act = silu(gate) * up` (Shazeer 2020).
pub fn swiglu(act: &mut [f32], gate: &[f32], up: &[f32]) {
    assert!(act.len() == gate.len() && act.len() == up.len());
    let act = Disjoint::new(act);
    par::ranges(gate.len(), GRAIN, |range| {
        // SAFETY: ranges do not overlap.
        let act = unsafe { act.part(range.clone()) };
        let (gate, up) = (&gate[range.clone()], &up[range]);
        vectorised(
            #[inline(always)]
            || {
                for ((a, &g), &u) in act.iter_mut().zip(gate).zip(up) {
                    *a = g * sigmoid(g) * u;
                }
            },
        );
    });
}

/// Gradient of [`swiglu`], in place: `gate` and `up` hold their gradients afterwards, and `act`, which holds the
/// gradient of the activation, holds the activation itself.
pub fn swiglu_backward(act: &mut [f32], gate: &mut [f32], up: &mut [f32]) {
    let n = act.len();
    assert!(gate.len() == n && up.len() == n);
    let (act, gate, up) = (Disjoint::new(act), Disjoint::new(gate), Disjoint::new(up));
    par::ranges(n, GRAIN, |range| {
        // SAFETY: ranges do not overlap.
        let (act, gate, up) = unsafe { (act.part(range.clone()), gate.part(range.clone()), up.part(range)) };
        vectorised(
            #[inline(always)]
            || {
                for ((a, g), u) in act.iter_mut().zip(gate).zip(up) {
                    let s = sigmoid(*g);
                    let silu = *g * s;
                    let d = *a;
                    let value = *u;
                    *a = silu * value;
                    *u = d * silu;
                    *g = d * value * (s + silu * (1.0 - s));
                }
            },
        );
    });
}

/// `y += x`.
pub fn add(y: &mut [f32], x: &[f32]) {
    assert!(y.len() == x.len());
    let y = Disjoint::new(y);
    par::ranges(x.len(), GRAIN, |range| {
        // SAFETY: ranges do not overlap.
        let y = unsafe { y.part(range.clone()) };
        vectorised(
            #[inline(always)]
            || {
                for (y, x) in y.iter_mut().zip(&x[range]) {
                    *y += x;
                }
            },
        );
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
