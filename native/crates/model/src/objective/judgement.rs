//! Single answers judged good or bad: KTO (Ethayarajh et al. 2024).

use super::{sigmoid, Weighed};

/// Answers of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Log-probability of each completion under the policy, `[answers]`, nats.
    pub policy: &'a [f64],
    /// The same under the reference.
    pub reference: &'a [f64],
    /// Whether it is wanted.
    pub good: &'a [bool],
    /// Log-probabilities of completions that belong to other prompts, under policy and reference.
    pub unrelated: &'a [(f64, f64)],
}

impl Judged<'_> {
    /// How far the policy has moved from the reference: the mean log-ratio of the unrelated completions, at least 0.
    pub fn drift(&self) -> f64 {
        let sum: f64 = self.unrelated.iter().map(|(policy, reference)| policy - reference).sum();
        (sum / self.unrelated.len().max(1) as f64).max(0.0)
    }
}

/// The mean of w (1 - σ(β (r - z))) over good answers and v (1 - σ(β (z - r))) over bad ones (eq. 7), r the log-ratio and
/// `[w, v]` the weights; z is the [drift](Judged::drift), and has no gradient.
pub fn kto(batch: &Judged, beta: f64, weights: [f64; 2]) -> Weighed {
    let n = batch.policy.len() as f64;
    let z = batch.drift();
    let mut out = Weighed::default();
    for ((policy, reference), good) in batch.policy.iter().zip(batch.reference).zip(batch.good) {
        let (sign, weight) = if *good { (1.0, weights[0]) } else { (-1.0, weights[1]) };
        let s = sigmoid(sign * beta * (policy - reference - z));
        out.each.push(weight * (1.0 - s));
        out.completion.push(-sign * weight * beta * s * (1.0 - s) / n);
    }
    out.loss = out.each.iter().sum::<f64>() / n;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives_and_weights_count() {
        let (policy, reference) = ([-10.0, -12.0, -9.5], [-11.0, -11.5, -9.0]);
        let (good, unrelated) = ([true, false, true], [(-20.0, -21.0), (-15.0, -15.2)]);
        let at = |policy: &[f64], weights| {
            let batch = Judged { policy, reference: &reference, good: &good, unrelated: &unrelated };
            kto(&batch, 0.3, weights)
        };
        let found = at(&policy, [1.0, 2.0]);
        for i in 0..3 {
            let moved = |by: f64| {
                let mut p = policy;
                p[i] += by;
                at(&p, [1.0, 2.0]).loss
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - found.completion[i]).abs() < 1e-8, "{i}: {slope}");
        }
        let plain = at(&policy, [1.0, 1.0]);
        assert_eq!(found.each[1], 2.0 * plain.each[1]);
        assert_eq!(found.each[0], plain.each[0]);
    }

    #[test]
    fn a_policy_that_came_closer_to_the_unrelated_has_not_drifted() {
        let batch =
            Judged { policy: &[], reference: &[], good: &[], unrelated: &[(-5.0, -4.0), (-2.0, -2.5)] };
        assert_eq!(batch.drift(), 0.0);
    }

    #[test]
    fn the_loss_is_the_papers_at_the_mean_drift() {
        // Equation 7 written out; the drift is the mean of 1.0 and 0.2.
        let batch = Judged {
            policy: &[-10.0, -12.0],
            reference: &[-11.0, -11.5],
            good: &[true, false],
            unrelated: &[(-20.0, -21.0), (-15.0, -15.2)],
        };
        assert!((batch.drift() - 0.6).abs() < 1e-12);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let wanted = [1.0 - sigmoid(0.3 * (1.0 - 0.6)), 2.0 * (1.0 - sigmoid(0.3 * (0.6 + 0.5)))];
        let found = kto(&batch, 0.3, [1.0, 2.0]);
        assert!(found.each.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert!((found.loss - (wanted[0] + wanted[1]) / 2.0).abs() < 1e-12);
    }
}
