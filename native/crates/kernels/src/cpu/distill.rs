//! The loss of a student against a teacher's distribution (Hinton et al. 2015).
#![allow(unsafe_code)]

use super::loss::Target;
use super::par::{self, Disjoint};
use super::simd::{self, vectorised};

/// How much the teacher counts, and at which temperature both are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distillation {
    /// Logits of both are divided by this, above 0.
    pub temperature: f32,
    /// Weight of the divergence; the label's loss has the rest of 1.
    pub alpha: f32,
}

/// For each row α T² KL(teacher ‖ student) at temperature T, plus (1 - α) times the label's negative log-likelihood. The
/// student's logits become their gradients when `gradient`.
///
/// `logits`, `teacher`: `[rows, vocab]`; `divergence` (KL, nats) and `nll`: `[rows]`.
/// Gradient: grad x (α T (q - p) + (1 - α) (softmax - onehot(label))), q and p of student and teacher at temperature T.
pub fn distill(
    logits: &mut [f32],
    teacher: &[f32],
    [divergence, nll]: [&mut [f32]; 2],
    targets: &[Target],
    settings: Distillation,
    gradient: bool,
) {
    let rows = targets.len();
    let vocab = logits.len() / rows.max(1);
    assert!(logits.len() == rows * vocab && teacher.len() == logits.len());
    assert!(divergence.len() == rows && nll.len() == rows);
    let (logits, nll) = (Disjoint::new(logits), Disjoint::new(nll));
    let divergence = Disjoint::new(divergence);
    par::ranges(rows, par::row_grain(vocab), |range| {
        // SAFETY: ranges of rows do not overlap.
        let (logits, nll, divergence) = unsafe {
            let logits = logits.part(range.start * vocab..range.end * vocab);
            (logits, nll.part(range.clone()), divergence.part(range.clone()))
        };
        let mut scratch = vec![0.0; 3 * vocab];
        vectorised(
            #[inline(always)]
            || {
                let teacher = teacher[range.start * vocab..].chunks_exact(vocab);
                let out = nll.iter_mut().zip(divergence.iter_mut());
                let rows = logits.chunks_exact_mut(vocab).zip(teacher).zip(out);
                for (((row, teacher), (nll, divergence)), target) in rows.zip(&targets[range.clone()]) {
                    (*divergence, *nll) = one(row, teacher, *target, settings, gradient, &mut scratch);
                }
            },
        );
    });
}

/// One row: its divergence and its label's loss.
#[inline(always)]
fn one(
    row: &mut [f32],
    teacher: &[f32],
    target: Target,
    Distillation { temperature, alpha }: Distillation,
    gradient: bool,
    scratch: &mut [f32],
) -> (f32, f32) {
    let (p, rest) = scratch.split_at_mut(row.len());
    let (q, own) = rest.split_at_mut(row.len());
    let (label, warm) = (target.label as usize, 1.0 / temperature);
    let (max, teacher_max) = (simd::max(row), simd::max(teacher));
    own.copy_from_slice(row);
    q.copy_from_slice(row);
    p.copy_from_slice(teacher);
    let own_sum = simd::exp_sum(own, 1.0, max);
    let q_sum = simd::exp_sum(q, warm, max * warm);
    let p_sum = simd::exp_sum(p, warm, teacher_max * warm);
    let nll = own_sum.ln() + (max - row[label]);
    // Σ p (log p - log q): the logits' differences under p, and the difference of the normalisers.
    let mut gap = 0.0f64;
    for ((p, t), s) in p.iter().zip(teacher).zip(row.iter()) {
        gap += f64::from(p * ((t - teacher_max) - (s - max)));
    }
    let divergence = gap as f32 * warm / p_sum + (q_sum.ln() - p_sum.ln());
    if gradient {
        let soft = target.grad * alpha * temperature;
        let (q_factor, p_factor) = (soft / q_sum, soft / p_sum);
        let own_factor = target.grad * (1.0 - alpha) / own_sum;
        for (((x, q), p), own) in row.iter_mut().zip(q.iter()).zip(p.iter()).zip(own.iter()) {
            *x = q * q_factor - p * p_factor + own * own_factor;
        }
        row[label] -= target.grad * (1.0 - alpha);
    }
    (divergence, nll)
}
