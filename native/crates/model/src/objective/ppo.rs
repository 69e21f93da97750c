//! Proximal policy optimisation with a value head (Schulman et al. 2017; of answers to prompts: Ziegler et al. 2019), as TRL's
//! `PPOTrainer` computes it.

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PpoLoss {
    /// The ratio to the old policy is clipped to 1 ± this.
    pub clip: f64,
    /// A value counts at most this far from the old one.
    pub value_clip: f64,
    /// Weight of the values' loss.
    pub value_weight: f64,
}

/// One answer, each list `[tokens]`.
#[derive(Debug, Clone, Copy)]
pub struct Valued<'a> {
    /// Log-probability of each token now, nats.
    pub policy: &'a [f64],
    /// The same when it was drawn.
    pub old: &'a [f64],
    /// Value of the text before each token now, in units of reward.
    pub value: &'a [f64],
    /// The same when the token was drawn.
    pub old_value: &'a [f64],
    /// How much better each token is than was to be expected, see [`gae`].
    pub advantage: &'a [f64],
    /// What the values learn to say, see [`gae`].
    pub returns: &'a [f64],
}

impl<'a> Valued<'a> {
    /// Answers from the lists of all answers, in the order of the fields, `[answers][tokens]` each.
    pub fn all([policy, old, value, old_value, advantage, returns]: [&'a [Vec<f64>]; 6]) -> Vec<Valued<'a>> {
        let one = |i: usize| Valued {
            policy: &policy[i],
            old: &old[i],
            value: &value[i],
            old_value: &old_value[i],
            advantage: &advantage[i],
            returns: &returns[i],
        };
        (0..policy.len()).map(one).collect()
    }
}

/// The loss of some answers, its slopes, and what is said of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PpoFound {
    /// What is minimised: the policy's clipped loss plus the weighted loss of the values.
    pub loss: f64,
    /// For each answer and token d loss / d log-probability.
    pub policy: Vec<Vec<f64>>,
    /// For each answer and token d loss / d value.
    pub value: Vec<Vec<f64>>,
    /// Sum over the tokens of the values' loss, without its weight.
    pub value_loss: f64,
    /// Sum over the tokens of half the square of the log-ratio to the policy that drew them.
    pub policy_kl: f64,
    /// Tokens whose ratio was clipped.
    pub clipped: usize,
}

/// The reward of each token: its log-ratio to the reference as a fine, `kl` in units of reward; and at the last token what the
/// answer is worth.
pub fn token_rewards(policy: &[f64], reference: &[f64], kl: f64, score: f64) -> Vec<f64> {
    let fine = |(p, r): (&f64, &f64)| -kl * (p - r);
    let mut rewards: Vec<f64> = policy.iter().zip(reference).map(fine).collect();
    if let Some(last) = rewards.last_mut() {
        *last += score;
    }
    rewards
}

/// Advantages and returns of an answer's tokens by generalised advantage estimation (Schulman et al. 2016, eq. 16): δ_t = r_t +
/// γ V_(t+1) − V_t, A_t = δ_t + γ λ A_(t+1), nothing behind the last token; the return of a token is its advantage and its value.
pub fn gae(rewards: &[f64], values: &[f64], gamma: f64, lambda: f64) -> (Vec<f64>, Vec<f64>) {
    let mut advantages = vec![0.0; rewards.len()];
    let (mut next, mut later) = (0.0, 0.0);
    for t in (0..rewards.len()).rev() {
        let delta = rewards[t] + gamma * next - values[t];
        later = delta + gamma * lambda * later;
        advantages[t] = later;
        next = values[t];
    }
    let returns = advantages.iter().zip(values).map(|(a, v)| a + v).collect();
    (advantages, returns)
}

/// Shifts and scales the numbers of all answers together to mean 0 and variance 1 (of n − 1); a single number stays.
pub fn whiten(all: &mut [Vec<f64>]) {
    let n = all.iter().map(Vec::len).sum::<usize>() as f64;
    if n < 2.0 {
        return;
    }
    let mean = all.iter().flatten().sum::<f64>() / n;
    let variance = all.iter().flatten().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let scale = 1.0 / (variance + 1e-8).sqrt();
    all.iter_mut().flatten().for_each(|x| *x = (*x - mean) * scale);
}

/// The share of the returns' variance that the values explain: 1 − Var(return − value) / Var(return), and 0 where the returns
/// are all the same.
pub fn explained_variance(returns: &[Vec<f64>], values: &[Vec<f64>]) -> f64 {
    let n = returns.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    let variance = |each: &mut dyn Iterator<Item = f64>| {
        let (sum, squares) = each.fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        squares / n - (sum / n).powi(2)
    };
    let whole = variance(&mut returns.iter().flatten().copied());
    let left = variance(&mut returns.iter().flatten().zip(values.iter().flatten()).map(|(r, v)| r - v));
    if whole > 1e-12 {
        1.0 - left / whole
    } else {
        0.0
    }
}

/// The clipped surrogate and the clipped value loss of some answers, both over `tokens`: those of all answers that the update
/// learns from.
pub fn ppo(batch: &[Valued], kind: &PpoLoss, tokens: usize) -> PpoFound {
    let mut found = PpoFound::default();
    let share = 1.0 / tokens.max(1) as f64;
    for one in batch {
        let (mut policy, mut value) = (Vec::new(), Vec::new());
        for t in 0..one.policy.len() {
            let (surrogate, slope, clipped) = surrogate(one, t, kind.clip);
            let (loss, value_slope) = value_loss(one, t, kind.value_clip);
            found.loss += share * (surrogate + kind.value_weight * loss);
            found.value_loss += loss;
            found.policy_kl += 0.5 * (one.policy[t] - one.old[t]).powi(2);
            found.clipped += usize::from(clipped);
            policy.push(share * slope);
            value.push(share * kind.value_weight * value_slope);
        }
        found.policy.push(policy);
        found.value.push(value);
    }
    found
}

/// Max(−A ρ, −A clip(ρ)) of a token, its slope in the log-probability, and whether the clipped one was the larger.
fn surrogate(one: &Valued, t: usize, clip: f64) -> (f64, f64, bool) {
    let ratio = (one.policy[t] - one.old[t]).exp();
    let (free, bound) = (-one.advantage[t] * ratio, -one.advantage[t] * ratio.clamp(1.0 - clip, 1.0 + clip));
    if bound > free {
        (bound, 0.0, true)
    } else {
        // d ratio / d log-probability = ratio.
        (free, free, false)
    }
}

/// ½ max((V − R)², (clip(V) − R)²) of a token, and its slope in V.
fn value_loss(one: &Valued, t: usize, clip: f64) -> (f64, f64) {
    let (value, old, wanted) = (one.value[t], one.old_value[t], one.returns[t]);
    let bound = value.clamp(old - clip, old + clip);
    let (free, held) = ((value - wanted).powi(2), (bound - wanted).powi(2));
    if held > free {
        // It is the bound that counts, and the value does not move it.
        (0.5 * held, 0.0)
    } else {
        (0.5 * free, value - wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advantage_is_the_discounted_sum_of_what_went_better_than_valued() {
        let (rewards, values) = ([0.0, -0.1, 1.0], [0.5, 0.25, 0.75]);
        let (gamma, lambda) = (0.9, 0.8);
        let delta = [0.9 * 0.25 - 0.5, -0.1 + 0.9 * 0.75 - 0.25, 1.0 - 0.75];
        let (advantages, returns) = gae(&rewards, &values, gamma, lambda);
        for t in 0..3 {
            let wanted: f64 = (t..3).map(|s| (gamma * lambda).powi((s - t) as i32) * delta[s]).sum();
            assert!((advantages[t] - wanted).abs() < 1e-12);
            assert!((returns[t] - wanted - values[t]).abs() < 1e-12);
        }
        // With lambda 1 a return is the discounted sum of the rewards, whatever the values say.
        let (_, returns) = gae(&rewards, &values, 1.0, 1.0);
        assert!(returns.iter().zip([0.9, 0.9, 1.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{returns:?}");
        assert_eq!(gae(&[], &[], 1.0, 1.0), (vec![], vec![]));
    }

    #[test]
    fn a_token_is_fined_for_its_distance_and_the_last_is_rewarded() {
        let found = token_rewards(&[-1.0, -2.0], &[-1.5, -1.0], 0.2, 3.0);
        assert!(found.iter().zip([-0.1, 3.2]).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert_eq!(token_rewards(&[], &[], 0.2, 3.0), [0.0; 0]);
    }

    #[test]
    fn advantages_are_whitened_over_all_answers() {
        let mut all = vec![vec![1.0, 2.0], vec![4.0]];
        whiten(&mut all);
        let (n, sum): (f64, f64) = (3.0, all.iter().flatten().sum());
        let squares: f64 = all.iter().flatten().map(|x| x * x).sum();
        assert!(sum.abs() < 1e-12 && (squares / (n - 1.0) - 1.0).abs() < 1e-6);
        let mut one = vec![vec![5.0]];
        whiten(&mut one);
        assert_eq!(one, [[5.0]], "there is nothing to hold it against");
    }

    #[test]
    fn a_whole_round_is_that_of_pytorch() {
        // TRL's formulas in PyTorch, in double precision, with its own derivatives.
        let old = [vec![-1.0, -2.0, -0.5], vec![-3.0, -0.2]];
        let reference = [vec![-1.2, -1.5, -0.5], vec![-2.0, -0.4]];
        let old_value = [vec![0.1, 0.2, 0.3], vec![0.0, 0.5]];
        let (mut advantage, mut returns) = (Vec::new(), Vec::new());
        for (i, score) in [1.0, -0.5].into_iter().enumerate() {
            let rewards = token_rewards(&old[i], &reference[i], 0.1, score);
            let (a, r) = gae(&rewards, &old_value[i], 0.9, 0.8);
            advantage.push(a);
            returns.push(r);
        }
        let close = |found: &[Vec<f64>], wanted: [f64; 5]| {
            let found = found.concat();
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        close(&advantage, [0.50928, 0.624, 0.7, -0.1844, -1.02]);
        close(&returns, [0.60928, 0.824, 1.0, -0.1844, -0.52]);
        whiten(&mut advantage);
        close(
            &advantage,
            [
                0.5250466018853822,
                0.6821071440656228,
                0.7861570151055312,
                -0.4246549052588768,
                -1.5686558557976595,
            ],
        );
        let now = [vec![-0.9, -2.5, -0.1], vec![-2.5, -0.15]];
        let value = [vec![0.6, 0.1, -0.4], vec![-0.5, 0.4]];
        let kind = PpoLoss { clip: 0.2, value_clip: 0.2, value_weight: 0.3 };
        let answers = Valued::all([&now, &old, &value, &old_value, &advantage, &returns]);
        let found = ppo(&answers, &kind, 5);
        assert!((found.loss - 0.18814432177578144).abs() < 1e-12, "{found:?}");
        assert!((found.value_loss / 5.0 - 0.35258334784).abs() < 1e-12, "{found:?}");
        close(
            &found.policy,
            [-0.11605324700763336, -0.08274377921696449, 0.0, 0.14002751500149158, 0.3298165122722152],
        );
        close(&found.value, [0.0, -0.04344, -0.084, -0.018936, 0.0552]);
    }

    #[test]
    fn values_explain_returns_or_not() {
        let returns = [vec![1.0, 2.0], vec![3.0]];
        assert!((explained_variance(&returns, &returns) - 1.0).abs() < 1e-12);
        assert!(explained_variance(&returns, &[vec![2.0, 2.0], vec![2.0]]).abs() < 1e-12);
        assert_eq!(explained_variance(&[vec![2.0, 2.0]], &[vec![0.0, 1.0]]), 0.0);
    }

    #[test]
    fn slopes_are_derivatives() {
        let kind = PpoLoss { clip: 0.2, value_clip: 0.2, value_weight: 0.3 };
        // Ratios and values within their bounds, beyond them in the good direction and in the bad one.
        let old = [vec![-1.0, -2.0, -0.5, -1.0], vec![-3.0, -0.2]];
        let now = [vec![-0.9, -2.5, -0.1, -1.6], vec![-2.5, -0.15]];
        let (old_value, value) =
            ([vec![0.1, 0.2, 0.3, 0.0], vec![0.0, 0.5]], [vec![0.45, 0.9, -0.4, 0.3], vec![-0.5, 0.6]]);
        let returns = [vec![0.5, 0.3, 0.4, -1.0], vec![0.1, -0.5]];
        let advantage = [vec![1.5, -0.7, 0.4, 0.8], vec![-0.6, 0.3]];
        let at = |now: &[Vec<f64>; 2], value: &[Vec<f64>; 2]| {
            ppo(&Valued::all([now, &old, value, &old_value, &advantage, &returns]), &kind, 6)
        };
        let found = at(&now, &value);
        assert!(found.clipped > 0 && found.clipped < 6, "{found:?}");
        let held = found.value.iter().flatten().filter(|s| **s == 0.0).count();
        assert!(held > 0 && held < 6, "{found:?}");
        let h = 1e-6;
        for i in 0..2 {
            for t in 0..now[i].len() {
                let moved = |by: f64| {
                    let mut now = now.clone();
                    now[i][t] += by;
                    at(&now, &value).loss
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                assert!((slope - found.policy[i][t]).abs() < 1e-7, "{i} {t}: {slope}");
                let moved = |by: f64| {
                    let mut value = value.clone();
                    value[i][t] += by;
                    at(&now, &value).loss
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                assert!((slope - found.value[i][t]).abs() < 1e-7, "value {i} {t}: {slope}");
            }
        }
    }
}
