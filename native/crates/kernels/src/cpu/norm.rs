//! RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016), over rows or over the heads inside them.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::{dot, dot3, sum, vectorised};
use crate::Runs;
use rayon::prelude::*;

/// Rows whose contributions to the weight's gradient are summed before they are joined.
const DW_ROWS: usize = 64;

/// `y = (w + offset) * x / sqrt(mean(x²) + eps)`, run by run.
///
/// `x_runs`, `y_runs`: where the runs lie in `x` and `y`; `w`: one run's width, `offset` 1 where the weight is stored
/// as its difference from 1 (Gemma); `inverse`: one number a run, receives 1 / sqrt(mean(x²) + eps).
pub fn rms_norm(
    (y, y_runs): (&mut [f32], Runs),
    inverse: &mut [f32],
    (x, x_runs): (&[f32], Runs),
    w: &[f32],
    offset: f32,
    eps: f32,
) {
    let width = w.len();
    let runs = x_runs.count();
    assert!(x_runs.fit(x.len()) && y_runs.fit(y.len()) && y_runs.count() == runs && inverse.len() == runs);
    assert!(x_runs.width == width && y_runs.width == width);
    let (y, inverse) = (Disjoint::new(y), Disjoint::new(inverse));
    par::ranges(runs, par::row_grain(width), |range| {
        // SAFETY: ranges of runs do not overlap, nor do the runs themselves.
        let inverse = unsafe { inverse.part(range.clone()) };
        vectorised(
            #[inline(always)]
            || {
                for (inverse, run) in inverse.iter_mut().zip(range) {
                    let x = &x[x_runs.at(run)..x_runs.at(run) + width];
                    // SAFETY: as above.
                    let y = &mut unsafe { y.part(y_runs.at(run)..y_runs.at(run) + width) }[..width];
                    let inv = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
                    *inverse = inv;
                    for i in 0..width {
                        y[i] = (w[i] + offset) * (x[i] * inv);
                    }
                }
            },
        );
    });
}

/// Gradient of [`rms_norm`]: of its input into `dx`, which it is added to when `accumulate`, and added to `dw` where
/// the weight is trained. `dy` lies as `dx` does.
///
/// dx = inv (w dy - x inv² mean(w dy x)), dw = Σ dy x inv.
#[allow(clippy::too_many_arguments)]
pub fn rms_norm_backward(
    (dx, d_runs): (&mut [f32], Runs),
    dw: Option<&mut [f32]>,
    dy: &[f32],
    (x, x_runs): (&[f32], Runs),
    w: &[f32],
    offset: f32,
    inverse: &[f32],
    accumulate: bool,
) {
    let width = w.len();
    let runs = inverse.len();
    assert!(x_runs.fit(x.len()) && d_runs.fit(dx.len()) && d_runs.fit(dy.len()) && d_runs.count() == runs);
    if let Some(dw) = dw {
        weight_gradient(
            dw,
            runs,
            #[inline(always)]
            |run, sum| {
                let (x, dy) = (&x[x_runs.at(run)..][..width], &dy[d_runs.at(run)..][..width]);
                let (inv, sum) = (inverse[run], &mut sum[..width]);
                for i in 0..width {
                    sum[i] += dy[i] * (x[i] * inv);
                }
            },
        );
    }
    let dx = Disjoint::new(dx);
    par::ranges(runs, par::row_grain(width), |range| {
        vectorised(
            #[inline(always)]
            || {
                for run in range {
                    let (x, dy) = (&x[x_runs.at(run)..][..width], &dy[d_runs.at(run)..][..width]);
                    // SAFETY: ranges of runs do not overlap, nor do the runs themselves.
                    let dx = &mut unsafe { dx.part(d_runs.at(run)..d_runs.at(run) + width) }[..width];
                    let inv = inverse[run];
                    let common = dot3(w, dy, x) + offset * dot(dy, x);
                    let common = inv * inv * inv * common / width as f32;
                    for i in 0..width {
                        let d = inv * (w[i] + offset) * dy[i] - common * x[i];
                        dx[i] = if accumulate { dx[i] + d } else { d };
                    }
                }
            },
        );
    });
}

/// `y = w (x - mean) / sqrt(variance + eps) + b`, row by row; `stats`: `[rows, 2]`, receives mean and inverse deviation.
pub fn layer_norm(y: &mut [f32], stats: &mut [f32], x: &[f32], w: &[f32], b: &[f32], eps: f32) {
    let width = w.len();
    let rows = stats.len() / 2;
    assert!(x.len() == rows * width && y.len() == x.len() && b.len() == width);
    let (y, stats) = (Disjoint::new(y), Disjoint::new(stats));
    par::ranges(rows, par::row_grain(width), |range| {
        // SAFETY: ranges of rows do not overlap.
        let (y, stats) = unsafe {
            (y.part(range.start * width..range.end * width), stats.part(range.start * 2..range.end * 2))
        };
        let x = &x[range.start * width..range.end * width];
        vectorised(
            #[inline(always)]
            || {
                for ((y, x), stats) in
                    y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(stats.chunks_exact_mut(2))
                {
                    let mean = sum(x) / width as f32;
                    for i in 0..width {
                        y[i] = x[i] - mean;
                    }
                    let inv = 1.0 / (dot(y, y) / width as f32 + eps).sqrt();
                    (stats[0], stats[1]) = (mean, inv);
                    for i in 0..width {
                        y[i] = w[i] * (y[i] * inv) + b[i];
                    }
                }
            },
        );
    });
}

/// Adds the gradient of [`layer_norm`] to `dx`, and to `dw` and `db` where they are trained.
///
/// With n = (x - mean) inv: dx = inv (w dy - mean(w dy) - n mean(w dy n)), dw = Σ dy n, db = Σ dy.
pub fn layer_norm_backward(
    dx: &mut [f32],
    [dw, db]: [Option<&mut [f32]>; 2],
    dy: &[f32],
    x: &[f32],
    w: &[f32],
    stats: &[f32],
) {
    let width = w.len();
    let rows = stats.len() / 2;
    assert!(x.len() == rows * width && dy.len() == x.len() && dx.len() == x.len());
    if let Some(dw) = dw {
        weight_gradient(
            dw,
            rows,
            #[inline(always)]
            |row, sum| {
                let (x, dy) = (&x[row * width..][..width], &dy[row * width..][..width]);
                let (mean, inv, sum) = (stats[2 * row], stats[2 * row + 1], &mut sum[..width]);
                for i in 0..width {
                    sum[i] += dy[i] * (x[i] - mean) * inv;
                }
            },
        );
    }
    if let Some(db) = db {
        weight_gradient(
            db,
            rows,
            #[inline(always)]
            |row, sum| {
                for (s, d) in sum.iter_mut().zip(&dy[row * width..][..width]) {
                    *s += d;
                }
            },
        );
    }
    let dx = Disjoint::new(dx);
    par::ranges(rows, par::row_grain(width), |range| {
        // SAFETY: ranges of rows do not overlap.
        let dx = unsafe { dx.part(range.start * width..range.end * width) };
        vectorised(
            #[inline(always)]
            || {
                for (dx, row) in dx.chunks_exact_mut(width).zip(range) {
                    let (x, dy) = (&x[row * width..][..width], &dy[row * width..][..width]);
                    let (mean, inv) = (stats[2 * row], stats[2 * row + 1]);
                    let first = dot(w, dy) / width as f32;
                    let second = (dot3(w, dy, x) / width as f32 - first * mean) * inv;
                    for i in 0..width {
                        dx[i] += inv * (w[i] * dy[i] - first - (x[i] - mean) * inv * second);
                    }
                }
            },
        );
    });
}

/// Adds what `add` gives for each row to `dw`: in groups of rows whose order does not depend on the threads.
fn weight_gradient(dw: &mut [f32], rows: usize, add: impl Fn(usize, &mut [f32]) + Sync) {
    let width = dw.len();
    let mut partial = vec![0.0f32; rows.div_ceil(DW_ROWS) * width];
    partial.par_chunks_mut(width.max(1)).enumerate().for_each(|(chunk, sum)| {
        vectorised(
            #[inline(always)]
            || {
                for row in chunk * DW_ROWS..rows.min((chunk + 1) * DW_ROWS) {
                    add(row, sum);
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
