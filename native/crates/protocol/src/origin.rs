//! Where the weights of a run come from: a folder, or a shape with random numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ModelSource {
    /// A Hugging Face model folder (or a full checkpoint of a run).
    Folder {
        /// The folder.
        path: PathBuf,
        /// An adapter on it that the run goes on training; its settings are those of the run's `adapter`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adapter: Option<PathBuf>,
    },
    /// Random weights in the given shape.
    Init {
        /// Hugging Face config fields of a llama-shaped model, without `vocab_size` (the tokenizer gives it).
        shape: InitShape,
        /// Where its tokenizer comes from.
        tokenizer: TokenizerSource,
    },
}

/// The shape of a llama-shaped model with random weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitShape {
    /// Numbers of a hidden state.
    pub hidden_size: usize,
    /// Numbers between the projections of the MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries; `hidden_size` is a multiple.
    pub num_attention_heads: usize,
    /// Heads of keys and values; `num_attention_heads` is a multiple.
    pub num_key_value_heads: usize,
    /// Tokens of a text at most.
    pub max_position_embeddings: usize,
    /// Whether the output projection is the embedding; true when absent.
    #[serde(default = "default_true")]
    pub tie_word_embeddings: bool,
    /// Base of the rotations' wavelengths; 10,000 when absent.
    #[serde(default = "default_theta")]
    pub rope_theta: f64,
    /// What the norms add to the mean square; 1e-5 when absent.
    #[serde(default = "default_eps")]
    pub rms_norm_eps: f64,
    /// Standard deviation of the random weights; 0.02 when absent. Residual projections get it divided by √(2 · layers), as in
    /// GPT-2.
    #[serde(default = "default_init_range")]
    pub initializer_range: f64,
}

fn default_true() -> bool {
    true
}
fn default_theta() -> f64 {
    10_000.0
}
fn default_eps() -> f64 {
    1e-5
}
fn default_init_range() -> f64 {
    0.02
}

/// The tokenizer of a model that starts from random weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TokenizerSource {
    /// Byte-level BPE trained on the run's training rows.
    Train {
        /// Tokens at most, the 256 bytes and 3 special ones among them; fewer where the rows hold fewer pairs.
        vocab_size: usize,
    },
    /// The tokenizer of another model folder.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}
