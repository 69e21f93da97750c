//! The operations in the plainest form, in f64: what every backend is compared with, and what finite differences are
//! taken of. Arguments have the shapes of [`crate::cpu`]'s operations of the same name.

use crate::Activation;

mod attention;
mod optimizer;

pub use attention::{attention, attention_backward};
pub use optimizer::{adamw, grad_norm, muon, newton_schulz};

/// `y[rows, out] = x[rows, in] wᵀ`, with `w[out, in]`.
pub fn linear(x: &[f64], w: &[f64], rows: usize) -> Vec<f64> {
    let ins = x.len() / rows;
    let outs = w.len() / ins;
    let mut y = vec![0.0; rows * outs];
    for r in 0..rows {
        for o in 0..outs {
            y[r * outs + o] = (0..ins).map(|i| x[r * ins + i] * w[o * ins + i]).sum();
        }
    }
    y
}

/// Gradients of [`linear`] with respect to `x` and `w`.
pub fn linear_backward(dy: &[f64], x: &[f64], w: &[f64], rows: usize) -> (Vec<f64>, Vec<f64>) {
    let (ins, outs) = (x.len() / rows, dy.len() / rows);
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
    for r in 0..rows {
        for o in 0..outs {
            for i in 0..ins {
                dx[r * ins + i] += dy[r * outs + o] * w[o * ins + i];
                dw[o * ins + i] += dy[r * outs + o] * x[r * ins + i];
            }
        }
    }
    (dx, dw)
}

/// RMSNorm of every row.
pub fn rms_norm(x: &[f64], w: &[f64], eps: f64) -> Vec<f64> {
    x.chunks(w.len())
        .flat_map(|row| {
            let mean = row.iter().map(|v| v * v).sum::<f64>() / w.len() as f64;
            row.iter().zip(w).map(move |(v, w)| w * v / (mean + eps).sqrt())
        })
        .collect()
}

/// Gradients of [`rms_norm`] with respect to `x` and `w`.
pub fn rms_norm_backward(dy: &[f64], x: &[f64], w: &[f64], eps: f64) -> (Vec<f64>, Vec<f64>) {
    let n = w.len();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; n]);
    for row in 0..x.len() / n {
        let (x, dy) = (&x[row * n..(row + 1) * n], &dy[row * n..(row + 1) * n]);
        let inv = 1.0 / (x.iter().map(|v| v * v).sum::<f64>() / n as f64 + eps).sqrt();
        let common: f64 = (0..n).map(|i| w[i] * dy[i] * x[i]).sum::<f64>() * inv.powi(3) / n as f64;
        for i in 0..n {
            dx[row * n + i] = inv * w[i] * dy[i] - common * x[i];
            dw[i] += dy[i] * x[i] * inv;
        }
    }
    (dx, dw)
}

/// Rotary embedding of one head's vector with the given frequencies; `sign` -1 rotates back.
pub fn rope(x: &[f64], position: f64, frequencies: &[f64], sign: f64) -> Vec<f64> {
    let half = frequencies.len();
    let mut y = x.to_vec();
    for i in 0..half {
        let (s, c) = (position * frequencies[i]).sin_cos();
        y[i] = x[i] * c - sign * x[i + half] * s;
        y[i + half] = x[i + half] * c + sign * x[i] * s;
    }
    y
}

/// An activation's value.
pub fn activation(x: f64, kind: Activation) -> f64 {
    match kind {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + u.tanh())
        }
        Activation::Gelu => 0.5 * x * erfc(-x / std::f64::consts::SQRT_2),
    }
}

/// The complementary error function: by the series of erf where that converges fast, else by the continued fraction of erfc
/// (Abramowitz & Stegun 1964, 7.1.6 and 7.1.14).
pub fn erfc(z: f64) -> f64 {
    let bell = (-z * z).exp();
    if z.abs() < 2.5 {
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while term.abs() > 1e-17 * sum.abs() {
            n += 1.0;
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 / std::f64::consts::PI.sqrt() * bell * sum;
    }
    let fraction = (1..120).rev().fold(z.abs(), |under, n| z.abs() + 0.5 * f64::from(n) / under);
    let tail = bell / (std::f64::consts::PI.sqrt() * fraction);
    if z > 0.0 {
        tail
    } else {
        2.0 - tail
    }
}

/// LayerNorm of every row.
pub fn layer_norm(x: &[f64], w: &[f64], b: &[f64], eps: f64) -> Vec<f64> {
    let n = w.len() as f64;
    x.chunks(w.len())
        .flat_map(|row| {
            let mean = row.iter().sum::<f64>() / n;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            row.iter().zip(w).zip(b).map(move |((v, w), b)| w * (v - mean) / (variance + eps).sqrt() + b)
        })
        .collect()
}

/// Negative log-likelihood of `label` under one row of logits.
pub fn cross_entropy(logits: &[f64], label: usize) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln() + max - logits[label]
}

/// Gradient of [`cross_entropy`].
pub fn cross_entropy_backward(logits: &[f64], label: usize) -> Vec<f64> {
    let mut p = softmax(logits);
    p[label] -= 1.0;
    p
}

/// α T² KL(teacher ‖ student) at temperature T plus (1 - α) times the label's loss.
pub fn distill(logits: &[f64], teacher: &[f64], label: usize, temperature: f64, alpha: f64) -> f64 {
    let warm = |x: &[f64]| softmax(&x.iter().map(|v| v / temperature).collect::<Vec<_>>());
    let divergence: f64 = warm(teacher).iter().zip(warm(logits)).map(|(p, q)| p * (p.ln() - q.ln())).sum();
    alpha * temperature * temperature * divergence + (1.0 - alpha) * cross_entropy(logits, label)
}

/// Gradient of [`distill`] in the student's logits.
pub fn distill_backward(
    logits: &[f64],
    teacher: &[f64],
    label: usize,
    temperature: f64,
    alpha: f64,
) -> Vec<f64> {
    let warm = |x: &[f64]| softmax(&x.iter().map(|v| v / temperature).collect::<Vec<_>>());
    let own = cross_entropy_backward(logits, label);
    let gaps = warm(logits).into_iter().zip(warm(teacher)).map(|(q, p)| alpha * temperature * (q - p));
    gaps.zip(own).map(|(soft, hard)| soft + (1.0 - alpha) * hard).collect()
}

/// Softmax of one row.
pub fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = x.iter().map(|v| (v - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|v| v / sum).collect()
}

/// Rows of a table.
pub fn embedding(table: &[f64], tokens: &[u32], width: usize) -> Vec<f64> {
    tokens.iter().flat_map(|&t| table[t as usize * width..(t as usize + 1) * width].iter().copied()).collect()
}

/// Gradient of [`embedding`] with respect to the table, which has `rows` rows.
pub fn embedding_backward(dy: &[f64], tokens: &[u32], rows: usize, width: usize) -> Vec<f64> {
    let mut d = vec![0.0; rows * width];
    for (t, &token) in tokens.iter().enumerate() {
        for i in 0..width {
            d[token as usize * width + i] += dy[t * width + i];
        }
    }
    d
}
