//! Writing `config.json`.

use serde_json::{json, Map, Value};
use tillage_protocol::run::InitShape;

/// The object that a config was read from. Two configs that mean the same are equal, however they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct Source(pub Map<String, Value>);

impl PartialEq for Source {
    fn eq(&self, _: &Source) -> bool {
        true
    }
}

impl Source {
    /// As it was read, with what this engine writes: weights in f32, and the rotary settings in both spellings.
    pub fn written(&self) -> Value {
        let mut map = self.0.clone();
        map.remove("torch_dtype");
        map.insert("dtype".into(), json!("float32"));
        // transformers 4 reads `rope_theta` and `rope_scaling` and ignores `rope_parameters`.
        if let Some(Value::Object(rope)) = self.0.get("rope_parameters") {
            if let Some(theta) = rope.get("rope_theta") {
                let kind = rope.get("rope_type").and_then(Value::as_str).unwrap_or("default");
                let scaling = if kind == "default" { Value::Null } else { Value::Object(rope.clone()) };
                map.insert("rope_theta".into(), theta.clone());
                map.insert("rope_scaling".into(), scaling);
            }
        }
        Value::Object(map)
    }
}

/// A llama's `config.json`.
pub(super) fn llama(
    shape: &InitShape,
    vocab_size: usize,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "head_dim": shape.hidden_size / shape.num_attention_heads,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": shape.initializer_range,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": shape.max_position_embeddings,
        "mlp_bias": false,
        "model_type": "llama",
        "num_attention_heads": shape.num_attention_heads,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_key_value_heads": shape.num_key_value_heads,
        "pad_token_id": pad,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": shape.tie_word_embeddings,
        "use_cache": true,
        "vocab_size": vocab_size,
    })
}
