//! What a file says of experts, and of rows of the embedding that the tokenizer does not use.

use crate::decoder::{decode, read, Meta};
use crate::export;
use crate::families::{made, says};
use serde_json::json;
use tillage_model::Model;
use tillage_protocol::export::Quantize;

#[test]
fn experts_have_their_own_width_and_their_router_stays_exact() {
    let folder = tempfile::tempdir().unwrap();
    let more = json!({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": true,
        "intermediate_size": 96});
    let base = made(folder.path(), "qwen3_moe", more);
    let out = folder.path().join("model.gguf");
    export(&base, Quantize::Q8, &out).unwrap();
    let file = read(&out);
    says(&file, "qwen3moe.expert_count", 4.0);
    says(&file, "qwen3moe.expert_used_count", 2.0);
    says(&file, "qwen3moe.expert_feed_forward_length", 32.0);
    says(&file, "qwen3moe.feed_forward_length", 96.0);
    let model = Model::load(&base).unwrap();
    for n in 0..2 {
        let name = format!("model.layers.{n}.mlp.gate.weight");
        let router = model.stored().find(|w| w.name == name).unwrap();
        let found = decode(&file.tensors[&format!("blk.{n}.ffn_gate_inp.weight")]);
        assert_eq!(found, router.numbers().into_owned(), "to the bit, whatever the others are");
    }
}

#[test]
fn rows_without_a_token_are_unused() {
    let folder = tempfile::tempdir().unwrap();
    let base = made(folder.path(), "llama", json!({"vocab_size": 1030}));
    let out = folder.path().join("model.gguf");
    export(&base, Quantize::F32, &out).unwrap();
    let file = read(&out);
    let list = |key: &str| match &file.meta[key] {
        Meta::List(all) => all.clone(),
        _ => panic!("{key} is no list"),
    };
    let (tokens, types) = (list("tokenizer.ggml.tokens"), list("tokenizer.ggml.token_type"));
    assert_eq!((tokens.len(), types.len()), (1030, 1030));
    for row in 1024..1030 {
        assert_eq!(tokens[row], Meta::Text(format!("[PAD{row}]")));
        // llama.cpp's number of an unused token.
        assert_eq!(types[row], Meta::Number(5.0));
    }
    assert!(types[..1024].iter().all(|t| *t != Meta::Number(5.0)));
}
