//! What is written for other programs from odd tokenizers and configs.

use crate::folders::{Scratch, LLAMA};
use crate::{parts, told};
use serde_json::Value;
use tillage_model::{Model, ModelConfig};
use tillage_protocol::export::{ExportFormat, ExportParams};
use tillage_text::Tokenizer;

/// A GGUF file of a tiny model with this `tokenizer.json`, `tokenizer_config.json` and fields of `config.json`.
pub fn export(data: &[u8]) {
    let [json, tokenizer_config, fields] = parts(data);
    let scratch = Scratch::new();
    let base = scratch.path().join("base");
    std::fs::create_dir(&base).expect("a folder that can be written");
    scratch.write("base/tokenizer.json", json);
    if !tokenizer_config.is_empty() {
        scratch.write("base/tokenizer_config.json", tokenizer_config);
    }
    let size = told(Tokenizer::load(&base)).map_or(1, |t| t.vocab_size());
    let mut config: Value = serde_json::from_str(LLAMA).expect("a good config");
    config["vocab_size"] = size.clamp(1, 4000).into();
    if let (Some(all), Ok(Value::Object(own))) = (config.as_object_mut(), serde_json::from_slice(fields)) {
        all.extend(own);
    }
    let Some(config) = told(ModelConfig::from_json(&config.to_string())) else { return };
    if config.parameters() > 60_000 || config.num_hidden_layers > 4 {
        return;
    }
    told(Model::init(config, 1).save(&base));
    let out = scratch.path().join("out.gguf");
    let params = ExportParams {
        base,
        adapter: None,
        to: ExportFormat::Gguf,
        quantize: None,
        out: out.clone(),
        name: None,
    };
    if told(tillage_export::export(&params, &mut |_, _| true)).is_some() {
        let file = std::fs::read(&out).expect("the file that was written");
        assert!(file.starts_with(b"GGUF\x03\0\0\0"));
    }
}
