//! `events.jsonl`: one JSON object a line, appended while a run goes on. The file is the truth; every panel reads it.

use crate::course::{Best, ForkedFrom};
use crate::error::EngineError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of the metrics in steps and validations. Rewards are implicit: beta times the log-probability's distance from the
/// reference, or beta times the log-probability where there is none.
pub mod metric {
    /// Mean reward of chosen or good answers.
    pub const CHOSEN: &str = "rewards/chosen";
    /// Mean reward of rejected or bad answers.
    pub const REJECTED: &str = "rewards/rejected";
    /// Mean difference of the two.
    pub const MARGIN: &str = "rewards/margins";
    /// Share of the pairs whose chosen answer has the larger reward.
    pub const ACCURACY: &str = "rewards/accuracies";
    /// KTO: mean log-ratio of unrelated answers, at least 0. Distillation: mean divergence from the teacher, nats. Policy
    /// objectives: mean divergence of a token from the reference; for PPO its log-ratio.
    pub const KL: &str = "kl";
    /// Policy objectives: the answers' mean reward.
    pub const REWARD: &str = "reward";
    /// Policy objectives: the rewards' standard deviation within a prompt's group.
    pub const REWARD_STD: &str = "reward_std";
    /// Policy objectives: the answers' mean length, tokens.
    pub const LENGTH: &str = "completion_length";
    /// Policy objectives: the share of answers that did not come to an end.
    pub const CUT: &str = "cut_share";
    /// Several updates for each round of answers: half the mean square of the log-ratio to the policy that drew them.
    pub const POLICY_KL: &str = "policy_kl";
    /// Several updates for each round of answers: the share of tokens whose ratio was clipped.
    pub const CLIP: &str = "clip_share";
    /// PPO: the values' loss.
    pub const VALUE_LOSS: &str = "value_loss";
    /// PPO: the share of the returns' variance that the values explained before the updates.
    pub const EXPLAINED: &str = "explained_variance";
    /// Distillation: the labels' mean negative log-likelihood, nats.
    pub const NLL: &str = "nll";
}

/// How a run ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every step was taken, or early stopping ended the run.
    Completed,
    /// Stopped on request; a checkpoint was written and the run can be resumed.
    Stopped,
}

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Event {
    /// The engine began or resumed; the first line of each attempt.
    Started {
        /// RFC 3339, UTC.
        time: String,
        /// Process id of the engine.
        pid: u32,
        /// The engine's version.
        engine: String,
        /// Where it computes: `cpu`.
        device: String,
        /// Threads that it computes with.
        threads: usize,
        /// The last step that was already done; 0 in a fresh run.
        step: u64,
        /// The step with which the whole run ends, whatever was done before.
        total_steps: u64,
        /// Numbers of the model, those of an adapter or a tuned prompt included.
        parameters: u64,
        /// Numbers that are trained.
        trainable: u64,
        /// Rows of the training data, those that nothing is learned from included.
        train_rows: u64,
        /// Tokens of those rows after cutting; rows that are dropped for their length have none.
        train_tokens: u64,
        /// Rows of the validation data.
        valid_rows: u64,
        /// Planned peak of the process, bytes.
        planned_bytes: u64,
        /// The run's steps begin behind a checkpoint of this run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked_from: Option<ForkedFrom>,
    },
    /// One optimiser step.
    Step {
        /// Its number, from 1: how many steps have been taken with it.
        step: u64,
        /// Epochs that are over after it.
        epoch: f64,
        /// The objective: mean negative log-likelihood of the labelled tokens in nats, or the mean loss of the rows.
        loss: f64,
        /// Learning rate of the step.
        lr: f64,
        /// L2 norm before clipping.
        grad_norm: f64,
        /// Labelled tokens of the step.
        tokens: u64,
        /// Tokens processed a second, masked ones included.
        tokens_per_second: f64,
        /// Resident memory of the process, bytes.
        memory_bytes: u64,
        /// Seconds since this attempt started.
        seconds: f64,
        /// The rows of the batch.
        rows: Vec<String>,
        /// What else the objective says of the step, by name: see [`metric`].
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        metrics: BTreeMap<String, f64>,
    },
    /// The loss of the validation rows.
    Validation {
        /// Steps that were taken before it.
        step: u64,
        /// As the loss of a step, over all validation rows, without dropout.
        loss: f64,
        /// Labelled tokens of the rows.
        tokens: u64,
        /// As in a step.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        metrics: BTreeMap<String, f64>,
    },
    /// How far work is that must be done before the first step.
    Progress {
        /// Steps that are done already: 0 in a fresh run.
        step: u64,
        /// What is being done, for people.
        what: String,
        /// How much is done.
        done: u64,
        /// How much there is to do.
        of: u64,
    },
    /// A watch prompt's answer.
    Sample {
        /// Steps that were taken before it.
        step: u64,
        /// The watch prompt's id.
        id: String,
        /// The prompt, before the template.
        prompt: String,
        /// The greedy answer, special tokens left out.
        text: String,
    },
    /// A checkpoint is on the disk as a whole.
    Checkpoint {
        /// Steps that were taken before it.
        step: u64,
        /// Relative to the run's folder.
        path: String,
    },
    /// Something that the run goes on in spite of, and that its user should know.
    Warning {
        /// Steps that were taken before it.
        step: u64,
        /// A stable word for programs, such as `rows_dropped`.
        code: String,
        /// What it is, in sentences.
        message: String,
    },
    /// The engine ended as it should.
    Finished {
        /// RFC 3339, UTC.
        time: String,
        /// Steps that were taken.
        step: u64,
        /// Whether the run is complete.
        outcome: Outcome,
        /// Seconds of this attempt.
        seconds: f64,
        /// `model` or `adapter`, relative to the run's folder; absent when stopped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// The step whose weights `output` holds, where the run keeps its best checkpoint; otherwise those of the last step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        best: Option<Best>,
        /// Early stopping ended the run before its last planned step.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        early: bool,
    },
    /// The engine ended with an error.
    Failed {
        /// RFC 3339, UTC.
        time: String,
        /// Steps that were taken.
        step: u64,
        /// What happened.
        error: EngineError,
        /// The last good checkpoint, relative to the run's folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<String>,
    },
}
