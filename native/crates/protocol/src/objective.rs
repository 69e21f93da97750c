//! What a run minimises, and the settings of each objective.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Next token, every position of every text.
    Pretrain,
    /// Next token on the parts that `loss_on` names.
    Sft,
    /// Direct preference optimisation (Rafailov et al. 2023), robust with `label_smoothing` (Chowdhury et al. 2024).
    Dpo,
    /// Identity preference optimisation (Azar et al. 2023), log-ratios averaged over tokens.
    Ipo,
    /// The hinge on log-ratios (SLiC, Zhao et al. 2023).
    Hinge,
    /// Anchored preference optimisation, zero (D'Oosterlinck et al. 2024).
    ApoZero,
    /// Simple preference optimisation, without a reference (Meng et al. 2024).
    Simpo,
    /// Contrastive preference optimisation, without a reference (Xu et al. 2024).
    Cpo,
    /// Odds ratio preference optimisation, without a reference (Hong et al. 2024).
    Orpo,
    /// Single answers judged good or bad (Ethayarajh et al. 2024).
    Kto,
    /// Every labelled token against a teacher's distribution over the vocabulary (Hinton et al. 2015).
    Distill,
    /// Group relative policy optimisation on the model's own answers (Shao et al. 2024).
    Grpo,
    /// REINFORCE with leave-one-out baselines (Ahmadian et al. 2024).
    Rloo,
    /// Proximal policy optimisation on the model's own answers, with a value head (Schulman et al. 2017; Ziegler et al. 2019).
    Ppo,
    /// A reward model: a scalar head that scores chosen answers above rejected ones (Ouyang et al. 2022).
    Reward,
}

impl Objective {
    /// Every objective there is.
    pub const ALL: [Objective; 15] = [
        Objective::Pretrain,
        Objective::Sft,
        Objective::Dpo,
        Objective::Ipo,
        Objective::Hinge,
        Objective::ApoZero,
        Objective::Simpo,
        Objective::Cpo,
        Objective::Orpo,
        Objective::Kto,
        Objective::Grpo,
        Objective::Rloo,
        Objective::Ppo,
        Objective::Distill,
        Objective::Reward,
    ];
}

/// What the objectives on preferences are set by. What an objective does not use must be absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferenceConfig {
    /// How strongly the policy is held to the reference, or the temperature where there is none. Absent: 0.1, and 2 for SimPO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// DPO: the share of pairs that are thought to be labelled the wrong way round, below 0.5. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// SimPO: the margin that the mean log-probabilities shall have, times beta. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// CPO: weight of the chosen answers' own loss. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// KTO: weight of the good answers. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desirable_weight: Option<f64>,
    /// KTO: weight of the bad answers. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undesirable_weight: Option<f64>,
}

/// What an answer of the policy is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RewardConfig {
    /// What is looked at.
    #[serde(flatten)]
    pub kind: RewardKind,
    /// What it is worth when it holds, or the factor of its number; the reward is the sum over all.
    #[serde(default = "default_weight")]
    pub weight: f64,
}

fn default_weight() -> f64 {
    1.0
}

/// What is rewarded. The row's `completion` is the answer that is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RewardKind {
    /// The answer is the row's, but for white space around it.
    Exact,
    /// The answer holds the row's, in any case of letters.
    Contains,
    /// Both end in the same number: the one behind `####`, or the last (GSM8K, Cobbe et al. 2021).
    Numeric,
    /// The answer matches a regular expression.
    Regex {
        /// Searched for anywhere in the answer, in the syntax of the crate `regex`.
        pattern: String,
    },
    /// The answer is JSON that is valid under a schema, which may refer to nothing outside itself.
    JsonSchema {
        /// The schema itself.
        schema: serde_json::Value,
    },
    /// The answer's length in tokens: 1 at `target`, and linearly less to either side, down to 0.
    Length {
        /// Tokens of the best length, above 0; an answer twice as long or longer gets nothing.
        target: usize,
    },
    /// The score of a reward model, as the objective `reward` trains one: (score - mean) / std, then squashed.
    RewardModel {
        /// The reward model's base.
        base: PathBuf,
        /// The adapter with the scalar head.
        adapter: PathBuf,
        /// What is taken off the score, such as its mean over some answers; 0 when absent.
        #[serde(default)]
        mean: f64,
        /// What the difference is divided by, such as the scores' standard deviation; 1 when absent.
        #[serde(default = "default_weight")]
        std: f64,
        /// What the result goes through.
        #[serde(default)]
        squash: Squash,
    },
    /// What a program of the user's says. It gets a line `{"prompt", "answer", "reference"}` on stdin for each answer, and
    /// writes a line with a number, or with `{"reward": number}`, for each in turn; it is kept alive over the run.
    Command {
        /// The program and its arguments; no shell sees them.
        command: Vec<String>,
        /// Where it runs; a program named by a relative path with a slash is looked for there. Absent: the run's folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<PathBuf>,
        /// Seconds that the answers of a batch may take it.
        #[serde(default = "default_timeout")]
        timeout: f64,
    },
}

impl RewardKind {
    /// As in run files.
    pub fn name(&self) -> &'static str {
        match self {
            RewardKind::Exact => "exact",
            RewardKind::Contains => "contains",
            RewardKind::Numeric => "numeric",
            RewardKind::Regex { .. } => "regex",
            RewardKind::JsonSchema { .. } => "json_schema",
            RewardKind::Length { .. } => "length",
            RewardKind::RewardModel { .. } => "reward_model",
            RewardKind::Command { .. } => "command",
        }
    }

    /// The paths that it names.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            RewardKind::RewardModel { base, adapter, .. } => vec![base, adapter],
            RewardKind::Command { cwd, .. } => cwd.iter_mut().collect(),
            _ => Vec::new(),
        }
    }
}

/// What a reward model's score goes through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Squash {
    /// Nothing: it stays as it is.
    #[default]
    None,
    /// 1 / (1 + e^-x), from 0 to 1.
    Sigmoid,
    /// From -1 to 1.
    Tanh,
}

fn default_timeout() -> f64 {
    60.0
}

/// How the answers' tokens become one loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAverage {
    /// Over all tokens of the batch (DAPO, Yu et al. 2025).
    #[default]
    Tokens,
    /// Over the tokens of each answer, then over the answers (GRPO, Shao et al. 2024).
    Completions,
    /// The sum over the longest possible answer (Dr. GRPO, Liu et al. 2025).
    Longest,
}

/// The objectives on the model's own answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// What an answer is rewarded for, at least one; the sum counts.
    pub rewards: Vec<RewardConfig>,
    /// Answers of each prompt.
    #[serde(default = "default_group")]
    pub group: usize,
    /// New tokens of an answer at most.
    #[serde(default = "default_policy_new")]
    pub max_new: usize,
    /// Answers are drawn at this temperature, and what is learned is the distribution at it: log-probabilities, ratios and
    /// divergences are of logits divided by it, as in TRL.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// Weight of the divergence from the base model without the adapter.
    #[serde(default)]
    pub beta: f64,
    /// GRPO alone; RLOO sums over the tokens of each answer.
    #[serde(default)]
    pub average: PolicyAverage,
    /// How often a round's answers are learned from. Above 1 the ratio to the policy that drew them is clipped. Absent: 1, and
    /// 4 for PPO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Parts, one update each, into which a round's answers are split in each epoch. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minibatches: Option<usize>,
    /// The ratio is clipped to 1 ± this. Absent: 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// PPO alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ppo: Option<PpoConfig>,
}

/// Proximal policy optimisation with a value head; the defaults are those of TRL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PpoConfig {
    /// What a token's reward counts one token earlier, 0 to 1.
    pub gamma: f64,
    /// Generalised advantage estimation (Schulman et al. 2016), 0 to 1: 0 trusts the values, 1 the rewards alone.
    pub lambda: f64,
    /// What each token is fined for its log-ratio to the reference, in units of reward (Ziegler et al. 2019).
    pub kl: f64,
    /// A value is learned from no further than this from what it was when the answers were drawn.
    pub value_clip: f64,
    /// Weight of the values' loss.
    pub value_weight: f64,
    /// What an answer that did not come to an end loses of its reward.
    pub cut_penalty: f64,
    /// The result keeps the value head too, in a file of its own.
    pub keep_value_head: bool,
}

impl Default for PpoConfig {
    fn default() -> Self {
        PpoConfig {
            gamma: 1.0,
            lambda: 0.95,
            kl: 0.05,
            value_clip: 0.2,
            value_weight: 0.1,
            cut_penalty: 0.0,
            keep_value_head: false,
        }
    }
}

fn default_group() -> usize {
    8
}
fn default_policy_new() -> usize {
    128
}

/// The teacher of a distillation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// The teacher's model folder; it must have the student's tokenizer.
    pub teacher: PathBuf,
    /// An adapter on the teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
    /// Both distributions are softened by this before they are compared; the divergence is multiplied by its square.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// Weight of the divergence, 0 to 1; the labels' own loss has the rest.
    #[serde(default = "default_distill_alpha")]
    pub alpha: f64,
    /// The teacher's answers instead of its distribution: it answers each prompt once, and the student learns those answers
    /// as under `sft` (Kim and Rush 2016). Temperature and alpha have no meaning then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<SequenceConfig>,
}

/// How a teacher answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SequenceConfig {
    /// New tokens of an answer at most.
    #[serde(default = "default_policy_new")]
    pub max_new: usize,
    /// 0 = greedy.
    #[serde(default)]
    pub temperature: f64,
}

fn default_temperature() -> f64 {
    1.0
}
fn default_distill_alpha() -> f64 {
    1.0
}
