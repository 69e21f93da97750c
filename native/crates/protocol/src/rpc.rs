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

/// Version of requests and answers. Client and engine must speak the same one: there is no older dialect.
pub const PROTOCOL_VERSION: u32 = 1;

/// The first request of a client.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InitializeParams {
    /// [`PROTOCOL_VERSION`] of the client; another one than the engine's is refused with `protocol_version`.
    pub protocol: u32,
}

/// What the engine is and can do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InitializeResult {
    /// [`PROTOCOL_VERSION`] of the engine.
    pub protocol: u32,
    /// The engine's version.
    pub engine: String,
    /// Where it computes, such as `cpu`.
    pub devices: Vec<String>,
    /// In what weights can be held, by the names of [`Dtype`].
    pub dtypes: Vec<String>,
    /// `model_type` of the configs that it loads.
    pub families: Vec<String>,
    /// What runs can minimise.
    pub objectives: Vec<Objective>,
}

/// A model to ask: a folder, and adapters on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelRef {
    /// A Hugging Face model folder.
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
    /// What prompts and hashes call it.
    pub name: String,
    /// A PEFT adapter folder.
    pub path: PathBuf,
    /// Factor on the adapter's change of the weights; 1 when absent.
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
    /// Names the prompt in the answer. What is drawn at a temperature depends on it and the seed, not on the other prompts.
    pub id: String,
    /// The prompt, before the template.
    pub prompt: String,
    /// The model's adapters that answer this prompt, by name with their weights; none for the base alone. Absent: all of the
    /// model's, with the weights given there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<BTreeMap<String, f64>>,
}

/// Prompts, and how they are to be answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GenerateParams {
    /// Who answers.
    pub model: ModelRef,
    /// What a prompt is put into.
    pub template: Template,
    /// The prompts; each gets a [`Generation`].
    pub prompts: Vec<AskedPrompt>,
    /// New tokens of an answer at most; the model's context ends it too.
    pub max_new: usize,
    /// 0 = greedy.
    #[serde(default)]
    pub temperature: f64,
    /// Of what is drawn at a temperature.
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
    /// What came since the last piece; special tokens are left out.
    pub text: String,
}

/// The answer to one prompt.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Generation {
    /// Id of the prompt.
    pub id: String,
    /// The whole answer, special tokens left out.
    pub text: String,
    /// Tokens of the answer, the one that ended it not counted.
    pub tokens: usize,
    /// Natural log-probability of each generated token under the model.
    pub logprobs: Vec<f32>,
    /// True when the model ended its answer; false when `max_new` or the context did.
    pub ended: bool,
    /// Seconds from the prompt to the last token, shared with the prompts that were answered beside it.
    pub seconds: f64,
}

/// The answers to all prompts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GenerateResult {
    /// In the order of the prompts.
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
    /// A pair of answers, as DPO and its relatives learn from.
    Preference {
        /// What both answer.
        prompt: String,
        /// The better answer.
        chosen: String,
        /// The worse answer.
        rejected: String,
    },
    /// A pair of whole conversations, each with its prompt and its answer last.
    PreferenceMessages {
        /// The conversation with the better answer.
        chosen: Vec<Message>,
        /// The conversation with the worse answer.
        rejected: Vec<Message>,
        /// Tools that both may call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools: Option<Vec<serde_json::Value>>,
    },
    /// An answer that was judged, as KTO learns from.
    Judged {
        /// What is answered.
        prompt: String,
        /// The answer.
        completion: String,
        /// Whether it is a good one.
        label: bool,
    },
    /// A conversation whose last answer was judged.
    JudgedMessages {
        /// The conversation, the answer last.
        messages: Vec<Message>,
        /// Whether the answer is a good one.
        label: bool,
        /// Tools that it may call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools: Option<Vec<serde_json::Value>>,
    },
    /// A prompt and what is to follow it.
    PromptCompletion {
        /// What stands before; with a chat template, the user's turn.
        prompt: String,
        /// What follows; with a chat template, the assistant's turn.
        completion: String,
    },
    /// A conversation.
    Messages {
        /// Its turns.
        messages: Vec<Message>,
        /// Tools that it may call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools: Option<Vec<serde_json::Value>>,
    },
    /// A text without parts.
    Text {
        /// All of it.
        text: String,
    },
}

/// A turn of a conversation. What else it has (`tool_calls`, `tool_call_id`, `name`, `reasoning_content`) reaches the template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what else the template knows.
    pub role: String,
    /// What was said; absent in a turn of tool calls alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// A row, and how it is to be tokenised.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokensParams {
    /// Model folder whose tokenizer and chat template are taken; the weights are not read.
    pub model: PathBuf,
    /// The row.
    pub row: Row,
    /// How the row becomes text.
    pub template: Template,
    /// Of pairs and judgements the answer counts, whatever is said here.
    pub loss_on: LossOn,
    /// Tokens of the row at most; what is beyond is cut.
    pub context: usize,
    /// Where a row that is longer is cut.
    #[serde(default)]
    pub truncate: Truncate,
}

/// One token of a text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: u32,
    /// What it adds to the text; a part of a character is shown as U+FFFD.
    pub text: String,
    /// Whether the loss counts this token.
    pub trained: bool,
    /// Whether it is a special token, such as an end of text or of a turn.
    pub special: bool,
}

/// A row as the model sees it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokensResult {
    /// The tokens after cutting; of a pair those of the chosen answer.
    pub tokens: Vec<Token>,
    /// The text that was tokenised, template included.
    pub text: String,
    /// Tokens beyond the context, which are cut.
    pub cut: usize,
    /// The first place in which the two have different tokens, from 0.
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
    /// Its tokens after cutting.
    pub tokens: Vec<Token>,
    /// The text that was tokenised, template included.
    pub text: String,
    /// Tokens beyond the context, which are cut.
    pub cut: usize,
}

/// A model to describe.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InspectParams {
    /// Its folder.
    pub model: PathBuf,
}

/// What a model folder holds, by its config and the headers of its weights.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InspectResult {
    /// `model_type` of its config.
    pub family: String,
    /// Numbers of the model; tied embeddings count once.
    pub parameters: u64,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Numbers of a hidden state.
    pub hidden_size: usize,
    /// Tokens of a text at most.
    pub context: usize,
    /// Of the first tensor in the first file, as safetensors names it, in small letters.
    pub dtype: String,
    /// Length of all its weights' files.
    pub bytes: u64,
    /// Whether its tokenizer has a chat template.
    pub chat_template: bool,
}

/// What a run would need, found before step 1.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PreflightResult {
    /// Numbers of the model, those of an adapter or a tuned prompt included.
    pub parameters: u64,
    /// Numbers that are trained.
    pub trainable: u64,
    /// Rows of the training data, those that nothing is learned from included.
    pub train_rows: u64,
    /// Tokens of those rows after cutting; rows that are dropped for their length have none.
    pub train_tokens: u64,
    /// Optimiser steps of the whole run.
    pub total_steps: u64,
    /// Rows longer than the context.
    pub long_rows: u64,
    /// Tokens that would be cut from them.
    pub cut_tokens: u64,
    /// Rows of which no token carries a label.
    pub masked_rows: u64,
    /// Planned peak of the process, bytes.
    pub planned_bytes: u64,
    /// Whether activations are computed again in the backward pass, to fit.
    #[serde(default)]
    pub recompute: bool,
    /// Memory that the machine has free, bytes; 0 where it does not tell.
    pub free_bytes: u64,
    /// Measured on the longest batch; 0 where the run does not fit the free memory, since nothing is computed then.
    pub seconds_per_step: f64,
    /// Foreseen for the run, with what comes before its first step, in seconds.
    pub seconds_total: f64,
}
