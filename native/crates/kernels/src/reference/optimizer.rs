//! AdamW, one number at a time, and Muon by its definition.

use crate::{AdamWStep, MuonStep};

/// One step on `value` with its moments.
pub fn adamw(value: &mut [f64], grad: &[f64], first: &mut [f64], second: &mut [f64], s: &AdamWStep) {
    for i in 0..value.len() {
        let g = grad[i] * f64::from(s.grad_scale);
        value[i] -= s.lr * s.weight_decay * value[i];
        first[i] = s.beta1 * first[i] + (1.0 - s.beta1) * g;
        second[i] = s.beta2 * second[i] + (1.0 - s.beta2) * g * g;
        let m = first[i] / (1.0 - s.beta1.powi(s.step as i32));
        let v = second[i] / (1.0 - s.beta2.powi(s.step as i32));
        value[i] -= s.lr * m / (v.sqrt() + s.eps);
    }
}

/// L2 norm of all numbers together.
pub fn grad_norm(grads: &[&[f64]]) -> f64 {
    grads.iter().flat_map(|g| g.iter()).map(|x| x * x).sum::<f64>().sqrt()
}

/// One Muon step on a row-major matrix `[rows, cols]` with its momentum.
pub fn muon(
    value: &mut [f64],
    grad: &[f64],
    momentum: &mut [f64],
    (rows, cols): (usize, usize),
    s: &MuonStep,
) {
    let g: Vec<f64> = grad.iter().map(|g| g * f64::from(s.grad_scale)).collect();
    for (m, g) in momentum.iter_mut().zip(&g) {
        *m = s.momentum * *m + g;
    }
    let update: Vec<f64> = g.iter().zip(momentum.iter()).map(|(g, m)| g + s.momentum * m).collect();
    let x = newton_schulz(&update, rows, cols);
    for (w, x) in value.iter_mut().zip(x) {
        *w -= s.lr * (s.weight_decay * *w + 0.2 * (rows.max(cols) as f64).sqrt() * x);
    }
}

/// `X ← a X + (b X Xᵀ + c (X Xᵀ)²) X`, five times, from `X / ‖X‖`; a tall matrix is turned first, as in Jordan's code.
pub fn newton_schulz(x: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    if rows > cols {
        return turn(&newton_schulz(&turn(x, rows, cols), cols, rows), cols, rows);
    }
    let norm = grad_norm(&[x]) + 1e-7;
    let mut x: Vec<f64> = x.iter().map(|v| v / norm).collect();
    for _ in 0..5 {
        let gram = product(&x, &turn(&x, rows, cols), rows, cols, rows);
        let square = product(&gram, &gram, rows, rows, rows);
        let mix: Vec<f64> = gram.iter().zip(&square).map(|(g, s)| -4.7750 * g + 2.0315 * s).collect();
        let mixed = product(&mix, &x, rows, rows, cols);
        x = x.iter().zip(&mixed).map(|(x, m)| 3.4445 * x + m).collect();
    }
    x
}

fn turn(x: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
}

/// `[m, k] [k, n]`.
fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let cell = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
    (0..m * n).map(|at| cell(at / n, at % n)).collect()
}
