//! `attribute`: which training rows of a run led to an output, by the gradients of both.

use crate::rpc::Row;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Rows of each list where nothing else is asked for.
pub const TOP: usize = 20;

/// Numbers of a projected gradient where nothing else is asked for: those of LESS.
pub const DIMS: usize = 8192;

fn top() -> usize {
    TOP
}

fn dims() -> usize {
    DIMS
}

/// What rows are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RankBy {
    /// The angle between the gradients, whatever their lengths: long rows and rows with a large loss are not preferred.
    #[default]
    Cosine,
    /// The product of the gradients: how much a step on the row alone lowers the output's loss, to first order.
    Dot,
}

/// What a model said, or could say: a row, or a training row of the run by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedOutput {
    /// Names the output in the answer; the asker's choice.
    pub id: String,
    /// A text, a prompt with its completion, or a conversation; the loss counts all of a text, the completion, the assistant's
    /// turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
    /// `_row_id` of a training row, in the place of `row`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_id: Option<String>,
}

/// The question: which rows of a run led to these outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeParams {
    /// The run's folder.
    pub run: PathBuf,
    /// What is asked about, at least one; each gets an [`Attribution`].
    pub outputs: Vec<AskedOutput>,
    /// Rows of each list.
    #[serde(default = "top")]
    pub top: usize,
    /// What the lists are ordered by; both numbers are told of each row.
    #[serde(default)]
    pub by: RankBy,
    /// Numbers that a gradient is projected to: a power of two from 64 to 131072. Where no more than these are trained,
    /// gradients are kept as they are.
    #[serde(default = "dims")]
    pub dims: usize,
    /// Of the projection.
    #[serde(default)]
    pub seed: u64,
    /// Looks at the newest checkpoint alone, not at all that the run has kept.
    #[serde(default)]
    pub only_last: bool,
}

/// How far the gradients of a checkpoint have come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeProgress {
    /// The checkpoint's step.
    pub step: u64,
    /// Its number among those that are looked at, from 1.
    pub checkpoint: u64,
    /// How many checkpoints are looked at.
    pub checkpoints: u64,
    /// Training rows whose gradients at this checkpoint are known.
    pub rows: u64,
    /// Training rows that are ranked.
    pub total: u64,
    /// Seconds since the beginning.
    pub seconds: f64,
}

/// `attribute/progress`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AttributeNotification {
    /// Id of the `attribute` request.
    pub request: i32,
    /// How far it is.
    pub progress: AttributeProgress,
}

/// What a training row has to do with an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Influence {
    /// `_row_id` of the training row.
    pub row_id: String,
    /// Mean over the checkpoints, weighed by their learning rates, of the cosine of the two gradients: from -1 to 1. Above 0, training
    /// on the row makes the output likelier.
    pub cosine: f64,
    /// Sum over the checkpoints of learning rate times the product of the two gradients, nats.
    pub dot: f64,
    /// The row's own loss at the newest checkpoint, nats: the mean over its labelled tokens, or the objective's of a pair.
    pub loss: f64,
    /// Its labelled tokens.
    pub tokens: u64,
}

/// The rows that led to an output, and those that led away from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attribution {
    /// The output's name, as it was asked.
    pub id: String,
    /// The output's mean loss at the newest checkpoint, nats.
    pub loss: f64,
    /// Its labelled tokens.
    pub tokens: u64,
    /// Mean of what the rows are ranked by, over all of them.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// The rows with the largest scores, largest first.
    pub top: Vec<Influence>,
    /// The rows with the smallest scores, smallest first.
    pub bottom: Vec<Influence>,
}

/// A checkpoint that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributedCheckpoint {
    /// Steps that were taken when it was written.
    pub step: u64,
    /// Mean learning rate of the run's steps between the checkpoint before and this one: what it weighs.
    pub lr: f64,
    /// Whether the rows' gradients were known from an earlier question.
    pub known: bool,
}

/// The answer to [`AttributeParams`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeResult {
    /// One for each output, in the order in which they were asked.
    pub outputs: Vec<Attribution>,
    /// Training rows that were ranked.
    pub rows: u64,
    /// Rows that the run does not learn from: without a label, without a weight, or dropped for their length.
    pub left_out: u64,
    /// The checkpoints that were looked at, the oldest first.
    pub checkpoints: Vec<AttributedCheckpoint>,
    /// Trained numbers, which are as many as a gradient has.
    pub parameters: u64,
    /// Numbers that a gradient was projected to; as many as are trained where it was not.
    pub dims: u64,
    /// Whether the rows' gradients were divided by Adam's second moments, as its steps are.
    pub preconditioned: bool,
    /// What the lists are ordered by.
    pub by: RankBy,
    /// Seconds of all the work.
    pub seconds: f64,
    /// Seconds of it for the rows' gradients.
    pub seconds_rows: f64,
}
