//! Experts that no token chooses, and which layers of a model have experts at all.

use crate::gradients::check_slopes;
use crate::support::{close, gradients, model_of, text, together_is_apart, VOCAB};
use serde_json::{json, Value};
use tillage_model::{Model, ModelConfig, Packed, Trainable};

fn config(more: Value) -> ModelConfig {
    let mut config = json!({
        "model_type": "qwen3_moe", "hidden_act": "silu", "vocab_size": VOCAB, "hidden_size": 20, "intermediate_size": 28,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 10, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "tie_word_embeddings": true, "initializer_range": 0.25,
        "num_experts": 8, "num_experts_per_tok": 1, "moe_intermediate_size": 12, "norm_topk_prob": false,
    });
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ModelConfig::from_json(&config.to_string()).expect("a valid config")
}

fn full(config: ModelConfig) -> Model {
    let mut model = model_of(config);
    model.set_trainable(Trainable::Full);
    model
}

#[test]
fn experts_without_a_token_stand_in_nobodys_way() {
    let mut model = full(config(json!({})));
    let texts = [text(4, 1), text(2, 3)];
    let pack = Packed::texts(texts.iter().map(Vec::as_slice));
    let grads = gradients(&mut model, &[&pack]);
    for layer in 0..2 {
        let asked = |expert: usize| {
            let name = format!("layers.{layer}.mlp.experts.{expert}.down_proj.weight");
            let (_, grad) = grads.iter().find(|(n, _)| n.ends_with(&name)).expect("an expert");
            grad.iter().any(|g| *g != 0.0)
        };
        let all: Vec<bool> = (0..8).map(asked).collect();
        let last = all.iter().rposition(|a| *a).expect("an expert that is asked");
        assert!(all[..last].iter().any(|a| !a), "the test needs an expert that nobody asks: {all:?}");
    }
    check_slopes(&mut model, &mut |model| {
        let loss = model.forward_backward(&pack).expect("a valid batch");
        loss.sum / loss.tokens as f64
    });
    together_is_apart_where_there_is_something(&mut model, &pack);
}

/// As [`together_is_apart`], where gradients may be zero.
fn together_is_apart_where_there_is_something(model: &mut Model, pack: &Packed) {
    let together = gradients(model, &[pack]);
    let apart = gradients(model, &crate::support::separate(pack).iter().collect::<Vec<_>>());
    for ((_, a), (_, b)) in together.iter().zip(&apart) {
        close(a, b, 1e-5);
    }
}

#[test]
fn the_config_says_which_layers_have_experts_and_whether_shares_come_to_one() {
    let layers = |more: Value| -> Vec<bool> {
        let mut all = json!({"num_hidden_layers": 6});
        all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        config(all).layers.iter().map(|l| l.experts).collect()
    };
    let of = |which: [u8; 6]| which.map(|n| n == 1).to_vec();
    assert_eq!(layers(json!({})), of([1; 6]));
    // transformers: layer n has experts where n + 1 is a multiple of the step, and n is not among the dense.
    assert_eq!(layers(json!({"decoder_sparse_step": 2})), of([0, 1, 0, 1, 0, 1]));
    assert_eq!(layers(json!({"mlp_only_layers": [0, 3]})), of([0, 1, 1, 0, 1, 1]));
    assert_eq!(layers(json!({"decoder_sparse_step": 2, "mlp_only_layers": [1]})), of([0, 0, 0, 1, 0, 1]));
    for normalize in [false, true] {
        let found = config(json!({"norm_topk_prob": normalize})).experts.expect("experts");
        assert_eq!((found.normalize, found.count, found.per_token), (normalize, 8, 1));
    }
    // A layer between that has none is computed as any other.
    let mut mixed = full(config(json!({"num_hidden_layers": 3, "decoder_sparse_step": 2, "num_experts": 2})));
    let texts = [text(14, 1), text(11, 3)];
    together_is_apart(&mut mixed, &Packed::texts(texts.iter().map(Vec::as_slice)));
}
