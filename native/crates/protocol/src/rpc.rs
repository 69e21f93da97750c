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
//! | `attribute` | [`crate::attribute::AttributeParams`] | [`crate::attribute::AttributeResult`]; `attribute/progress` notifications of [`crate::attribute::AttributeNotification`] on the way |
//! | `export` | [`crate::export::ExportParams`] | [`crate::export::ExportResult`]; `export/progress` notifications of [`crate::export::ExportNotification`] on the way |
//! | `shutdown` | null | null |
//!
//! `$/cancelRequest` with the request's id cancels it. Errors carry an [`crate::EngineError`] in `data`.

use crate::run::{Dtype, LossOn, Objective, Template, Truncate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// A model to ask: a folder, and adapters on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelRef {
    pub base: PathBuf,
    /// One adapter, with the weight 1 and the name `adapter`.
    #[serde(default)]
    pub adapter: Option<PathBuf>,
    /// Several, which are mixed: their changes are added up, each times its weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<AdapterRef>,
    /// How the base's weights are held.
    #[serde(default)]
    pub dtype: Dtype,
}

/// An adapter's folder under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterRef {
    pub name: String,
    pub path: PathBuf,
    #[serde(default = "default_weight")]
    pub weight: f64,
}

fn default_weight() -> f64 {
    1.0
}

/// A prompt to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedPrompt {
    pub id: String,
    pub prompt: String,
    /// The model's adapters that answer this prompt, by name with their weights; none for the base alone. Absent: all of the
    /// model's, with the weights given there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<BTreeMap<String, f64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GenerateParams {
    pub model: ModelRef,
    pub template: Template,
    pub prompts: Vec<AskedPrompt>,
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
    /// The same of the adapter; of several with names and weights, `NAME=HASH:WEIGHT`, joined by `+`.
    #[serde(default)]
    pub adapter_hash: Option<String>,
}

/// One row in any of the shapes that the engine trains on. `tools` are the tools that the conversation may call, as JSON
/// Schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Row {
    Preference {
        prompt: String,
        chosen: String,
        rejected: String,
    },
    PreferenceMessages {
        chosen: Vec<Message>,
        rejected: Vec<Message>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools: Option<Vec<serde_json::Value>>,
    },
    Judged {
        prompt: String,
        completion: String,
        label: bool,
    },
    JudgedMessages {
        messages: Vec<Message>,
        label: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools: Option<Vec<serde_json::Value>>,
    },
    PromptCompletion {
        prompt: String,
        completion: String,
    },
    Messages {
        messages: Vec<Message>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools: Option<Vec<serde_json::Value>>,
    },
    Text {
        text: String,
    },
}

/// A turn of a conversation. What else it has (`tool_calls`, `tool_call_id`, `name`, `reasoning_content`) reaches the template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokensParams {
    pub model: PathBuf,
    pub row: Row,
    pub template: Template,
    /// Of pairs and judgements the answer counts, whatever is said here.
    pub loss_on: LossOn,
    pub context: usize,
    /// Where a row that is longer is cut.
    #[serde(default)]
    pub truncate: Truncate,
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
    /// The rejected answer of a pair, whose chosen one is above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<TokenisedText>,
    /// The first token in which the two differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_at: Option<usize>,
    /// Of a judgement, whether the answer is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<bool>,
}

/// A text as tokens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenisedText {
    pub tokens: Vec<Token>,
    pub text: String,
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
