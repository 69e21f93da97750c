//! `bench`: how fast the engine trains and generates on this machine.

use crate::run::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Of several measurements in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// Median, tokens a second; of an even number of measurements the mean of the middle two.
    pub tokens_per_second: f64,
    /// The smallest, tokens a second.
    pub slowest: f64,
    /// The largest, tokens a second.
    pub fastest: f64,
    /// Measurements.
    pub repeats: u64,
    /// Tokens of all of them.
    pub tokens: u64,
    /// Seconds of all of them.
    pub seconds: f64,
}

/// A training step: LoRA, forward and backward pass, clipping and AdamW.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingSpeed {
    /// Tokens of the rows, prompts included: nothing is padded.
    pub measured: Measured,
    /// Rank of the adapter.
    pub rank: usize,
    /// Numbers that are trained: those of the adapter.
    pub trainable: u64,
    /// Tokens of a batch at most.
    pub batch_tokens: usize,
    /// Rows that were learned from, counted each time.
    pub rows: u64,
}

/// Greedy generation over caches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GenerationSpeed {
    /// Sequences at once.
    pub batch: usize,
    /// Tokens of each prompt.
    pub prompt: usize,
    /// New tokens of each sequence.
    pub new: usize,
    /// New tokens of all sequences, without the prompts.
    pub measured: Measured,
    /// Median of the prompts' tokens a second.
    pub prompt_tokens_per_second: f64,
}

/// The machine, as far as it decides the speed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchMachine {
    /// `cpu`.
    pub device: String,
    /// Threads that were used.
    pub threads: usize,
    /// What the CPU can do, of what the engine's kernels know.
    pub features: Vec<String>,
}

/// What was measured, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchResult {
    /// The engine's version.
    pub engine: String,
    /// The shape's name with random weights, or the model's folder.
    pub model: String,
    /// Whether the weights are random, of a shape that is known by its name.
    pub random_weights: bool,
    /// Numbers of the model, without the adapter.
    pub parameters: u64,
    /// How the frozen weights were held.
    pub dtype: Dtype,
    /// Where it was measured.
    pub machine: BenchMachine,
    /// The file whose rows were learned from.
    pub rows_file: String,
    /// Rows that were taken from it.
    pub rows: u64,
    /// Tokens of those rows after cutting.
    pub row_tokens: u64,
    /// Where the tokens come from: `model`, or `trained` on these rows where a shape has no tokenizer.
    pub tokenizer: String,
    /// Training steps.
    pub training: TrainingSpeed,
    /// Generation, once for each number of sequences at once.
    pub generation: Vec<GenerationSpeed>,
    /// Largest resident memory of the process while it was measured, bytes; absent where the system does not tell.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    /// What the engine plans for the training step, bytes.
    pub planned_bytes: u64,
    /// Seconds from the beginning to the end, loading included.
    pub seconds: f64,
}

/// How far a measurement has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchProgress {
    /// What is done now, for people.
    pub what: String,
    /// Rounds that are over, those that are not counted among them.
    pub done: u64,
    /// Rounds in all.
    pub total: u64,
}
