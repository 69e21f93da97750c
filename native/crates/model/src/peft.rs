//! Adapter folders as PEFT writes and loads them.

use crate::adapter::{check, Adapter, PEFT_PREFIX};
use crate::spec::DecoderSpec;
use crate::store;
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use tillage_protocol::{EngineError, LoraConfig};

/// Settings of `adapter_config.json` that change the result and are not supported; each must be absent, null, false or empty.
const UNSUPPORTED: &[&str] = &[
    "alpha_pattern",
    "arrow_config",
    "corda_config",
    "fan_in_fan_out",
    "layer_replication",
    "lora_bias",
    "lora_ga_config",
    "modules_to_save",
    "rank_pattern",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "alora_invocation_tokens",
    "target_parameters",
    "kasa_config",
    "monteclora_config",
    "velora_config",
];

/// Reads `adapter_config.json` and `adapter_model.safetensors`.
///
/// # Errors
/// `user`, naming the file: a setting that is not supported, or a tensor that is missing, misshapen or unknown.
pub(crate) fn load(dir: &Path, spec: &DecoderSpec) -> Result<Adapter, EngineError> {
    let path = dir.join("adapter_config.json");
    let (config, dora) =
        read_config(&path).map_err(|e| if e.file.is_some() { e } else { e.with_file(&path) })?;
    let weights = dir.join("adapter_model.safetensors");
    let mut tensors = store::read_file(&weights)?;
    let mut adapter = Adapter::empty(config, spec, dora);
    let r = adapter.config.r;
    for (n, layer) in spec.layers.iter().enumerate() {
        for (slot, linear) in layer.linears.iter().enumerate() {
            let key = |suffix: &str| format!("{PEFT_PREFIX}{}.{suffix}", linear.module);
            let (a_key, b_key) = (key("lora_A.weight"), key("lora_B.weight"));
            if !tensors.contains_key(&a_key) && !tensors.contains_key(&b_key) {
                continue;
            }
            let mut take = |name: &str, shape: &[usize]| {
                let (is, value) = tensors.remove(name).ok_or_else(|| store::missing(name, &weights))?;
                if is == shape {
                    Ok(value)
                } else {
                    Err(store::wrong_shape(name, &is, shape, &weights))
                }
            };
            let a = take(&a_key, &[r, linear.inputs])?;
            let b = take(&b_key, &[linear.outputs, r])?;
            let magnitude =
                if dora { Some(take(&key("lora_magnitude_vector"), &[linear.outputs])?) } else { None };
            adapter.push(n, slot, &linear.module, (linear.inputs, a), (linear.outputs, b), magnitude);
        }
    }
    if let Some(name) = tensors.keys().next() {
        return Err(EngineError::user(
            "unused_tensor",
            format!("adapter_model.safetensors holds a tensor for which this model has no place: {name}."),
            "Use the adapter with the base model that it was trained on.",
        )
        .with_file(&weights));
    }
    Ok(adapter)
}

fn read_config(path: &Path) -> Result<(LoraConfig, bool), EngineError> {
    let text = std::fs::read_to_string(path).map_err(|e| EngineError::io(&e, path))?;
    let wrong = |what: String| {
        EngineError::user("bad_adapter", what, "Export the adapter again with PEFT or Tillage.")
    };
    let fields: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|e| wrong(format!("adapter_config.json cannot be read: {e}.")).with_line(e.line() as u64))?;
    let unsupported = |what: &str| {
        EngineError::user(
            "unsupported_adapter",
            format!("adapter_config.json uses {what}, which is not supported."),
            "Use a LoRA, rsLoRA or DoRA adapter without this setting.",
        )
    };
    match fields.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => {}
        other => return Err(unsupported(&format!("peft_type {}", other.unwrap_or("(none)")))),
    }
    let set = |name: &str| match fields.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Object(m)) => !m.is_empty(),
        Some(Value::Array(a)) => !a.is_empty(),
        Some(_) => true,
    };
    if let Some(name) = UNSUPPORTED.iter().find(|n| set(n)) {
        return Err(unsupported(name));
    }
    if !matches!(fields.get("bias"), None | Some(Value::Null))
        && fields.get("bias").and_then(Value::as_str) != Some("none")
    {
        return Err(unsupported("a bias other than none"));
    }
    let number = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_f64)
            .ok_or_else(|| wrong(format!("adapter_config.json has no number {name}.")))
    };
    let targets = match fields.get("target_modules") {
        Some(Value::Array(names)) => names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect(),
        Some(Value::String(pattern)) => vec![pattern.clone()],
        _ => return Err(wrong("adapter_config.json has no target_modules.".into())),
    };
    let config = LoraConfig {
        r: number("r")? as usize,
        alpha: number("lora_alpha")?,
        dropout: fields.get("lora_dropout").and_then(Value::as_f64).unwrap_or(0.0),
        targets,
        rslora: set("use_rslora"),
    };
    check(&config)?;
    Ok((config, set("use_dora")))
}

/// Writes a folder that `PeftModel.from_pretrained` loads.
pub(crate) fn save(
    adapter: &Adapter,
    spec: &DecoderSpec,
    dir: &Path,
    base_name: &str,
) -> Result<(), EngineError> {
    // Names such as q_proj suffice unless only some layers have an adapter.
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut modules: Vec<&str> = Vec::new();
    for (layer, slots) in spec.layers.iter().zip(&adapter.slots) {
        for (linear, _) in layer.linears.iter().zip(slots).filter(|(_, s)| s.is_some()) {
            modules.push(&linear.module);
            *counts.entry(short(&linear.module)).or_default() += 1;
        }
    }
    let whole = counts.values().all(|&n| n == spec.layers.len());
    let targets: Vec<&str> = if whole { counts.keys().copied().collect() } else { modules };
    let c = &adapter.config;
    let config = json!({
        "alpha_pattern": {},
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": if c.alpha.fract() == 0.0 { json!(c.alpha as i64) } else { json!(c.alpha) },
        "lora_dropout": c.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": c.r,
        "rank_pattern": {},
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": adapter.dora,
        "use_rslora": c.rslora,
    });
    let tensors = adapter.tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.value.as_slice()));
    store::write_file(&dir.join("adapter_model.safetensors"), tensors)?;
    store::write_text(&dir.join("adapter_config.json"), &format!("{config:#}\n"))
}

fn short(module: &str) -> &str {
    module.rsplit('.').next().unwrap_or(module)
}
