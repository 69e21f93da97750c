//! `config.json` of a Hugging Face model folder, as the differences between decoders that it declares.

mod fields;
mod hf;
mod limits;
mod rope;

pub(crate) use fields::{bad, unsupported, Fields};
pub use rope::RopeConfig;

use crate::family;
use hf::Source;
use serde_json::Value;
use std::path::Path;
use tillage_kernels::Activation;
use tillage_protocol::run::InitShape;
use tillage_protocol::EngineError;

/// What the norms compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormKind {
    /// RMSNorm, x w / rms(x).
    Rms,
    /// RMSNorm whose weight is stored as its difference from 1.
    RmsPlusOne,
    /// LayerNorm with a bias.
    Layer,
}

/// Where the norms of a layer stand: before its two blocks, after them (before the sum), or both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormPlace {
    /// Before its blocks only, as in llama.
    Before,
    /// After its blocks only, as in OLMo 2.
    After,
    /// On both sides of each, as in Gemma 2.
    Both,
}

/// RMSNorm of queries and keys before the rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QkNorm {
    /// They are not normed.
    None,
    /// Of each head.
    Head,
    /// Of all heads together.
    Whole,
}

/// Which projections add a bias.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Biases {
    /// Those into queries, keys and values.
    pub qkv: bool,
    /// The one out of the attention.
    pub output: bool,
    /// Those of the MLP.
    pub mlp: bool,
}

/// Fixed factors, 1 in most families.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scales {
    /// On the embedding.
    pub embedding: f32,
    /// On what a block adds to the residual stream.
    pub residual: f32,
    /// On the logits.
    pub logits: f32,
    /// On q·k.
    pub attention: f32,
}

/// A sparse mixture of experts in the place of an MLP (Shazeer et al. 2017).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpertsConfig {
    /// Experts of a layer.
    pub count: usize,
    /// Experts that compute each token.
    pub per_token: usize,
    /// Numbers between an expert's projections.
    pub intermediate_size: usize,
    /// The chosen experts' probabilities are scaled to a sum of 1.
    pub normalize: bool,
}

/// What differs between the layers of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerConfig {
    /// A token sees itself and the `window - 1` before it; 0 = all before it.
    pub window: usize,
    /// Place in [`ModelConfig::ropes`]; none for a layer without rotary positions.
    pub rope: Option<usize>,
    /// Experts stand in the place of the MLP.
    pub experts: bool,
}

/// The shape of a model, read from or written to `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The family's name, as in the file.
    pub model_type: String,
    /// Rows of the embedding: ids are below this.
    pub vocab_size: usize,
    /// Numbers of a hidden state.
    pub hidden_size: usize,
    /// Numbers between the projections of the MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries; a multiple of those of the keys.
    pub num_attention_heads: usize,
    /// Heads of keys and values.
    pub num_key_value_heads: usize,
    /// Width of one head; need not be `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// Tokens of a text at most.
    pub max_position_embeddings: usize,
    /// What the norms compute.
    pub norm: NormKind,
    /// What the norms add to the mean square, or to the variance.
    pub norm_eps: f64,
    /// Where the norms of a layer stand.
    pub norm_place: NormPlace,
    /// Whether queries and keys are normed.
    pub qk_norm: QkNorm,
    /// Which projections add a bias.
    pub biases: Biases,
    /// What the MLP does between its projections.
    pub activation: Activation,
    /// The MLP has a gate.
    pub gated: bool,
    /// Fixed factors.
    pub scales: Scales,
    /// Soft cap of attention scores, see [`tillage_kernels::AttentionShape::softcap`]; 0 = none.
    pub attention_softcap: f32,
    /// Soft cap of the logits, likewise; 0 = none.
    pub logits_softcap: f32,
    /// Positions have a learned embedding.
    pub learned_positions: bool,
    /// Rotary positions, one for each kind of layer that has its own.
    pub ropes: Vec<RopeConfig>,
    /// One for each layer, from the embedding up.
    pub layers: Vec<LayerConfig>,
    /// The experts of those layers that have some.
    pub experts: Option<ExpertsConfig>,
    /// The output projection is the embedding.
    pub tie_word_embeddings: bool,
    /// Standard deviation of new random weights.
    pub initializer_range: f64,
    /// Id that begins a text, where the file names one.
    pub bos_token_id: Option<u32>,
    /// Ids that end a text; some models have several.
    pub eos_token_ids: Vec<u32>,
    /// Id that fills what has no token, where the file names one; nothing is padded here.
    pub pad_token_id: Option<u32>,
    source: Source,
}

impl ModelConfig {
    /// Reads `config.json` of a model folder, in the spelling of transformers 5 or of 4.x.
    ///
    /// # Errors
    /// `user`: the file is missing, is not JSON, lacks a field, or names a family that is not supported.
    pub fn from_dir(dir: &Path) -> Result<ModelConfig, EngineError> {
        let path = dir.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| EngineError::io(&e, &path))?;
        Self::from_json(&text).map_err(|e| e.with_file(&path))
    }

    /// Parses the text of a `config.json`; see [`ModelConfig::from_dir`].
    ///
    /// # Errors
    /// As there, without the file's name.
    pub fn from_json(text: &str) -> Result<ModelConfig, EngineError> {
        let value: Value = serde_json::from_str(text).map_err(|e| {
            EngineError::user(
                "bad_config",
                format!("config.json is not valid JSON: {e}."),
                "Download or export the model's config.json again.",
            )
            .with_line(e.line() as u64)
        })?;
        let source = value.as_object().ok_or_else(|| bad("config.json is not a JSON object."))?;
        let fields = Fields(source);
        let model_type = fields.text("model_type")?;
        let family = family::of(&model_type)?;
        let mut config = Self::common(&fields, family, model_type)?;
        limits::sizes(&config)?;
        config.ropes =
            vec![RopeConfig::read(&fields, None, config.head_dim, config.max_position_embeddings)?];
        config.layers =
            vec![LayerConfig { window: 0, rope: Some(0), experts: false }; config.num_hidden_layers];
        (family.differences)(&fields, &mut config)?;
        config.source = Source(source.clone());
        let held = config.ropes.iter().map(|r| r.context);
        config.max_position_embeddings = held.chain([config.max_position_embeddings]).min().unwrap_or(0);
        config.check()?;
        limits::sizes(&config)?;
        limits::numbers(&config)?;
        Ok(config)
    }

    /// What all families have, as llama spells and means it.
    fn common(
        fields: &Fields,
        family: &family::Family,
        model_type: String,
    ) -> Result<ModelConfig, EngineError> {
        let size = |name: &'static str| fields.positive(family.field(name));
        let hidden_size = size("hidden_size")?;
        let heads = size("num_attention_heads")?;
        let layers = size("num_hidden_layers")?;
        let head_dim = fields.optional_positive("head_dim")?.unwrap_or(hidden_size / heads);
        if fields.get("quantization_config").is_some() {
            return Err(unsupported("quantization_config"));
        }
        Ok(ModelConfig {
            vocab_size: size("vocab_size")?,
            hidden_size,
            intermediate_size: match fields.optional_positive(family.field("intermediate_size"))? {
                Some(size) => size,
                None if family.intermediate_factor > 0 => {
                    family.intermediate_factor.saturating_mul(hidden_size)
                }
                None => size("intermediate_size")?,
            },
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: fields.optional_positive("num_key_value_heads")?.unwrap_or(heads),
            head_dim,
            max_position_embeddings: fields
                .optional_positive(family.field("max_position_embeddings"))?
                .unwrap_or(2048),
            norm: NormKind::Rms,
            norm_eps: fields.number(family.field("rms_norm_eps"))?.unwrap_or(family.eps),
            norm_place: NormPlace::Before,
            qk_norm: QkNorm::None,
            biases: Biases::default(),
            activation: family::activation(fields, family.field("hidden_act"), family.activation)?,
            gated: true,
            scales: Scales {
                embedding: 1.0,
                residual: 1.0,
                logits: 1.0,
                attention: (1.0 / (head_dim as f64).sqrt()) as f32,
            },
            attention_softcap: 0.0,
            logits_softcap: 0.0,
            learned_positions: false,
            ropes: Vec::new(),
            layers: Vec::new(),
            experts: None,
            tie_word_embeddings: fields.optional_flag("tie_word_embeddings")?.unwrap_or(family.tied),
            initializer_range: fields.number("initializer_range")?.unwrap_or(0.02),
            bos_token_id: fields.ids("bos_token_id")?.first().copied(),
            eos_token_ids: fields.ids("eos_token_id")?,
            pad_token_id: fields.ids("pad_token_id")?.first().copied(),
            source: Source::default(),
            model_type,
        })
    }

    /// A llama-shaped model for training from random weights.
    ///
    /// # Errors
    /// `user` when the shape is impossible, such as a width that the heads do not divide.
    pub fn from_init(
        shape: &InitShape,
        vocab_size: usize,
        bos: Option<u32>,
        eos: Option<u32>,
        pad: Option<u32>,
    ) -> Result<ModelConfig, EngineError> {
        if shape.num_attention_heads == 0 || !shape.hidden_size.is_multiple_of(shape.num_attention_heads) {
            return Err(bad(format!(
                "hidden_size {} cannot be divided among {} attention heads.",
                shape.hidden_size, shape.num_attention_heads
            )));
        }
        Self::from_json(&hf::llama(shape, vocab_size, bos, eos, pad).to_string())
    }

    /// Number of weights, the tied output projection counted once.
    pub fn parameters(&self) -> usize {
        crate::spec::DecoderSpec::of(self).tensors().iter().map(|t| t.shape.iter().product::<usize>()).sum()
    }

    /// Width of all queries of a token.
    pub(crate) fn q_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all keys of a token.
    pub(crate) fn kv_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    fn check(&self) -> Result<(), EngineError> {
        let fail = |text: String| Err(bad(text));
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return fail(format!(
                "num_attention_heads {} is not a multiple of num_key_value_heads {}.",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        let turns = self.layers.iter().any(|l| l.rope.is_some());
        if self.head_dim == 0 || turns && !self.head_dim.is_multiple_of(2) {
            return fail(format!("head_dim {} must be an even number for rotary positions.", self.head_dim));
        }
        if self.layers.len() != self.num_hidden_layers {
            return fail(format!(
                "config.json describes {} layers, but num_hidden_layers is {}.",
                self.layers.len(),
                self.num_hidden_layers
            ));
        }
        if let Some(experts) = self.experts {
            if experts.per_token == 0 || experts.per_token > experts.count {
                return fail(format!(
                    "num_experts_per_tok {} is not between 1 and {}.",
                    experts.per_token, experts.count
                ));
            }
        }
        Ok(())
    }

    /// The `config.json` of this model with its weights in f32, for transformers 5 and 4.x.
    pub fn to_hf_json(&self) -> Value {
        self.source.written()
    }
}
