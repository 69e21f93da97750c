//! `bench`: how fast the engine trains and generates on this machine.

use crate::run::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Of several measurements in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// Median, smallest and largest, tokens a second.
    pub tokens_per_second: f64,
    pub slowest: f64,
    pub fastest: f64,
    /// Measurements, and tokens of all of them.
    pub repeats: u64,
    pub tokens: u64,
    /// Seconds of all of them.
    pub seconds: f64,
}

/// A training step: LoRA, forward and backward pass, clipping and AdamW.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingSpeed {
    /// Tokens of the rows, prompts included: nothing is padded.
    pub measured: Measured,
    /// Rank of the adapter, and its numbers.
    pub rank: usize,
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
    /// Tokens of each prompt, and new ones of each sequence.
    pub prompt: usize,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchResult {
    pub engine: String,
    /// The shape's name with random weights, or the model's folder.
    pub model: String,
    pub random_weights: bool,
    pub parameters: u64,
    pub dtype: Dtype,
    pub machine: BenchMachine,
    /// The file, its rows that were taken, and their tokens.
    pub rows_file: String,
    pub rows: u64,
    pub row_tokens: u64,
    /// Where the tokens come from: `model`, or `trained` on these rows where a shape has no tokenizer.
    pub tokenizer: String,
    pub training: TrainingSpeed,
    pub generation: Vec<GenerationSpeed>,
    /// Largest resident memory of the process while it was measured, bytes; absent where the system does not tell.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    /// What the engine plans for the training step, bytes.
    pub planned_bytes: u64,
    /// From the beginning to the end, loading included.
    pub seconds: f64,
}

/// How far a measurement has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchProgress {
    /// What is done now, for people.
    pub what: String,
    pub done: u64,
    pub total: u64,
}
