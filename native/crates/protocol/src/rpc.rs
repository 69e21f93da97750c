//! Requests and answers of `tillage-native serve`: JSON-RPC 2.0 with Content-Length framing on stdio.
//!
//! | method | params | result |
//! |---|---|---|
//! | `initialize` | [`InitializeParams`] | [`InitializeResult`] |
//! | `generate` | [`GenerateParams`] | [`GenerateResult`]; `generate/token` notifications of [`TokenNotification`] on the way |
//! | `tokens` | [`TokensParams`] | [`TokensResult`] |
//! | `inspect` | [`InspectParams`] | [`InspectResult`] |
//! | `preflight` | [`crate::RunSpec`] | [`PreflightResult`] |
//! | `score` | [`crate::score::ScoreParams`] | [`crate::score::ScoreResult`]; `score/progress` notifications of [`crate::score::ScoreNotification`] on the way |
//! | `export` | [`crate::export::ExportParams`] | [`crate::export::ExportResult`]; `export/progress` notifications of [`crate::export::ExportNotification`] on the way |
//! | `shutdown` | null | null |
//!
//! `$/cancelRequest` with the request's id cancels it. Errors carry an [`crate::EngineError`] in `data`.

use crate::run::{Dtype, LossOn, Objective, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub const PROTOCOL_VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InitializeParams {
    pub protocol: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InitializeResult {
    pub protocol: u32,
    pub engine: String,
    pub devices: Vec<String>,
    pub dtypes: Vec<String>,
    pub families: Vec<String>,
    pub objectives: Vec<Objective>,
}

/// A model to ask: a folder, and an adapter on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ModelRef {
    pub base: PathBuf,
    #[serde(default)]
    pub adapter: Option<PathBuf>,
    /// How the base's weights are held.
    #[serde(default)]
    pub dtype: Dtype,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GenerateParams {
    pub model: ModelRef,
    pub template: Template,
    pub prompts: Vec<crate::run::WatchPrompt>,
    pub max_new: usize,
    /// 0 = greedy.
    #[serde(default)]
    pub temperature: f64,
    #[serde(default)]
    pub seed: u64,
}

/// A piece of a text while it is being generated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenNotification {
    /// Id of the `generate` request.
    pub request: i32,
    /// Id of the prompt.
    pub id: String,
    pub text: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Generation {
    pub id: String,
    pub text: String,
    pub tokens: usize,
    /// Natural log-probability of each generated token under the model.
    pub logprobs: Vec<f32>,
    /// True when the model ended its answer; false when `max_new` or the context did.
    pub ended: bool,
    pub seconds: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GenerateResult {
    pub generations: Vec<Generation>,
    /// SHA-256 of the weights' files, first 16 hex digits.
    pub model_hash: String,
    #[serde(default)]
    pub adapter_hash: Option<String>,
}

/// One row in any of the shapes that the engine trains on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Row {
    PromptCompletion { prompt: String, completion: String },
    Messages { messages: Vec<Message> },
    Text { text: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub role: String,
    pub content: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokensParams {
    pub model: PathBuf,
    pub row: Row,
    pub template: Template,
    pub loss_on: LossOn,
    pub context: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    pub id: u32,
    pub text: String,
    /// Whether the loss counts this token.
    pub trained: bool,
    pub special: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokensResult {
    pub tokens: Vec<Token>,
    /// The text that was tokenised, template included.
    pub text: String,
    /// Tokens beyond the context, which are cut.
    pub cut: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InspectParams {
    pub model: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InspectResult {
    pub family: String,
    pub parameters: u64,
    pub vocab_size: usize,
    pub layers: usize,
    pub hidden_size: usize,
    pub context: usize,
    pub dtype: String,
    pub bytes: u64,
    pub chat_template: bool,
}

/// What a run would need, found before step 1.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PreflightResult {
    pub parameters: u64,
    pub trainable: u64,
    pub train_rows: u64,
    pub train_tokens: u64,
    pub total_steps: u64,
    /// Rows longer than the context, and the tokens that would be cut.
    pub long_rows: u64,
    pub cut_tokens: u64,
    /// Rows of which no token carries a label.
    pub masked_rows: u64,
    pub planned_bytes: u64,
    /// Whether activations are computed again in the backward pass, to fit.
    #[serde(default)]
    pub recompute: bool,
    pub free_bytes: u64,
    /// Measured on the longest batch.
    pub seconds_per_step: f64,
    pub seconds_total: f64,
}
