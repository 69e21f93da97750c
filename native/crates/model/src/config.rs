//! `config.json` of a Hugging Face model folder.

use crate::family;
use serde_json::{json, Map, Value};
use std::path::Path;
use tillage_protocol::run::InitShape;
use tillage_protocol::EngineError;

/// Rotary position embedding (Su et al. 2021) and its scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    pub theta: f64,
    pub scaling: RopeScaling,
}

/// How the rotary frequencies are stretched for longer contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Frequencies as they are.
    Default,
    /// Llama 3.1: low frequencies divided by `factor`, a smooth band between the two cut-offs.
    Llama3 { factor: f64, low_freq_factor: f64, high_freq_factor: f64, original_context: usize },
}

/// The shape of a model, read from or written to `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    pub model_type: String,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    /// Width of one head; need not be `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: f64,
    pub rope: RopeConfig,
    pub attention_bias: bool,
    pub mlp_bias: bool,
    /// The output projection is the embedding.
    pub tie_word_embeddings: bool,
    pub initializer_range: f64,
    pub bos_token_id: Option<u32>,
    /// Ids that end a text; some models have several.
    pub eos_token_ids: Vec<u32>,
    pub pad_token_id: Option<u32>,
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
    pub fn from_json(text: &str) -> Result<ModelConfig, EngineError> {
        let value: Value = serde_json::from_str(text).map_err(|e| {
            EngineError::user(
                "bad_config",
                format!("config.json is not valid JSON: {e}."),
                "Download or export the model's config.json again.",
            )
            .with_line(e.line() as u64)
        })?;
        let fields = Fields(value.as_object().ok_or_else(|| bad("config.json is not a JSON object."))?);
        let model_type = fields.text("model_type")?;
        family::check(&model_type)?;
        family::check_fields(&fields)?;
        let hidden_size = fields.positive("hidden_size")?;
        let heads = fields.positive("num_attention_heads")?;
        let config = ModelConfig {
            vocab_size: fields.positive("vocab_size")?,
            hidden_size,
            intermediate_size: fields.positive("intermediate_size")?,
            num_hidden_layers: fields.positive("num_hidden_layers")?,
            num_attention_heads: heads,
            num_key_value_heads: fields.optional_positive("num_key_value_heads")?.unwrap_or(heads),
            head_dim: fields.optional_positive("head_dim")?.unwrap_or(hidden_size / heads),
            max_position_embeddings: fields.optional_positive("max_position_embeddings")?.unwrap_or(2048),
            rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope: rope(&fields)?,
            attention_bias: fields.flag("attention_bias")?,
            mlp_bias: fields.flag("mlp_bias")?,
            tie_word_embeddings: fields.flag("tie_word_embeddings")?,
            initializer_range: fields.number("initializer_range")?.unwrap_or(0.02),
            bos_token_id: fields.ids("bos_token_id")?.first().copied(),
            eos_token_ids: fields.ids("eos_token_id")?,
            pad_token_id: fields.ids("pad_token_id")?.first().copied(),
            model_type,
        };
        config.check()?;
        Ok(config)
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
        let config = ModelConfig {
            model_type: "llama".into(),
            vocab_size,
            hidden_size: shape.hidden_size,
            intermediate_size: shape.intermediate_size,
            num_hidden_layers: shape.num_hidden_layers,
            num_attention_heads: shape.num_attention_heads,
            num_key_value_heads: shape.num_key_value_heads,
            head_dim: shape.hidden_size / shape.num_attention_heads,
            max_position_embeddings: shape.max_position_embeddings,
            rms_norm_eps: shape.rms_norm_eps,
            rope: RopeConfig { theta: shape.rope_theta, scaling: RopeScaling::Default },
            attention_bias: false,
            mlp_bias: false,
            tie_word_embeddings: shape.tie_word_embeddings,
            initializer_range: shape.initializer_range,
            bos_token_id: bos,
            eos_token_ids: eos.into_iter().collect(),
            pad_token_id: pad,
        };
        config.check()?;
        Ok(config)
    }

    /// Number of weights, the tied output projection counted once.
    pub fn parameters(&self) -> usize {
        crate::spec::DecoderSpec::of(self).tensors().iter().map(|t| t.shape.iter().product::<usize>()).sum()
    }

    fn check(&self) -> Result<(), EngineError> {
        let fail = |text: String| Err(bad(text));
        for (name, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if value == 0 {
                return fail(format!("{name} must be at least 1."));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return fail(format!(
                "num_attention_heads {} is not a multiple of num_key_value_heads {}.",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return fail(format!("head_dim {} must be an even number for rotary positions.", self.head_dim));
        }
        Ok(())
    }

    /// The `config.json` that transformers 5 writes for this model.
    pub fn to_hf_json(&self) -> Value {
        let eos = match self.eos_token_ids.as_slice() {
            [] => Value::Null,
            [one] => json!(one),
            many => json!(many),
        };
        let rope = match &self.rope.scaling {
            RopeScaling::Default => json!({"rope_theta": self.rope.theta, "rope_type": "default"}),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => json!({
                "factor": factor,
                "high_freq_factor": high_freq_factor,
                "low_freq_factor": low_freq_factor,
                "original_max_position_embeddings": original_context,
                "rope_theta": self.rope.theta,
                "rope_type": "llama3",
            }),
        };
        json!({
            "architectures": [family::architecture(&self.model_type)],
            "attention_bias": self.attention_bias,
            "attention_dropout": 0.0,
            "bos_token_id": self.bos_token_id,
            "dtype": "float32",
            "eos_token_id": eos,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": self.initializer_range,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "mlp_bias": self.mlp_bias,
            "model_type": self.model_type,
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "pad_token_id": self.pad_token_id,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_parameters": rope,
            // transformers 4 reads these two and ignores `rope_parameters`.
            "rope_theta": self.rope.theta,
            "rope_scaling": match &self.rope.scaling {
                RopeScaling::Default => Value::Null,
                RopeScaling::Llama3 { .. } => rope.clone(),
            },
            "tie_word_embeddings": self.tie_word_embeddings,
            "use_cache": true,
            "vocab_size": self.vocab_size,
        })
    }
}

/// `rope_parameters` (transformers 5) or `rope_theta` with `rope_scaling` (4.x).
fn rope(fields: &Fields) -> Result<RopeConfig, EngineError> {
    let empty = Map::new();
    let section = |name: &str| match fields.0.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(Fields(map))),
        Some(_) => Err(bad(format!("{name} in config.json is not an object."))),
    };
    let inner = match section("rope_parameters")? {
        Some(found) => Some(found),
        None => section("rope_scaling")?,
    }
    .unwrap_or(Fields(&empty));
    let theta = inner.number("rope_theta")?.or(fields.number("rope_theta")?).unwrap_or(10_000.0);
    let kind = match (inner.0.get("rope_type"), inner.0.get("type")) {
        (Some(Value::String(k)), _) | (None, Some(Value::String(k))) => k.as_str(),
        (None, None) => "default",
        _ => return Err(bad("rope_type in config.json is not a text.")),
    };
    let scaling = match kind {
        "default" => RopeScaling::Default,
        "llama3" => {
            let need = |name: &str| {
                inner
                    .number(name)?
                    .ok_or_else(|| bad(format!("config.json has rope_type llama3 but no {name}.")))
            };
            RopeScaling::Llama3 {
                factor: need("factor")?,
                low_freq_factor: need("low_freq_factor")?,
                high_freq_factor: need("high_freq_factor")?,
                original_context: need("original_max_position_embeddings")? as usize,
            }
        }
        other => {
            return Err(EngineError::user(
                "unsupported_rope",
                format!("config.json asks for rope_type \"{other}\"; Tillage knows default and llama3."),
                "Use a model with one of these, or one that was not stretched to a longer context.",
            ))
        }
    };
    Ok(RopeConfig { theta, scaling })
}

fn bad(message: impl Into<String>) -> EngineError {
    EngineError::user("bad_config", message, "Correct config.json, or download or export it again.")
}

/// Typed access to a JSON object; a field that is null counts as absent.
pub(crate) struct Fields<'a>(pub(crate) &'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, EngineError> {
        self.get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| bad(format!("config.json has no text field {name}.")))
    }

    pub(crate) fn optional_text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, EngineError> {
        match self.get(name) {
            None => Ok(None),
            Some(v) => {
                v.as_f64().map(Some).ok_or_else(|| bad(format!("{name} in config.json is not a number.")))
            }
        }
    }

    fn optional_positive(&self, name: &str) -> Result<Option<usize>, EngineError> {
        match self.get(name) {
            None => Ok(None),
            Some(v) => match v.as_u64() {
                Some(n) if n > 0 => Ok(Some(n as usize)),
                _ => Err(bad(format!("{name} in config.json is not a positive whole number."))),
            },
        }
    }

    fn positive(&self, name: &str) -> Result<usize, EngineError> {
        self.optional_positive(name)?.ok_or_else(|| bad(format!("config.json has no field {name}.")))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, EngineError> {
        match self.get(name) {
            None => Ok(false),
            Some(v) => {
                v.as_bool().ok_or_else(|| bad(format!("{name} in config.json is neither true nor false.")))
            }
        }
    }

    fn ids(&self, name: &str) -> Result<Vec<u32>, EngineError> {
        let id = |v: &Value| {
            v.as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| bad(format!("{name} in config.json is not a token id.")))
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(many)) => many.iter().map(id).collect(),
            Some(one) => Ok(vec![id(one)?]),
        }
    }
}
