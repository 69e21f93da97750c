//! Tuned prompts as PEFT writes and loads them.

use crate::config::ModelConfig;
use crate::peft::unsupported;
use crate::prompt::{Prompt, KEY};
use crate::spec::DecoderSpec;
use crate::store;
use serde_json::{json, Map, Value};
use std::path::Path;
use tillage_protocol::EngineError;

/// Reads the embeddings of a folder whose `adapter_config.json` has these fields.
pub(crate) fn load(
    dir: &Path,
    fields: &Map<String, Value>,
    spec: &DecoderSpec,
) -> Result<Prompt, EngineError> {
    let file = dir.join("adapter_model.safetensors");
    let mut tensors = store::read_file(&file)?;
    let (shape, value) = tensors.remove(KEY).ok_or_else(|| store::missing(KEY, &file))?;
    let (vocab, hidden) = (spec.embedding.shape[0], spec.embedding.shape[1]);
    let named = fields.get("num_virtual_tokens").and_then(Value::as_u64).unwrap_or_default() as usize;
    if named == 0 || shape != [named, hidden] {
        return Err(store::wrong_shape(KEY, &shape, &[named, hidden], &file));
    }
    if let Some(name) = tensors.keys().next() {
        return Err(unsupported(&format!("a tensor beside {KEY}, {name}")));
    }
    let text = fields.get("prompt_tuning_init_text").and_then(Value::as_str).map(str::to_owned);
    Ok(Prompt::new(value, hidden, text, vocab))
}

/// Writes a folder that `PeftModel.from_pretrained` loads.
pub(crate) fn save(
    prompt: &Prompt,
    config: &ModelConfig,
    dir: &Path,
    base_name: &str,
) -> Result<(), EngineError> {
    let text = prompt.text.as_ref();
    let fields = json!({
        "base_model_name_or_path": base_name,
        "inference_mode": true,
        "num_attention_heads": config.num_attention_heads,
        "num_layers": config.num_hidden_layers,
        "num_transformer_submodules": 1,
        "num_virtual_tokens": prompt.count(),
        "peft_type": "PROMPT_TUNING",
        "prompt_tuning_init": if text.is_some() { "TEXT" } else { "RANDOM" },
        "prompt_tuning_init_text": text,
        "task_type": "CAUSAL_LM",
        "token_dim": config.hidden_size,
        "tokenizer_name_or_path": text.map(|_| base_name),
    });
    let shape = &prompt.tensor.parts[0].shape[..];
    let tensors = std::iter::once((KEY, shape, &prompt.tensor.value[..]));
    store::write_file(&dir.join("adapter_model.safetensors"), tensors)?;
    store::write_text(&dir.join("adapter_config.json"), &format!("{fields:#}\n"))
}
