//! Every family in shapes that no fixture has: odd sizes, heads that share keys, windows, more experts, other rotations.

use crate::gradients::check_directions;
use crate::support::{adapt, attention_scratch, batch, close, config_with, gradients, lora, model_of, text};
use serde_json::{json, Value};
use tillage_model::{family, Model, ModelConfig, Packed, Trainable};

/// A config of each family, and variants of some.
pub fn shapes() -> Vec<(String, ModelConfig)> {
    let plain = json!({"attention_bias": false, "mlp_bias": false});
    let rope = |settings: Value| json!({"rope_parameters": settings});
    let with = |base: &Value, more: Value| {
        let mut all = base.clone();
        all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        all
    };
    let gemma = with(
        &plain,
        json!({
            "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 17, "sliding_window": 5,
        }),
    );
    let experts = with(&plain, json!({"num_experts_per_tok": 3, "moe_intermediate_size": 34}));
    let gpt2 = json!({
        "model_type": "gpt2", "n_embd": 36, "n_layer": 3, "n_head": 3, "n_positions": 40, "activation_function": "gelu_new",
        "num_key_value_heads": null, "head_dim": null, "n_inner": null, "hidden_act": null,
    });
    let all = [
        ("llama", rope(json!({"rope_type": "linear", "factor": 4.0, "rope_theta": 10_000.0}))),
        (
            "llama",
            rope(json!({"rope_type": "yarn", "factor": 4.0, "rope_theta": 500_000.0,
            "original_max_position_embeddings": 32})),
        ),
        (
            "llama",
            rope(json!({"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.6})),
        ),
        ("mistral", with(&plain, json!({"sliding_window": 7}))),
        (
            "qwen2",
            with(&plain, json!({"use_sliding_window": true, "max_window_layers": 1, "sliding_window": 6})),
        ),
        ("qwen3", json!({})),
        ("gemma2", with(&gemma, json!({"attn_logit_softcapping": 3.0, "final_logit_softcapping": 4.0}))),
        ("gemma3_text", with(&gemma, json!({"sliding_window_pattern": 2, "rope_local_base_freq": 100.0}))),
        (
            "phi3",
            with(
                &plain,
                rope(json!({"rope_type": "longrope", "rope_theta": 10_000.0,
            "original_max_position_embeddings": 64, "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5],
            "long_factor": [1.0, 2.0, 3.0, 4.0, 5.0]})),
            ),
        ),
        ("olmo2", json!({"mlp_bias": false, "tie_word_embeddings": false})),
        ("smollm3", json!({"no_rope_layer_interval": 2, "use_sliding_window": true, "sliding_window": 9})),
        (
            "granite",
            json!({"attention_multiplier": 0.2, "embedding_multiplier": 3.0, "residual_multiplier": 0.4,
            "logits_scaling": 2.0}),
        ),
        ("gpt2", gpt2.clone()),
        ("gpt2", with(&gpt2, json!({"activation_function": "gelu"}))),
        ("olmo2", with(&plain, json!({"hidden_act": "gelu"}))),
        ("mixtral", with(&experts, json!({"num_local_experts": 5, "sliding_window": 8}))),
        (
            "qwen3_moe",
            with(&experts, json!({"num_experts": 6, "norm_topk_prob": false, "mlp_only_layers": [1]})),
        ),
        (
            "qwen3_moe",
            with(&experts, json!({"num_experts": 4, "norm_topk_prob": true, "decoder_sparse_step": 2})),
        ),
    ];
    all.into_iter()
        .enumerate()
        .map(|(i, (name, changes))| {
            (format!("{name} ({i})"), config_with(with(&json!({"model_type": name}), changes)))
        })
        .collect()
}

#[test]
fn activations_are_those_that_their_names_say() {
    use tillage_kernels::Activation::{Gelu, GeluTanh, Silu};
    for (name, kind) in [
        ("silu", Silu),
        ("swish", Silu),
        ("gelu_new", GeluTanh),
        ("gelu_pytorch_tanh", GeluTanh),
        ("gelu", Gelu),
    ] {
        assert_eq!(config_with(json!({"hidden_act": name})).activation, kind, "{name}");
    }
}

#[test]
fn no_family_is_left_out() {
    let tried: Vec<String> = shapes().into_iter().map(|(_, config)| config.model_type).collect();
    for name in family::supported() {
        assert!(tried.iter().any(|t| t == name), "{name}");
    }
}

/// The model with every token at every expert: a choice jumps, and a jump has no derivative. The fixtures have the
/// gradients of real choices.
pub fn all_experts(config: &ModelConfig) -> ModelConfig {
    let mut json = config.to_hf_json();
    if let Some(experts) = config.experts {
        json["num_experts_per_tok"] = experts.count.into();
    }
    ModelConfig::from_json(&json.to_string()).expect("a valid config")
}

#[test]
fn gradients_are_derivatives() {
    for (name, config) in shapes() {
        println!("{name}");
        let experts = config.experts.is_some();
        let config = all_experts(&config);
        let mut model = model_of(config.clone());
        model.set_trainable(Trainable::Full);
        let all = model.parameters_mut().len();
        let found = check_directions(&mut model, &batch());
        // An expert that no token chose has none; neither have keys' biases, which softmax does not see.
        assert!(found == all || experts && found > all / 2, "{name}: {found} of {all}");
        let mut tuned = adapt(model_of(config), &lora(&["all-linear"]));
        assert!(check_directions(&mut tuned, &batch()) > 0, "{name}");
    }
}

#[test]
fn packs_and_caches_see_what_one_text_sees() {
    for (name, config) in shapes() {
        let model = adapt(model_of(config), &lora(&["all-linear"]));
        let texts = [text(9, 1), text(30, 4), text(1, 2)];
        let together = Packed::texts(texts.iter().map(Vec::as_slice));
        let vocab = model.config().vocab_size;
        let whole = model.logits(&together, &(0..together.tokens.len()).collect::<Vec<_>>());
        for (text, span) in texts.iter().zip(together.starts.windows(2)) {
            let alone = model.logits(&Packed::texts([text.as_slice()]), &(0..text.len()).collect::<Vec<_>>());
            close(&whole[span[0] * vocab..span[1] * vocab], &alone, 2e-5);
            let mut cache = model.new_cache(text.len());
            let first = text.len().min(4);
            let mut logits = model.decode(&text[..first], &mut cache);
            for (at, token) in text.iter().enumerate().skip(first) {
                close(&logits, &alone[(at - 1) * vocab..at * vocab], 2e-5);
                logits = model.decode(&[*token], &mut cache);
            }
            close(&logits, &alone[(text.len() - 1) * vocab..], 2e-5);
        }
        println!("{name}");
    }
}

#[test]
fn models_and_adapters_come_back_as_they_were_written() {
    for (name, config) in shapes() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = model_of(config);
        before.save(folder.path()).expect("a writable folder");
        let again = Model::load(folder.path()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(again.config(), before.config(), "{name}");
        assert_eq!(again.loss_only(&batch()), before.loss_only(&batch()), "{name}");
        assert_eq!(again.config().parameters(), again.parameter_count(), "{name}");
        let tuned = adapt(before, &lora(&["all-linear"]));
        tuned.save_adapter(folder.path(), "base").expect("a writable folder");
        let mut loaded = again;
        loaded.load_adapter(folder.path()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(loaded.loss_only(&batch()), tuned.loss_only(&batch()), "{name}");
    }
}

#[test]
fn merging_keeps_the_outputs() {
    for (name, config) in shapes() {
        let mut model = adapt(model_of(config), &lora(&["all-linear"]));
        let all: Vec<usize> = (0..batch().tokens.len()).collect();
        let before = model.logits(&batch(), &all);
        model.merge_adapter();
        println!("{name}");
        close(&model.logits(&batch(), &all), &before, 2e-5);
    }
}

#[test]
fn the_plan_is_what_a_step_holds() {
    for (name, config) in shapes() {
        let length = config.max_position_embeddings.min(100);
        for tuned in [false, true] {
            let mut model = model_of(config.clone());
            if tuned {
                model = adapt(model, &lora(&["all-linear"]));
            } else {
                model.set_trainable(Trainable::Full);
            }
            let texts: Vec<Vec<u32>> = (0..4).map(|i| text(length, i)).collect();
            model.forward_backward(&Packed::texts(texts.iter().map(Vec::as_slice))).expect("a valid batch");
            let (plan, held) = (model.plan_bytes(4 * length) as f64, model.held_bytes() as f64);
            let scratch = attention_scratch(&config, 4 * length, false) as f64;
            assert!(
                held <= plan && plan - scratch <= held * 1.05,
                "{name}, adapter {tuned}: planned {plan}, of it scratch {scratch}, held {held}"
            );
        }
    }
}

#[test]
fn activations_that_are_computed_again_are_the_same() {
    for (name, shape) in shapes() {
        let mut config = lora(&["all-linear"]);
        config.dropout = 0.3;
        let mut kept = adapt(model_of(shape.clone()), &config);
        let mut full = model_of(shape);
        full.set_trainable(Trainable::Full);
        for model in [&mut kept, &mut full] {
            model.set_dropout_key(3);
            let before = gradients(model, &[&batch()]);
            let planned = model.plan_bytes(500);
            model.set_recompute(true);
            let again = gradients(model, &[&batch()]);
            assert!(before == again, "{name}");
            assert!(model.plan_bytes(500) < planned, "{name}");
        }
    }
}
