//! What each family's weights and settings become, from small models of each.

use crate::decoder::{decode, read, Gguf, Meta};
use crate::{export, fixture};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tillage_kernels::cpu::{self, RopeTable};
use tillage_kernels::Runs;
use tillage_model::{Model, ModelConfig};
use tillage_protocol::export::{ExportResult, Quantize};
use tillage_protocol::EngineError;

/// A model of a family in `dir`, its norms not all ones, with the fixture's tokenizer.
pub fn made(dir: &Path, model_type: &str, more: Value) -> PathBuf {
    let mut config = json!({"model_type": model_type, "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 64, "rope_theta": 20000.0, "tie_word_embeddings": true, "rms_norm_eps": 1e-5});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let base = dir.join("base");
    std::fs::create_dir(&base).unwrap();
    let mut model = Model::init(ModelConfig::from_json(&config.to_string()).unwrap(), 3);
    model.set_trainable(tillage_model::Trainable::Full);
    for p in model.parameters_mut().into_iter().filter(|p| p.shape.len() == 1) {
        p.value.iter_mut().enumerate().for_each(|(i, v)| *v += ((i * 29 % 7) as f32 - 3.0) * 0.04);
    }
    model.save(&base).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        std::fs::copy(fixture("llama").join(name), base.join(name)).unwrap();
    }
    base
}

fn written(dir: &Path, model_type: &str, more: Value) -> Result<ExportResult, EngineError> {
    let base = made(dir, model_type, more);
    export(&base, Quantize::F32, &dir.join("model.gguf"))
}

/// The file of such a model, its weights as the model has them, and what was noted.
fn file(model_type: &str, more: Value) -> (Gguf, BTreeMap<String, Vec<f32>>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let result = written(folder.path(), model_type, more).unwrap_or_else(|e| panic!("{model_type}: {e:?}"));
    let model = Model::load(&folder.path().join("base")).unwrap();
    let stored = model.stored().map(|w| (w.name.to_owned(), w.numbers().into_owned())).collect();
    (read(&folder.path().join("model.gguf")), stored, result.notes)
}

#[track_caller]
fn same(file: &Gguf, ours: &str, expected: impl Iterator<Item = f32>) {
    let found = decode(file.tensors.get(ours).unwrap_or_else(|| panic!("no {ours}")));
    assert_eq!(found, expected.collect::<Vec<_>>(), "{ours}");
}

#[track_caller]
pub fn says(file: &Gguf, key: &str, expected: f64) {
    let Some(Meta::Number(found)) = file.meta.get(key) else { panic!("no number {key}") };
    assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{key}: {found} instead of {expected}");
}

#[test]
fn gemmas_norms_are_whole_and_queries_make_up_for_the_scale() {
    let gemma = |more: Value| {
        let mut all = json!({"hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 32, "sliding_window": 16});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let capped = json!({"attn_logit_softcapping": 30.0, "final_logit_softcapping": 20.0});
    let (two, own, _) = file("gemma2", gemma(capped));
    let layer =
        |own: &BTreeMap<String, Vec<f32>>, name: &str| own[&format!("model.layers.1.{name}.weight")].clone();
    let plus = |v: Vec<f32>| v.into_iter().map(|x| x + 1.0);
    for (ours, theirs) in [
        ("attn_norm", "input_layernorm"),
        ("post_attention_norm", "post_attention_layernorm"),
        ("ffn_norm", "pre_feedforward_layernorm"),
        ("post_ffw_norm", "post_feedforward_layernorm"),
    ] {
        same(&two, &format!("blk.1.{ours}.weight"), plus(layer(&own, theirs)));
    }
    same(&two, "output_norm.weight", plus(own["model.norm.weight"].clone()));
    // llama.cpp scales by 1/sqrt(8), the model by 1/sqrt(32).
    same(&two, "blk.1.attn_q.weight", layer(&own, "self_attn.q_proj").into_iter().map(|x| x * 0.5));
    same(&two, "blk.1.attn_k.weight", layer(&own, "self_attn.k_proj").into_iter());
    says(&two, "gemma2.attn_logit_softcapping", 30.0);
    says(&two, "gemma2.final_logit_softcapping", 20.0);
    says(&two, "gemma2.attention.sliding_window", 16.0);
    says(&two, "gemma2.context_length", 64.0);
    assert!(!two.tensors.contains_key("output.weight"), "llama.cpp takes the embedding");

    let local = json!({"sliding_window_pattern": 2, "rope_local_base_freq": 500.0});
    let (three, own, notes) = file("gemma3_text", gemma(local));
    let queries = layer(&own, "self_attn.q_norm").into_iter().map(|x| (x + 1.0) * 0.5);
    same(&three, "blk.1.attn_q_norm.weight", queries);
    same(&three, "blk.1.attn_k_norm.weight", plus(layer(&own, "self_attn.k_norm")));
    same(&three, "blk.1.attn_q.weight", layer(&own, "self_attn.q_proj").into_iter());
    says(&three, "gemma3.rope.freq_base", 20_000.0);
    says(&three, "gemma3.rope.freq_base_swa", 500.0);
    says(&three, "gemma3.attention.sliding_window_pattern", 2.0);
    assert!(notes.iter().any(|n| n.contains("of 2")), "{notes:?}");
}

#[test]
fn gpt2_is_turned_and_has_its_positions() {
    let fields = json!({"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": null,
        "activation_function": "gelu_new", "head_dim": null, "num_key_value_heads": null, "layer_norm_epsilon": 1e-4});
    let (found, own, _) = file("gpt2", fields);
    let turned = |name: &str, rows: usize| {
        let from = own[&format!("transformer.h.1.{name}.weight")].clone();
        let columns = from.len() / rows;
        (0..from.len()).map(move |i| from[i % rows * columns + i / rows])
    };
    same(&found, "blk.1.attn_qkv.weight", turned("attn.c_attn", 32));
    same(&found, "blk.1.attn_output.weight", turned("attn.c_proj", 32));
    same(&found, "blk.1.ffn_up.weight", turned("mlp.c_fc", 32));
    same(&found, "blk.1.ffn_down.weight", turned("mlp.c_proj", 128));
    assert_eq!(found.tensors["blk.1.attn_qkv.weight"].dims, [32, 96], "from the innermost");
    assert_eq!(found.tensors["blk.1.ffn_down.weight"].dims, [128, 32]);
    same(&found, "blk.1.attn_qkv.bias", own["transformer.h.1.attn.c_attn.bias"].clone().into_iter());
    same(&found, "position_embd.weight", own["transformer.wpe.weight"].clone().into_iter());
    says(&found, "gpt2.attention.layer_norm_epsilon", 1e-4);
    assert!(!found.meta.contains_key("gpt2.rope.freq_base"));
}

#[test]
fn an_output_stands_where_llama_cpp_asks_for_one() {
    let (tied, own, _) = file("olmo2", json!({}));
    same(&tied, "output.weight", own["model.embed_tokens.weight"].clone().into_iter());
    same(&tied, "token_embd.weight", own["model.embed_tokens.weight"].clone().into_iter());
    let (llama, ..) = file("llama", json!({}));
    assert!(!llama.tensors.contains_key("output.weight"));
    let (apart, own, _) = file("olmo2", json!({"tie_word_embeddings": false}));
    same(&apart, "output.weight", own["lm_head.weight"].clone().into_iter());
}

#[test]
fn scales_windows_and_rotations_are_said_as_llama_cpp_reads_them() {
    let granite = json!({"attention_multiplier": 0.2, "embedding_multiplier": 3.0, "residual_multiplier": 0.4, "logits_scaling": 5.0});
    let (granite, ..) = file("granite", granite);
    for (key, value) in
        [("attention.scale", 0.2), ("embedding_scale", 3.0), ("residual_scale", 0.4), ("logit_scale", 5.0)]
    {
        says(&granite, &format!("granite.{key}"), value);
    }
    says(&granite, "granite.rope.freq_base", 20_000.0);
    says(&granite, "granite.attention.layer_norm_rms_epsilon", 1e-5);

    let (mistral, _, notes) = file("mistral", json!({"sliding_window": 24}));
    says(&mistral, "llama.context_length", 24.0);
    assert!(notes.iter().any(|n| n.contains("24 tokens")), "{notes:?}");

    let stretched = json!({"rope_type": "llama3", "rope_theta": 20000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32});
    let fields = json!({"rope_parameters": stretched, "head_dim": 16});
    let (three, ..) = file("llama", fields.clone());
    let folder = tempfile::tempdir().unwrap();
    let base = made(folder.path(), "llama", fields);
    let rope = Model::load(&base).unwrap().config().ropes[0].clone();
    let mut table = RopeTable::new(16, rope.theta, &rope.scaling, rope.amplitude);
    table.grow(2);
    // (1, 0) of each pair turned by one position: the sines are those of the frequencies.
    let mut x = [vec![1.0; 8], vec![0.0; 8]].concat();
    let runs = Runs { tokens: 1, stride: 16, start: 0, per_token: 1, width: 16 };
    cpu::rope(&mut x, runs, &[1], &table, false);
    let factors = decode(&three.tensors["rope_freqs.weight"]);
    assert_eq!(factors.len(), 8);
    let (mut kept, mut whole, mut between) = (0, 0, 0);
    for (i, factor) in factors.into_iter().enumerate() {
        let plain = 20_000f64.powf(-2.0 * i as f64 / 16.0);
        let own = f64::from(x[8 + i]).asin();
        // The first frequency turns by a whole radian, well before asin's fold.
        assert!((plain / f64::from(factor) / own - 1.0).abs() < 1e-5, "{i}: {factor}");
        kept += usize::from(factor == 1.0);
        whole += usize::from(factor == 8.0);
        between += usize::from(factor > 1.0 && factor < 8.0);
    }
    assert!(kept > 0 && whole > 0 && between > 0, "{kept} {between} {whole}");
}

#[test]
fn experts_are_stacked_in_their_order() {
    let experts = json!({"num_local_experts": 3, "num_experts_per_tok": 2});
    let (found, own, _) = file("mixtral", experts);
    for (ours, theirs) in [("ffn_gate_exps", "w1"), ("ffn_up_exps", "w3"), ("ffn_down_exps", "w2")] {
        let each = (0..3).flat_map(|e| {
            own[&format!("model.layers.1.block_sparse_moe.experts.{e}.{theirs}.weight")].clone()
        });
        same(&found, &format!("blk.1.{ours}.weight"), each);
    }
    assert_eq!(found.tensors["blk.1.ffn_gate_exps.weight"].dims, [32, 48, 3]);
    same(
        &found,
        "blk.1.ffn_gate_inp.weight",
        own["model.layers.1.block_sparse_moe.gate.weight"].clone().into_iter(),
    );
    says(&found, "llama.expert_count", 3.0);
    says(&found, "llama.expert_used_count", 2.0);
}

#[test]
fn what_a_family_has_otherwise_than_llama_cpp_is_refused() {
    let moe = json!({"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 24});
    let unscaled = {
        let mut all = moe.clone();
        all["norm_topk_prob"] = false.into();
        all
    };
    let dense = {
        let mut all = moe;
        (all["norm_topk_prob"], all["mlp_only_layers"]) = (true.into(), json!([1]));
        all
    };
    let gemma =
        json!({"hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 32, "sliding_window": 16});
    let plain = |rope: Value| json!({"rope_parameters": rope});
    for (model_type, fields, word) in [
        ("qwen3_moe", unscaled, "sum of 1"),
        ("qwen3_moe", dense, "with and without experts"),
        ("qwen3", json!({"attention_bias": true}), "biases"),
        ("llama", json!({"hidden_act": "gelu"}), "activation"),
        ("llama", json!({"hidden_act": "gelu_pytorch_tanh"}), "activation"),
        (
            "gpt2",
            json!({"n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 64, "n_inner": null, "head_dim": null,
            "num_key_value_heads": null, "activation_function": "gelu"}),
            "activation",
        ),
        ("gemma2", gemma, "soft caps"),
        ("olmo2", json!({"head_dim": 16}), "as wide"),
        (
            "llama",
            plain(json!({"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5})),
            "part of each head",
        ),
        (
            "qwen2",
            plain(json!({"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32})),
            "stretched",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = written(folder.path(), model_type, fields.clone()).expect_err(&fields.to_string());
        assert!(
            error.code == "unsupported_gguf" && error.message.contains(word),
            "{model_type} {fields}: {error:?}"
        );
        assert!(!folder.path().join("model.gguf").exists());
    }
}
