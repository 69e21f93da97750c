//! Softmax and cross-entropy.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::{self, vectorised};

/// What a row of logits should predict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Id of the token that comes next, below the number of logits in a row.
    pub label: u32,
    /// Factor on the row's gradient: weight / normaliser.
    pub grad: f32,
}

/// Negative log-likelihood of each row's target; the logits become their gradients when `gradient`.
///
/// `logits`: `[rows, vocab]`; `nll`: `[rows]`. Gradient: grad x (softmax - onehot(label)).
pub fn cross_entropy(logits: &mut [f32], nll: &mut [f32], targets: &[Target], gradient: bool) {
    let rows = targets.len();
    let vocab = logits.len() / rows.max(1);
    assert!(logits.len() == rows * vocab && nll.len() == rows);
    let (logits, nll) = (Disjoint::new(logits), Disjoint::new(nll));
    par::ranges(rows, par::row_grain(vocab), |range| {
        // SAFETY: ranges of rows do not overlap.
        let (logits, nll) =
            unsafe { (logits.part(range.start * vocab..range.end * vocab), nll.part(range.clone())) };
        vectorised(
            #[inline(always)]
            || {
                for ((row, nll), target) in logits.chunks_exact_mut(vocab).zip(nll).zip(&targets[range]) {
                    let label = target.label as usize;
                    let at_label = row[label];
                    let max = simd::max(row);
                    let sum = simd::exp_sum(row, 1.0, max);
                    *nll = sum.ln() + (max - at_label);
                    if gradient {
                        let factor = target.grad / sum;
                        for x in row.iter_mut() {
                            *x *= factor;
                        }
                        row[label] -= target.grad;
                    }
                }
            },
        );
    });
}

/// Turns each row of `x[rows, width]` into its softmax.
pub fn softmax(x: &mut [f32], width: usize) {
    let rows = x.len() / width.max(1);
    let x = Disjoint::new(x);
    par::ranges(rows, par::row_grain(width), |range| {
        // SAFETY: ranges of rows do not overlap.
        let x = unsafe { x.part(range.start * width..range.end * width) };
        vectorised(
            #[inline(always)]
            || {
                for row in x.chunks_exact_mut(width) {
                    let max = simd::max(row);
                    let factor = 1.0 / simd::exp_sum(row, 1.0, max);
                    for x in row.iter_mut() {
                        *x *= factor;
                    }
                }
            },
        );
    });
}

/// Log of the softmax of one row at `index`.
pub fn log_softmax_at(row: &[f32], index: usize) -> f32 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&x| f64::from(x - max).exp()).sum();
    (f64::from(row[index] - max) - sum.ln()) as f32
}
