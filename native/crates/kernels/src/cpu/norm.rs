//! RMSNorm (Zhang & Sennrich 2019).
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::{dot, dot3, vectorised};
use rayon::prelude::*;

/// `y = w * x / sqrt(mean(x²) + eps)`, row by row.
///
/// `x`, `y`: `[rows, width]`; `w`: `[width]`; `inverse`: `[rows]`, receives 1 / sqrt(mean(x²) + eps).
pub fn rms_norm(y: &mut [f32], inverse: &mut [f32], x: &[f32], w: &[f32], eps: f32) {
    let width = w.len();
    let rows = inverse.len();
    assert!(x.len() == rows * width && y.len() == x.len());
    let (y, inverse) = (Disjoint::new(y), Disjoint::new(inverse));
    par::ranges(rows, par::row_grain(width), |range| {
        // SAFETY: ranges of rows do not overlap.
        let (y, inverse) =
            unsafe { (y.part(range.start * width..range.end * width), inverse.part(range.clone())) };
        let x = &x[range.start * width..range.end * width];
        vectorised(
            #[inline(always)]
            || {
                for ((y, x), inverse) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inverse) {
                    let inv = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
                    *inverse = inv;
                    for i in 0..width {
                        y[i] = w[i] * (x[i] * inv);
                    }
                }
            },
        );
    });
}

/// Rows whose contributions to the weight's gradient are summed before they are joined.
const DW_ROWS: usize = 64;

/// Adds the gradient of [`rms_norm`] to `dx`, and to `dw` where the weight is trained.
///
/// dx = inv (w dy - x inv² mean(w dy x)), dw = Σ dy x inv.
pub fn rms_norm_backward(
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
    dy: &[f32],
    x: &[f32],
    w: &[f32],
    inverse: &[f32],
) {
    let width = w.len();
    let rows = inverse.len();
    assert!(x.len() == rows * width && dy.len() == x.len());
    if let Some(dx) = dx {
        assert!(dx.len() == x.len());
        let dx = Disjoint::new(dx);
        par::ranges(rows, par::row_grain(width), |range| {
            // SAFETY: ranges of rows do not overlap.
            let dx = unsafe { dx.part(range.start * width..range.end * width) };
            vectorised(
                #[inline(always)]
                || {
                    for (dx, row) in dx.chunks_exact_mut(width).zip(range) {
                        let (x, dy) =
                            (&x[row * width..(row + 1) * width], &dy[row * width..(row + 1) * width]);
                        let inv = inverse[row];
                        let common = inv * inv * inv * dot3(w, dy, x) / width as f32;
                        for i in 0..width {
                            dx[i] += inv * w[i] * dy[i] - common * x[i];
                        }
                    }
                },
            );
        });
    }
    if let Some(dw) = dw {
        let mut partial = vec![0.0f32; rows.div_ceil(DW_ROWS) * width];
        partial.par_chunks_mut(width.max(1)).enumerate().for_each(|(chunk, sum)| {
            vectorised(
                #[inline(always)]
                || {
                    for row in chunk * DW_ROWS..rows.min((chunk + 1) * DW_ROWS) {
                        let (x, dy) =
                            (&x[row * width..(row + 1) * width], &dy[row * width..(row + 1) * width]);
                        let inv = inverse[row];
                        for i in 0..width {
                            sum[i] += dy[i] * (x[i] * inv);
                        }
                    }
                },
            );
        });
        for sum in partial.chunks_exact(width) {
            for (d, s) in dw.iter_mut().zip(sum) {
                *d += s;
            }
        }
    }
}
