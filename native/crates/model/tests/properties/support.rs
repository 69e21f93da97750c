//! Small models and batches.

use serde_json::{json, Value};
use tillage_model::{LoraConfig, Model, ModelConfig, Packed, IGNORE};

pub const VOCAB: usize = 61;

/// A shape in which no two sizes are the same: head_dim is not hidden / heads, heads share keys, and there are biases.
pub fn config() -> ModelConfig {
    config_with(json!({}))
}

/// The same with other fields.
pub fn config_with(changes: Value) -> ModelConfig {
    let mut config = json!({
        "model_type": "llama", "hidden_act": "silu", "vocab_size": VOCAB, "hidden_size": 36, "intermediate_size": 52,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 10,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "attention_bias": true, "mlp_bias": true,
        "rope_parameters": {"rope_theta": 10_000.0, "rope_type": "default"}, "tie_word_embeddings": true,
        "initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": [2, 3],
    });
    let map = config.as_object_mut().expect("an object");
    map.extend(changes.as_object().expect("an object").clone());
    ModelConfig::from_json(&config.to_string()).expect("a valid config")
}

/// A model whose biases are not zero either.
pub fn model() -> Model {
    model_of(config())
}

pub fn model_of(config: ModelConfig) -> Model {
    let mut model = Model::init(config, 7);
    model.set_trainable(tillage_model::Trainable::Full);
    let norms = |p: &tillage_model::ParamMut| p.shape.len() == 1 && p.name.ends_with(".weight");
    for p in model.parameters_mut().into_iter().filter(norms) {
        p.value.iter_mut().enumerate().for_each(|(i, v)| *v += ((i * 29 % 7) as f32 - 3.0) * 0.04);
    }
    for p in model.parameters_mut().into_iter().filter(|p| p.name.ends_with(".bias")) {
        p.value.iter_mut().enumerate().for_each(|(i, v)| *v = ((i * 37 % 11) as f32 - 5.0) * 0.05);
    }
    model.set_trainable(tillage_model::Trainable::Nothing);
    model
}

pub fn lora(targets: &[&str]) -> LoraConfig {
    LoraConfig { targets: targets.iter().map(|t| (*t).to_owned()).collect(), ..LoraConfig::plain(3) }
}

/// A model with an adapter whose B is not zero.
pub fn adapted(config: &LoraConfig) -> Model {
    adapt(model(), config)
}

pub fn adapt(mut model: Model, config: &LoraConfig) -> Model {
    model.attach_lora(config, 9).expect("a valid adapter");
    model.set_trainable(tillage_model::Trainable::Adapter);
    for p in model.parameters_mut().into_iter().filter(|p| p.name.contains("lora_B")) {
        p.value.iter_mut().enumerate().for_each(|(i, v)| *v = ((i * 53 % 17) as f32 - 8.0) * 0.03);
    }
    model
}

pub fn text(length: usize, seed: usize) -> Vec<u32> {
    (0..length).map(|i| ((seed * 31 + i * i * 7 + i * 13) % VOCAB) as u32).collect()
}

/// Three texts, the first half of each without labels.
pub fn batch() -> Packed {
    let texts = [text(9, 1), text(1, 2), text(23, 3)];
    let mut pack = Packed::texts(texts.iter().map(Vec::as_slice));
    for example in 0..3 {
        let (from, to) = (pack.starts[example], pack.starts[example + 1]);
        pack.labels[from..from + (to - from) / 2].fill(IGNORE);
    }
    pack
}

/// Gradients of everything that is trained.
pub fn gradients(model: &mut Model, batches: &[&Packed]) -> Vec<(String, Vec<f32>)> {
    model.zero_grad();
    for batch in batches {
        model.forward_backward(batch).expect("a valid batch");
    }
    model.parameters_mut().into_iter().map(|p| (p.name.to_owned(), p.grad.to_vec())).collect()
}

/// Each example of a pack as a pack of its own.
pub fn separate(pack: &Packed) -> Vec<Packed> {
    let part = |span: &[usize]| Packed {
        tokens: pack.tokens[span[0]..span[1]].to_vec(),
        labels: pack.labels[span[0]..span[1]].to_vec(),
        starts: vec![0, span[1] - span[0]],
        normalizer: Some(pack.labelled() as f32),
        ..Packed::default()
    };
    pack.starts.windows(2).map(part).collect()
}

/// Gradients of a pack must be the sums of those of its texts alone.
#[track_caller]
pub fn together_is_apart(model: &mut Model, whole: &Packed) {
    let together = gradients(model, &[whole]);
    let apart = gradients(model, &separate(whole).iter().collect::<Vec<_>>());
    assert!(!together.is_empty());
    for ((name, a), (_, b)) in together.iter().zip(&apart) {
        assert!(a.iter().any(|g| *g != 0.0), "{name}");
        close(a, b, 1e-5);
    }
}

#[track_caller]
pub fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-20f32, |m, v| m.max(v.abs()));
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= tolerance * largest, "at {i}: {x} and {y} of {largest}");
    }
}

/// Bytes that attention takes on all threads for an example of so many tokens.
pub fn attention_scratch(config: &ModelConfig, tokens: usize, rounded: bool) -> usize {
    let shape = tillage_kernels::AttentionShape {
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        scale: config.scales.attention,
        window: 0,
        softcap: config.attention_softcap,
        rounded,
    };
    tillage_kernels::cpu::attention_scratch_bytes(tokens, &shape)
}
