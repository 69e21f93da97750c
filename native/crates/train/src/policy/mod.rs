//! Policy gradients on the run's own answers: GRPO (Shao et al. 2024), RLOO (Ahmadian et al. 2024) and PPO (Schulman et al. 2017;
//! Ziegler et al. 2019).
//!
//! Every step is a round: it asks its prompts, rewards the answers, and moves the policy once, or several times with the ratio to
//! the policy that answered clipped. The draws depend on seed, step, row and place in the group alone: a resumed run draws the
//! same answers.

mod draw;
mod learn;
mod round;
#[cfg(test)]
mod tests;

pub use draw::evaluate;
pub use round::{measure, take, Pass, Taken};

use crate::reward::Rewards;
use tillage_model::objective::{Average, PolicyLoss, PpoLoss};
use tillage_model::Model;
use tillage_protocol::run::{Objective, PolicyAverage, PolicyConfig};
use tillage_text::RowEncoder;

/// How answers are drawn and what is made of their rewards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Answers of each prompt.
    pub group: usize,
    /// New tokens of an answer at most.
    pub max_new: usize,
    temperature: f64,
    loss: PolicyLoss,
    /// Advantages against the mean of the others, not in units of the group's spread.
    leave_one_out: bool,
    /// Passes over a round's answers, and updates in each.
    epochs: usize,
    minibatches: usize,
    ppo: Option<Ppo>,
}

/// What PPO has beyond the others.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ppo {
    loss: PpoLoss,
    gamma: f64,
    lambda: f64,
    kl: f64,
    cut_penalty: f64,
}

/// Where the ratio is clipped when nobody says otherwise.
const EPSILON: f64 = 0.2;
/// How often PPO learns from a round's answers when nobody says otherwise.
const PPO_EPOCHS: usize = 4;

impl Settings {
    /// The settings of a policy objective, with its defaults.
    pub fn of(objective: Objective, config: &PolicyConfig) -> Settings {
        let leave_one_out = objective == Objective::Rloo;
        let average = match config.average {
            _ if leave_one_out => Average::Sequences,
            PolicyAverage::Completions => Average::Completions,
            PolicyAverage::Tokens => Average::Tokens,
            PolicyAverage::Longest => Average::Longest(config.max_new),
        };
        let clip = config.epsilon.unwrap_or(EPSILON);
        let more = config.ppo.clone().unwrap_or_default();
        let ppo = (objective == Objective::Ppo).then_some(Ppo {
            loss: PpoLoss { clip, value_clip: more.value_clip, value_weight: more.value_weight },
            gamma: more.gamma,
            lambda: more.lambda,
            kl: more.kl,
            cut_penalty: more.cut_penalty,
        });
        Settings {
            group: config.group,
            max_new: config.max_new,
            temperature: config.temperature,
            loss: PolicyLoss {
                average,
                clip,
                sequence_ratio: false,
                beta: config.beta,
                correct_divergence: false,
            },
            leave_one_out,
            epochs: config.epochs.unwrap_or(if ppo.is_some() { PPO_EPOCHS } else { 1 }),
            minibatches: config.minibatches.unwrap_or(1),
            ppo,
        }
    }

    /// Whether the policy has a value head.
    pub fn has_values(&self) -> bool {
        self.ppo.is_some()
    }

    /// Whether answers are held against the reference.
    pub fn needs_reference(&self) -> bool {
        self.ppo.map_or(self.loss.beta, |ppo| ppo.kl) > 0.0
    }

    /// Whether the policy that learns may have moved away from the one that answered.
    fn several(&self) -> bool {
        self.epochs * self.minibatches > 1
    }
}

/// Settings of a run that has none; they are never used, since a spec without them is refused.
pub fn nothing() -> PolicyConfig {
    PolicyConfig {
        rewards: Vec::new(),
        group: 1,
        max_new: 1,
        temperature: 1.0,
        beta: 0.0,
        average: PolicyAverage::default(),
        epochs: None,
        minibatches: None,
        epsilon: None,
        ppo: None,
    }
}

/// What a round needs beside the model and the rows.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// Makes prompts of rows.
    pub encoder: &'a RowEncoder,
    /// What answers are worth.
    pub rewards: &'a Rewards,
    /// What the run began with, where switching the adapter off does not give it.
    pub reference: Option<&'a Model>,
    /// The run's; what is drawn depends on it, the step, the row and the place in the group.
    pub seed: u64,
    /// Steps that were taken before this one.
    pub step: u64,
}
