//! What a config may say: sizes and numbers beyond what can be are refused by name, before anything is made of them.

use crate::support::VOCAB;
use serde_json::{json, Value};
use tillage_model::ModelConfig;
use tillage_protocol::Blame;

/// A good config of a family.
fn base(family: &str) -> Value {
    let mut config = json!({
        "model_type": family, "hidden_act": "silu", "vocab_size": VOCAB, "hidden_size": 20, "intermediate_size": 28,
        "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 10,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "initializer_range": 0.25,
    });
    let more = match family {
        "gemma2" => json!({"sliding_window": 8}),
        "mixtral" => json!({"num_local_experts": 8, "num_experts_per_tok": 2}),
        "qwen3_moe" => json!({"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 12}),
        "gpt2" => {
            json!({"n_embd": 20, "n_layer": 4, "n_head": 2, "n_positions": 64, "activation_function": "gelu_new",
            "num_key_value_heads": null, "head_dim": null, "hidden_act": null})
        }
        _ => json!({}),
    };
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// The change must be refused with these words, and the config without it be good.
#[track_caller]
fn refused(family: &str, changes: Value, code: &str, said: &[&str]) {
    let mut config = base(family);
    ModelConfig::from_json(&config.to_string()).expect("a good config");
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let error = ModelConfig::from_json(&config.to_string()).expect_err(&changes.to_string());
    assert_eq!((error.code.as_str(), error.blame), (code, Blame::User), "{changes}: {}", error.message);
    assert!(said.iter().all(|s| error.message.contains(s)), "{changes}: {}", error.message);
    assert!(!error.remedy.is_empty());
}

#[test]
fn no_size_is_beyond_what_any_model_has() {
    let width = 1u64 << 28;
    for (family, field, most, said) in [
        ("llama", "num_hidden_layers", 10_000, "num_hidden_layers"),
        ("llama", "hidden_size", width, "hidden_size"),
        ("llama", "intermediate_size", width, "intermediate_size"),
        ("llama", "num_attention_heads", width, "num_attention_heads"),
        ("llama", "num_key_value_heads", width, "num_attention_heads"),
        ("llama", "head_dim", width, "head_dim"),
        ("llama", "vocab_size", 1 << 31, "vocab_size"),
        ("llama", "max_position_embeddings", 1 << 31, "max_position_embeddings"),
        ("qwen3_moe", "moe_intermediate_size", width, "width of an expert"),
        ("qwen3_moe", "num_experts", 1 << 17, "number of experts"),
    ] {
        for value in [most + 1, u64::MAX] {
            let (is, limit) = (format!("is {value}, above"), most.to_string());
            refused(family, json!({ field: value }), "bad_config", &[said, &is, &limit]);
        }
    }
    // Each by itself would do.
    refused(
        "llama",
        json!({"num_attention_heads": 1 << 15, "head_dim": 1 << 15}),
        "bad_config",
        &["the width of all heads", "1073741824"],
    );
    refused(
        "qwen3_moe",
        json!({"num_experts": 1 << 16}),
        "bad_config",
        &["the number of all experts", "262144"],
    );
    let many = json!({"hidden_size": 1 << 24, "vocab_size": 1 << 30});
    refused("llama", many, "bad_config", &["the number of weights"]);
}

#[test]
fn no_number_leads_to_what_cannot_be_computed_with() {
    for (family, field, value, said) in [
        ("granite", "embedding_multiplier", json!(1e300), "the scale of the embedding"),
        ("granite", "residual_multiplier", json!(-1e300), "the scale of the residual stream"),
        ("granite", "logits_scaling", json!(0.0), "the scale of the logits"),
        ("granite", "attention_multiplier", json!(1e39), "the scale of attention"),
        ("gemma2", "attn_logit_softcapping", json!(1e300), "the soft cap of attention"),
        ("gemma2", "final_logit_softcapping", json!(1e300), "the soft cap of the logits"),
        ("gemma2", "attn_logit_softcapping", json!(1e31), "the soft cap of attention"),
        ("gemma2", "final_logit_softcapping", json!(-1.0), "the soft cap of the logits"),
        ("llama", "rms_norm_eps", json!(-1e-9), "the epsilon of the norms"),
        ("llama", "rms_norm_eps", json!(1001.0), "the epsilon of the norms"),
        ("llama", "initializer_range", json!(-0.1), "initializer_range"),
        ("llama", "initializer_range", json!(1001.0), "initializer_range"),
    ] {
        refused(family, json!({ field: value }), "bad_config", &[said]);
    }
    for (rope, said) in [
        (json!({"rope_type": "default", "rope_theta": 0.0}), "angles that are no numbers"),
        (json!({"rope_type": "default", "rope_theta": -1e4}), "angles that are no numbers"),
        (json!({"rope_type": "linear", "rope_theta": 1e4, "factor": 0.0}), "angles that are no numbers"),
        (json!({"rope_type": "default", "partial_rotary_factor": 0.0}), "partial_rotary_factor of 0"),
        (json!({"rope_type": "default", "partial_rotary_factor": 1.2}), "partial_rotary_factor of 1.2"),
        (json!({"rope_type": "default", "partial_rotary_factor": 0.5}), "5 numbers of each head turn"),
        (json!({"rope_type": "longrope", "short_factor": [1.0, 1.0]}), "short_factor has 2 numbers; 5 turn"),
    ] {
        refused("llama", json!({"rope_parameters": rope}), "bad_config", &[said]);
    }
}

#[test]
fn what_a_family_does_not_compute_or_contradicts_itself_is_refused() {
    for (family, changes, code, said) in [
        ("llama", json!({"quantization_config": {"bits": 4}}), "unsupported_config", "quantization_config"),
        ("llama", json!({"pretraining_tp": 2}), "unsupported_config", "pretraining_tp"),
        ("llama", json!({"sliding_window": 8}), "unsupported_config", "sliding_window"),
        (
            "llama",
            json!({"num_attention_heads": 3, "num_key_value_heads": 2}),
            "bad_config",
            "not a multiple",
        ),
        ("llama", json!({"head_dim": 9}), "bad_config", "head_dim"),
        (
            "gemma2",
            json!({"sliding_window": 8, "layer_types": ["full_attention"]}),
            "bad_config",
            "1 entries for 4",
        ),
        ("gemma2", json!({"sliding_window": null}), "bad_config", "no sliding_window"),
        (
            "gemma2",
            json!({"use_bidirectional_attention": true}),
            "unsupported_config",
            "use_bidirectional_attention",
        ),
        ("gpt2", json!({"add_cross_attention": true}), "unsupported_config", "add_cross_attention"),
        ("gpt2", json!({"scale_attn_by_inverse_layer_idx": true}), "unsupported_config", "inverse_layer"),
        ("gpt2", json!({"n_embd": 3, "n_head": 4}), "bad_config", "head_dim of 0"),
        ("mixtral", json!({"num_experts_per_tok": 9}), "bad_config", "num_experts_per_tok 9"),
    ] {
        refused(family, changes, code, &[said]);
    }
    let shape = json!({"hidden_size": 20, "intermediate_size": 28, "num_hidden_layers": 1, "num_attention_heads": 3,
        "num_key_value_heads": 1, "max_position_embeddings": 16});
    let shape = serde_json::from_value(shape).unwrap();
    let error = ModelConfig::from_init(&shape, VOCAB, None, None, None).expect_err("heads of a third");
    assert!(
        error.code == "bad_config" && error.message.contains("20 cannot be divided among 3"),
        "{error:?}"
    );
}
