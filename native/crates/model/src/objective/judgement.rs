//! Single answers judged good or bad: KTO (Ethayarajh et al. 2024).

use super::{sigmoid, Weighed};

/// Answers of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Log-probability of each completion under the policy and under the reference.
    pub policy: &'a [f64],
    pub reference: &'a [f64],
    /// Whether it is wanted.
    pub good: &'a [bool],
    /// Log-probabilities of completions that belong to other prompts, under policy and reference.
    pub unrelated: &'a [(f64, f64)],
}

/// The mean of 1 - σ(β (r - z)) over good answers and 1 - σ(β (z - r)) over bad ones (eq. 7), r the log-ratio; z is the mean
/// log-ratio of the unrelated completions, at least 0, and has no gradient.
pub fn kto(batch: &Judged, beta: f64) -> Weighed {
    let n = batch.policy.len() as f64;
    let drift = batch.unrelated.iter().map(|(p, r)| p - r).sum::<f64>() / batch.unrelated.len().max(1) as f64;
    let z = drift.max(0.0);
    let mut out = Weighed::default();
    for ((policy, reference), good) in batch.policy.iter().zip(batch.reference).zip(batch.good) {
        let sign = if *good { 1.0 } else { -1.0 };
        let s = sigmoid(sign * beta * (policy - reference - z));
        out.loss += (1.0 - s) / n;
        out.completion.push(-sign * beta * s * (1.0 - s) / n);
    }
    out
}
