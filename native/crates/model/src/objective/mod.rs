//! Losses that weigh whole answers: preferences, single judgements, and rewards. Pure functions of log-probabilities; their
//! gradients are derived by hand and meet the model's in [`crate::Model::forward_backward_by`].

mod judgement;
mod pairs;
mod policy;
mod ppo;
mod reward;
mod texts;

pub use judgement::{kto, Judged};
pub use pairs::{PairLoss, Pairs};
pub use policy::{advantages, leave_one_out, policy, Average, Generated, PolicyLoss};
pub use ppo::{explained_variance, gae, ppo, token_rewards, whiten, PpoFound, PpoLoss, Valued};
pub use reward::bradley_terry;
pub use texts::Texts;

/// A loss, and how it changes with the log-probabilities of each sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weighed {
    /// Mean over the pairs or answers.
    pub loss: f64,
    /// What each pair or answer adds to the mean, before the division.
    pub each: Vec<f64>,
    /// For each sequence d loss / d log-probability of any of its completion's tokens.
    pub completion: Vec<f64>,
    /// The same of its prompt's tokens; empty where they do not count.
    pub prompt: Vec<f64>,
}

/// log(1 / (1 + e^-x)), without overflow.
fn log_sigmoid(x: f64) -> f64 {
    if x > 0.0 {
        -(-x).exp().ln_1p()
    } else {
        x - x.exp().ln_1p()
    }
}

fn sigmoid(x: f64) -> f64 {
    log_sigmoid(x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_from_zero_nothing_overflows() {
        for x in [-1e4, -800.0, -1.0, 0.0, 1.0, 800.0, 1e4] {
            assert!(log_sigmoid(x).is_finite() && sigmoid(x).is_finite());
            assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-15);
        }
        assert_eq!(log_sigmoid(-1e4), -1e4);
    }
}
