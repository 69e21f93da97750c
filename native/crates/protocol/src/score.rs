//! `score`: what a model makes of rows that are there already. The answer is one line a row in a file, and a summary.

use crate::rpc::ModelRef;
use crate::run::{LossOn, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Tokens of a batch where nothing else is asked for.
pub const BATCH_TOKENS: usize = 2048;

fn batch_tokens() -> usize {
    BATCH_TOKENS
}

/// Whether rows get a vector each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Embed {
    /// No vectors.
    #[default]
    None,
    /// The mean over the text's tokens of the hidden states behind the last norm.
    Mean,
    /// The same divided by its Euclidean length.
    Normalized,
}

/// A file of rows, and how it is to be scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreParams {
    /// Whose numbers they are.
    pub model: ModelRef,
    /// Parquet or JSONL file (`.parquet`, `.jsonl`, `.ndjson`); it is only read.
    pub rows: PathBuf,
    /// File that is written, Parquet or JSONL by its ending; one that is there is replaced when all rows are scored.
    pub out: PathBuf,
    /// How a row becomes text.
    pub template: Template,
    /// Which tokens the loss counts; by default all of a text, the completion of a prompt, the assistant's turns of a
    /// conversation. Pairs and choices always count their answers.
    #[serde(default)]
    pub loss_on: Option<LossOn>,
    /// Tokens of a row at most; by default what the model takes.
    #[serde(default)]
    pub context: Option<usize>,
    /// Tokens computed at once; a longer row is a batch of its own.
    #[serde(default = "batch_tokens")]
    pub batch_tokens: usize,
    /// Whether each row gets a vector; none when absent.
    #[serde(default)]
    pub embed: Embed,
}

/// How far the scoring of a file has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreProgress {
    /// Rows that are done.
    pub rows: u64,
    /// Rows of the file.
    pub total: u64,
    /// Tokens that were computed.
    pub tokens: u64,
    /// Seconds since the first batch.
    pub seconds: f64,
}

/// `score/progress`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ScoreNotification {
    /// Id of the `score` request.
    pub request: i32,
    /// How far it is.
    pub progress: ScoreProgress,
}

/// A row and its mean loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoredRow {
    /// The row's `_row_id`, or its number in the file from 1.
    pub row_id: String,
    /// Mean over the row's labelled tokens, nats.
    pub loss: f64,
    /// Labelled tokens.
    pub labels: u64,
}

/// What the preferences of a file came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairSummary {
    /// Share of the rows whose chosen answer is the likelier one.
    pub accuracy: f64,
    /// Mean of log-probability of chosen minus that of rejected, nats.
    pub margin: f64,
}

/// What the multiple-choice rows of a file came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChoiceSummary {
    /// Rows that name the right choice; the shares are of these, and absent when there are none.
    pub answered: u64,
    /// Share of right choices by plain log-likelihood.
    pub accuracy: Option<f64>,
    /// By log-likelihood per token.
    pub accuracy_per_token: Option<f64>,
    /// By log-likelihood per byte of the choice's text.
    pub accuracy_per_byte: Option<f64>,
}

/// All rows together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreResult {
    /// Rows that were scored.
    pub rows: u64,
    /// Tokens that were computed.
    pub tokens: u64,
    /// Tokens that carry a label.
    pub labels: u64,
    /// Mean over all labelled tokens of all rows, nats; absent when no token is labelled.
    pub loss: Option<f64>,
    /// exp(loss).
    pub perplexity: Option<f64>,
    /// Rows longer than the context.
    pub cut_rows: u64,
    /// Tokens that were cut from them.
    pub cut_tokens: u64,
    /// Rows of which no token carries a label: they have no loss.
    pub unlabelled_rows: u64,
    /// Of the rows that are pairs; absent when there are none.
    #[serde(default)]
    pub pairs: Option<PairSummary>,
    /// Of the rows with choices; absent when there are none.
    #[serde(default)]
    pub choices: Option<ChoiceSummary>,
    /// The rows with the largest mean loss, largest first.
    pub worst: Vec<ScoredRow>,
    /// Seconds from the first batch to the last.
    pub seconds: f64,
    /// SHA-256 of the weights' files, first 16 hex digits.
    pub model_hash: String,
    /// The same of the adapter, as in [`crate::rpc::GenerateResult`]; absent without one.
    #[serde(default)]
    pub adapter_hash: Option<String>,
}
