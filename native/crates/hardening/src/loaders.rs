//! Weights, configs and adapters.

use crate::folders::{folders, Scratch};
use crate::{parts, told};
use serde_json::Value;
use std::path::Path;
use tillage_model::{store, LoraConfig, Model, ModelConfig, Packed, Trainable};
use tillage_protocol::run::Dtype;

/// A safetensors file, as it is and as a header with the bytes that it asks for; where it is JSON, an index of shards too.
pub fn safetensors(data: &[u8]) {
    let scratch = Scratch::new();
    scratch.copy(&folders().llama, "config.json");
    for file in [data.to_vec(), with_body(data)] {
        let path = scratch.write("model.safetensors", &file);
        told(store::read_file(&path));
        for dtype in [Dtype::F32, Dtype::Bf16, Dtype::Nf4] {
            if let Some(model) = told(Model::load_as(scratch.path(), dtype)) {
                told(model.loss_only(&Packed::texts([&[1u32, 2, 3][..]])));
            }
        }
    }
    if data.first() == Some(&b'{') {
        let sharded = Scratch::new();
        sharded.copy(&folders().llama, "config.json");
        std::fs::copy(folders().llama.join("model.safetensors"), sharded.path().join("a.safetensors"))
            .expect("a folder that can be written");
        sharded.write("model.safetensors.index.json", data);
        told(Model::load(sharded.path()));
    }
}

/// A header, its length before it and behind it as many bytes as its tensors end at, up to a limit.
pub fn with_body(header: &[u8]) -> Vec<u8> {
    let parsed: Option<Value> = serde_json::from_slice(header).ok();
    let tensors = parsed.as_ref().and_then(Value::as_object);
    let end = |t: &Value| t.get("data_offsets")?.get(1)?.as_u64();
    let body = tensors.and_then(|t| t.values().filter_map(end).max()).unwrap_or(0).min(1 << 16);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header);
    // Small numbers in any of the formats.
    file.extend((0..body).map(|i| [0x00, 0x3c][i as usize % 2]));
    file
}

/// A config.json; where it describes a small model, that is made, written, read, trained a step and asked for a token.
pub fn config(data: &[u8]) {
    let scratch = Scratch::new();
    scratch.write("config.json", data);
    let Some(config) = told(ModelConfig::from_dir(scratch.path())) else { return };
    let small = config.parameters() < 60_000
        && config.num_hidden_layers <= 12
        && config.max_position_embeddings <= 1 << 20
        && config.experts.is_none_or(|e| e.count <= 16);
    if !small {
        return;
    }
    let (vocab, context) = (config.vocab_size as u32, config.max_position_embeddings);
    told(Model::init(config, 1).save(scratch.path()));
    for dtype in [Dtype::F32, Dtype::Int8] {
        let Some(mut model) = told(Model::load_as(scratch.path(), dtype)) else { continue };
        let ids: Vec<u32> = (0..context.min(9) as u32).map(|i| i.wrapping_mul(7) % vocab).collect();
        let text = Packed::texts([&ids[..]]);
        told(model.loss_only(&text));
        model.plan_bytes(64);
        let lora = LoraConfig { dora: true, ..LoraConfig::plain(2) };
        if told(model.attach_lora(&lora, 3)).is_some() {
            model.set_trainable(Trainable::Adapter);
            told(model.forward_backward(&text));
        }
        let mut cache = model.new_cache(ids.len());
        model.decode(&ids, &mut cache);
    }
}

/// `adapter_config.json` and the header of `adapter_model.safetensors`, on a dense model and on one with experts.
pub fn adapter(data: &[u8]) {
    let [config, header] = parts(data);
    let scratch = Scratch::new();
    scratch.write("adapter_config.json", config);
    scratch.write("adapter_model.safetensors", &with_body(header));
    for base in [&folders().llama, &folders().experts] {
        adapt(base, scratch.path());
    }
}

fn adapt(base: &Path, adapter: &Path) {
    let mut model = Model::load(base).expect("a good model");
    let ids = [1u32, 2, 3];
    let text = Packed::texts([&ids[..]]);
    if told(model.hold_adapter("held", adapter)).is_some() {
        if let Some(mix) = told(model.mix(&[("held", 0.5)])) {
            told(model.read(&text, false, Some(&mix)));
        }
    }
    if told(model.load_adapter(adapter)).is_none() {
        return;
    }
    told(model.loss_only(&text));
    model.plan_bytes(64);
    model.set_trainable(Trainable::Adapter);
    told(model.forward_backward(&text));
    let out = Scratch::new();
    told(model.save_adapter(out.path(), "base"));
    told(model.load_adapter(out.path()));
    model.merge_adapter();
    told(model.loss_only(&text));
}
