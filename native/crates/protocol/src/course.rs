//! The course of a run: which optimiser takes its steps, how its learning rate ends, when it ends early, and where it forks from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which optimiser takes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OptimizerKind {
    /// AdamW (Loshchilov & Hutter 2019), both moments in f32: 8 bytes a trained number.
    #[default]
    #[serde(rename = "adamw")]
    AdamW,
    /// AdamW with both moments in 8 bits, in blocks of 256 numbers by the dynamic code of Dettmers et al. 2022: 2 bytes a number.
    /// Tensors of fewer than 4,096 numbers keep theirs in f32.
    #[serde(rename = "adamw_8bit")]
    AdamW8bit,
    /// Muon (Jordan et al. 2024; scaled as in Liu et al. 2025) for the matrices of the layers, AdamW for embeddings, head, norms,
    /// biases and routers. Full training only.
    #[serde(rename = "muon")]
    Muon,
}

impl OptimizerKind {
    /// The name in `run.json` and run files.
    pub fn name(self) -> &'static str {
        match self {
            OptimizerKind::AdamW => "adamw",
            OptimizerKind::AdamW8bit => "adamw_8bit",
            OptimizerKind::Muon => "muon",
        }
    }
}

/// How the learning rate falls in the last phase of a `wsd` schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecayShape {
    /// 1 - √(share of the phase that is over) (Hägele et al. 2024).
    #[default]
    Sqrt,
    /// Straight down.
    Linear,
}

/// Ends a run whose validation loss has stopped falling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Validations in a row without an improvement that end the run.
    pub patience: u64,
    /// A validation is an improvement when its loss is lower by more than this, nats.
    #[serde(default)]
    pub min_delta: f64,
}

/// A run that goes on from a checkpoint of another run, with optimiser states and place in the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// A folder `checkpoints/step-N` inside a run's folder, absolute or relative to the new run's folder.
    pub checkpoint: PathBuf,
}

/// The validation with the lowest loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Optimiser steps that were taken when it was validated.
    pub step: u64,
    /// Mean negative log-likelihood of the validation rows' labelled tokens, nats.
    pub loss: f64,
}

/// Where a forked run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkedFrom {
    /// Id of the run that the checkpoint belongs to.
    pub run: String,
    /// Steps that the checkpoint holds: the new run's first step is the one behind.
    pub step: u64,
}

/// Whether activations are computed again (Chen et al. 2016): the same result bit for bit in less memory, in about a third
/// more time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Where the machine has too little free memory to keep them.
    #[default]
    Auto,
    /// In every run, whatever memory is free.
    Always,
    /// Never: a run that does not fit the memory is refused.
    Never,
}

/// In which order the training rows are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RowOrder {
    /// Another order in each epoch, which follows from the seed.
    #[default]
    Shuffled,
    /// As the rows stand in the files, in every epoch: a curriculum (Bengio et al. 2009).
    Stored,
}
