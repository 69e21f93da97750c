//! Muon: momentum whose matrix is made nearly orthogonal (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
//! networks"), scaled so that its steps are as long as AdamW's (Liu et al. 2025, "Muon is Scalable for LLM Training").

use super::matmul::{matmul, View, ViewMut};
use super::optimizer::grad_norm;
use crate::MuonStep;

/// Coefficients of the quintic iteration of Newton and Schulz, and how often it is done: Jordan's.
pub const NEWTON_SCHULZ: ([f32; 3], usize) = ([3.4445, -4.7750, 2.0315], 5);

/// Kept from being divided by: the norm of a gradient of zeros.
const EPS: f64 = 1e-7;

/// Buffers of the iteration, kept between matrices.
#[derive(Debug, Default)]
pub struct MuonScratch {
    x: Vec<f32>,
    next: Vec<f32>,
    gram: Vec<f32>,
    mix: Vec<f32>,
}

/// Bytes of scratch that a matrix needs.
pub fn muon_scratch_bytes(rows: usize, cols: usize) -> usize {
    let side = rows.min(cols);
    4 * (2 * rows * cols + 2 * side * side)
}

/// One step on a row-major matrix `[rows, cols]` with its momentum.
///
/// # Panics
/// When a length is not `rows * cols`.
pub fn muon(
    value: &mut [f32],
    grad: &[f32],
    momentum: &mut [f32],
    (rows, cols): (usize, usize),
    s: &MuonStep,
    scratch: &mut MuonScratch,
) {
    let n = rows * cols;
    assert!(value.len() == n && grad.len() == n && momentum.len() == n);
    let mu = s.momentum as f32;
    scratch.x.clear();
    scratch.x.extend(momentum.iter_mut().zip(grad).map(|(m, g)| {
        let g = g * s.grad_scale;
        *m = mu * *m + g;
        // Nesterov: the gradient once more, with the momentum that it has just changed.
        g + mu * *m
    }));
    orthogonalise(scratch, rows, cols);
    let shrink = (1.0 - s.lr * s.weight_decay) as f32;
    // The root mean square of a matrix with singular values of 1 is 1 / √(longer side); AdamW's steps have about 0.2.
    let length = (s.lr * 0.2 * (rows.max(cols) as f64).sqrt()) as f32;
    for (w, x) in value.iter_mut().zip(&scratch.x) {
        *w = *w * shrink - length * x;
    }
}

/// Brings the singular values of `scratch.x` near 1.
fn orthogonalise(scratch: &mut MuonScratch, rows: usize, cols: usize) {
    let MuonScratch { x, next, gram, mix } = scratch;
    let norm = (grad_norm([&x[..]]) + EPS) as f32;
    x.iter_mut().for_each(|v| *v /= norm);
    let ([a, b, c], times) = NEWTON_SCHULZ;
    let side = rows.min(cols);
    gram.resize(side * side, 0.0);
    for _ in 0..times {
        // On the shorter side: X Xᵀ of a wide matrix, Xᵀ X of a tall one.
        let whole = View::new(x, rows, cols);
        let (left, right) = if rows <= cols { (whole, whole.t()) } else { (whole.t(), whole) };
        matmul(ViewMut::new(gram, side, side), left, right, 1.0, false, true);
        mix.clear();
        mix.extend(gram.iter().map(|g| b * g));
        let square = View::new(gram, side, side);
        matmul(ViewMut::new(mix, side, side), square, square, c, true, true);
        next.clear();
        next.extend(x.iter().map(|v| a * v));
        let mixed = View::new(mix, side, side);
        let (left, right) = if rows <= cols { (mixed, whole) } else { (whole, mixed) };
        matmul(ViewMut::new(next, rows, cols), left, right, 1.0, true, true);
        std::mem::swap(x, next);
    }
}
