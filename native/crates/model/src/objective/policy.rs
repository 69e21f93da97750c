//! Policy gradients on a model's own samples: GRPO (Shao et al. 2024) and its variants, as TRL computes them.

/// How the tokens' terms become one loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// Mean over the tokens of each completion, then over the completions (GRPO).
    Completions,
    /// Over all tokens of the batch (BNPO; DAPO, Yu et al. 2025).
    Tokens,
    /// Sum over each completion's tokens, mean over the completions: REINFORCE (Williams 1992), RLOO (Ahmadian et al. 2024).
    Sequences,
    /// Sum over the completions' longest possible length (Dr. GRPO, Liu et al. 2025).
    Longest(usize),
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyLoss {
    /// How the tokens' terms become one loss.
    pub average: Average,
    /// The ratio to the old policy is clipped to 1 ± this.
    pub clip: f64,
    /// One ratio for each completion: the exponential of the mean log-ratio (GSPO, Zheng et al. 2025).
    pub sequence_ratio: bool,
    /// Weight of the divergence from the reference, by the estimator e^d - d - 1 with d = reference - policy (Schulman 2020).
    pub beta: f64,
    /// The divergence's terms are multiplied by the ratio.
    pub correct_divergence: bool,
}

/// One completion.
#[derive(Debug, Clone, Copy)]
pub struct Generated<'a> {
    /// Log-probability of each token now, `[tokens]`, nats.
    pub policy: &'a [f64],
    /// The same when it was sampled.
    pub old: &'a [f64],
    /// The same under the reference; empty where `beta` is 0.
    pub reference: &'a [f64],
    /// How much better the completion is than was to be expected, the same for all its tokens.
    pub advantage: f64,
}

/// Rewards of the completions of one prompt as multiples of their standard deviation (n - 1) around their mean.
pub fn advantages(rewards: &[f64]) -> Vec<f64> {
    let n = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / n;
    let variance = rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    rewards.iter().map(|r| (r - mean) / (variance.sqrt() + 1e-4)).collect()
}

/// Each reward against the mean of the others of its prompt (Kool et al. 2019; Ahmadian et al. 2024, eq. 8).
pub fn leave_one_out(rewards: &[f64]) -> Vec<f64> {
    let others = rewards.len() as f64 - 1.0;
    let sum: f64 = rewards.iter().sum();
    let against = |r: &f64| if others > 0.0 { r - (sum - r) / others } else { *r };
    rewards.iter().map(against).collect()
}

/// The loss, and for each completion its slope in the log-probability of each token.
pub fn policy(batch: &[Generated], kind: &PolicyLoss) -> (f64, Vec<Vec<f64>>) {
    let all: usize = batch.iter().map(|g| g.policy.len()).sum();
    let (mut loss, mut slopes) = (0.0, Vec::with_capacity(batch.len()));
    for one in batch {
        let tokens = one.policy.len();
        let weight = match kind.average {
            Average::Completions => 1.0 / (tokens.max(1) * batch.len()) as f64,
            Average::Tokens => 1.0 / all as f64,
            Average::Sequences => 1.0 / batch.len() as f64,
            Average::Longest(longest) => 1.0 / (longest * batch.len()) as f64,
        };
        let (sum, mut own) = completion(one, kind);
        loss += weight * sum;
        own.iter_mut().for_each(|d| *d *= weight);
        slopes.push(own);
    }
    (loss, slopes)
}

/// The sum of a completion's terms, and its slopes.
fn completion(one: &Generated, kind: &PolicyLoss) -> (f64, Vec<f64>) {
    let tokens = one.policy.len();
    let log_ratios: Vec<f64> = one.policy.iter().zip(one.old).map(|(p, o)| p - o).collect();
    let mean = log_ratios.iter().sum::<f64>() / tokens.max(1) as f64;
    let (mut sum, mut slopes) = (0.0, vec![0.0; tokens]);
    // The slope in the mean log-ratio, which every token shares.
    let mut shared = 0.0;
    for t in 0..tokens {
        let ratio = (if kind.sequence_ratio { mean } else { log_ratios[t] }).exp();
        let clipped = ratio.clamp(1.0 - kind.clip, 1.0 + kind.clip);
        // The pessimistic of the two; where it is the clipped one, nothing moves.
        let free = ratio * one.advantage <= clipped * one.advantage;
        let gain = if free { ratio } else { clipped } * one.advantage;
        let mut through_ratio = if free { -ratio * one.advantage } else { 0.0 };
        sum -= gain;
        if kind.beta != 0.0 {
            let d = one.reference[t] - one.policy[t];
            let divergence = d.exp() - d - 1.0;
            let factor = if kind.correct_divergence { ratio } else { 1.0 };
            sum += kind.beta * divergence * factor;
            slopes[t] += kind.beta * (1.0 - d.exp()) * factor;
            if kind.correct_divergence {
                through_ratio += kind.beta * divergence * ratio;
            }
        }
        if kind.sequence_ratio {
            shared += through_ratio / tokens as f64;
        } else {
            slopes[t] += through_ratio;
        }
    }
    slopes.iter_mut().for_each(|d| *d += shared);
    (sum, slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reward_is_held_against_the_others() {
        let found = leave_one_out(&[1.0, 0.0, 0.5, 0.5]);
        for (found, wanted) in found.iter().zip([2.0 / 3.0, -2.0 / 3.0, 0.0, 0.0]) {
            assert!((found - wanted).abs() < 1e-12, "{found}");
        }
        assert_eq!(leave_one_out(&[2.0]), [2.0]);
    }

    const CASES: [(bool, f64, bool); 5] =
        [(false, 0.0, false), (false, 0.3, false), (false, 0.3, true), (true, 0.0, false), (true, 0.3, true)];

    #[test]
    fn losses_are_those_of_pytorch() {
        // TRL's formulas in PyTorch, in double precision: ratios within the bounds, and beyond them to both sides.
        let old = [vec![-1.0, -2.0, -0.5], vec![-3.0, -0.2]];
        let now = [vec![-0.9, -2.5, -0.1], vec![-2.5, -0.15]];
        let reference = [vec![-1.2, -2.2, -0.4], vec![-3.0, -0.3]];
        let one = |i: usize, advantage| Generated {
            policy: &now[i],
            old: &old[i],
            reference: &reference[i],
            advantage,
        };
        let wanted = [
            (
                Average::Completions,
                [
                    -0.2554267302087435,
                    -0.24005907005144483,
                    -0.23459722212110568,
                    -0.28921426379633247,
                    -0.27106338179274203,
                ],
            ),
            (
                Average::Tokens,
                [
                    -0.4955115419458229,
                    -0.4805875088411951,
                    -0.47612302276364565,
                    -0.531371411037066,
                    -0.5142208004554047,
                ],
            ),
            (
                Average::Sequences,
                [
                    -1.2387788548645573,
                    -1.201468772102988,
                    -1.1903075569091144,
                    -1.3284285275926648,
                    -1.2855520011385122,
                ],
            ),
            (
                Average::Longest(7),
                [
                    -0.1769684078377939,
                    -0.17163839601471256,
                    -0.17004393670130205,
                    -0.1897755039418093,
                    -0.18365028587693033,
                ],
            ),
        ];
        for (average, all) in wanted {
            for ((sequence_ratio, beta, correct_divergence), wanted) in CASES.into_iter().zip(all) {
                let kind = PolicyLoss { average, clip: 0.2, sequence_ratio, beta, correct_divergence };
                let found = policy(&[one(0, 1.5), one(1, -0.7)], &kind).0;
                assert!((found - wanted).abs() < 1e-12, "{kind:?}: {found} instead of {wanted}");
            }
        }
    }

    #[test]
    fn slopes_are_derivatives() {
        let old = [vec![-1.0, -2.0, -0.5], vec![-3.0, -0.2]];
        let now = [vec![-0.9, -2.5, -0.5], vec![-2.9, -0.15]];
        let reference = [vec![-1.2, -2.2, -0.4], vec![-3.0, -0.3]];
        for average in [Average::Completions, Average::Tokens, Average::Sequences, Average::Longest(7)] {
            for (sequence_ratio, beta, correct_divergence) in CASES {
                let kind = PolicyLoss { average, clip: 0.2, sequence_ratio, beta, correct_divergence };
                let at = |now: &[Vec<f64>; 2]| {
                    let one = |i: usize, advantage| Generated {
                        policy: &now[i],
                        old: &old[i],
                        reference: &reference[i],
                        advantage,
                    };
                    policy(&[one(0, 1.5), one(1, -0.7)], &kind)
                };
                let slopes = at(&now).1;
                let h = 1e-6;
                for i in 0..2 {
                    for t in 0..now[i].len() {
                        let moved = |by: f64| {
                            let mut now = now.clone();
                            now[i][t] += by;
                            at(&now).0
                        };
                        let slope = (moved(h) - moved(-h)) / (2.0 * h);
                        assert!((slope - slopes[i][t]).abs() < 1e-7, "{kind:?} {i} {t}: {slope}");
                    }
                }
            }
        }
    }

    #[test]
    fn advantages_have_mean_zero_and_deviation_one() {
        let found = advantages(&[1.0, 0.0, 0.25, 2.0]);
        assert!(found.iter().sum::<f64>().abs() < 1e-12);
        // The reference of TRL for these rewards.
        assert!((found[3] - 1.321_508_765_220_642).abs() < 1e-6);
        assert_eq!(advantages(&[3.0, 3.0]), [0.0, 0.0], "equal rewards teach nothing");
    }
}
