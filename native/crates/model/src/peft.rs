//! Adapter folders as PEFT writes and loads them.

use crate::adapter::{check, Adapter, Patterns, PEFT_PREFIX};
use crate::prompt::Prompt;
use crate::spec::{DecoderSpec, LinearSpec};
use crate::weights::Tensor;
use crate::{score, store};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use tillage_protocol::{EngineError, LoraConfig};

/// Settings of `adapter_config.json` that change the result and are not supported; each must be absent, null, false or empty.
const UNSUPPORTED: &[&str] = &[
    "arrow_config",
    "corda_config",
    "layer_replication",
    "lora_bias",
    "lora_ga_config",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "alora_invocation_tokens",
    "kasa_config",
    "monteclora_config",
    "velora_config",
];

/// What an adapter's folder holds.
#[derive(Debug)]
pub(crate) enum Tuned {
    Lora(Adapter),
    Prompt(Prompt),
}

impl Tuned {
    pub fn prompt(&self) -> Option<&Prompt> {
        match self {
            Tuned::Prompt(prompt) => Some(prompt),
            Tuned::Lora(_) => None,
        }
    }

    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let lora = if let Tuned::Lora(adapter) = self { &adapter.tensors[..] } else { &[] };
        lora.iter().chain(self.prompt().map(|p| &p.tensor))
    }
}

/// Reads `adapter_config.json` and `adapter_model.safetensors`.
///
/// # Errors
/// `user`, naming the file: a setting that is not supported, or a tensor that is missing, misshapen or unknown.
pub(crate) fn load(dir: &Path, spec: &DecoderSpec) -> Result<Tuned, EngineError> {
    let path = dir.join("adapter_config.json");
    let named = |e: EngineError| if e.file.is_some() { e } else { e.with_file(&path) };
    let fields = read_fields(&path).map_err(named)?;
    if fields.get("peft_type").and_then(Value::as_str) == Some("PROMPT_TUNING") {
        return crate::peft_prompt::load(dir, &fields, spec).map(Tuned::Prompt).map_err(named);
    }
    let (config, patterns) = read_config(&fields).map_err(named)?;
    let weights = dir.join("adapter_model.safetensors");
    let mut tensors = store::read_file(&weights)?;
    let dora = config.dora;
    let mut adapter = Adapter::empty(config, spec);
    adapter.patterns = patterns;
    if let Some((shape, value)) = tensors.remove(&score::key()) {
        let wanted = [1, spec.embedding.shape[1]];
        if shape != wanted {
            return Err(store::wrong_shape(&score::key(), &shape, &wanted, &weights));
        }
        adapter.push_score(value);
    }
    for (place, linear, module, outputs) in modules(spec) {
        let key = |suffix: &str| format!("{PEFT_PREFIX}{module}.{suffix}");
        let (a_key, b_key) = (key("lora_A.weight"), key("lora_B.weight"));
        if !tensors.contains_key(&a_key) && !tensors.contains_key(&b_key) {
            continue;
        }
        let r = adapter.patterns.rank(&adapter.config, module);
        let mut take = |name: &str, shape: &[usize]| {
            let (is, value) = tensors.remove(name).ok_or_else(|| store::missing(name, &weights))?;
            if is == shape {
                Ok(value)
            } else {
                Err(store::wrong_shape(name, &is, shape, &weights))
            }
        };
        let a = take(&a_key, &[r, linear.inputs])?;
        let b = take(&b_key, &[outputs.len(), r])?;
        let magnitude =
            if dora { Some(take(&key("lora_magnitude_vector"), &[outputs.len()])?) } else { None };
        adapter.push(place, module, outputs, (linear.inputs, a), b, magnitude);
    }
    crate::peft_experts::load(&mut adapter, spec, &mut tensors, &weights)?;
    if let Some(name) = tensors.keys().next() {
        return Err(EngineError::user(
            "unused_tensor",
            format!("adapter_model.safetensors holds a tensor for which this model has no place: {name}."),
            "Use the adapter with the base model that it was trained on.",
        )
        .with_file(&weights));
    }
    Ok(Tuned::Lora(adapter))
}

/// Every module that can have an adapter: layer and projection, the module's path, its outputs among the projection's.
fn modules(spec: &DecoderSpec) -> impl Iterator<Item = ((usize, usize), &LinearSpec, &str, Range<usize>)> {
    let linears = spec.layers.iter().enumerate().flat_map(|(n, layer)| {
        layer.linears.iter().enumerate().map(move |(slot, linear)| ((n, slot), linear))
    });
    linears.flat_map(|(place, linear)| {
        let mut first = 0;
        linear.parts.iter().map(move |part| {
            let outputs = first..first + part.outputs;
            first = outputs.end;
            (place, linear, part.module.as_str(), outputs)
        })
    })
}

fn wrong(what: String) -> EngineError {
    EngineError::user("bad_adapter", what, "Export the adapter again with PEFT or Tillage.")
}

pub(crate) fn unsupported(what: &str) -> EngineError {
    EngineError::user(
        "unsupported_adapter",
        format!("adapter_config.json uses {what}, which is not supported."),
        "Use a LoRA, rsLoRA or DoRA adapter, or a tuned prompt, without this setting.",
    )
}

fn read_fields(path: &Path) -> Result<Map<String, Value>, EngineError> {
    let text = std::fs::read_to_string(path).map_err(|e| EngineError::io(&e, path))?;
    serde_json::from_str(&text)
        .map_err(|e| wrong(format!("adapter_config.json cannot be read: {e}.")).with_line(e.line() as u64))
}

fn read_config(fields: &Map<String, Value>) -> Result<(LoraConfig, Patterns), EngineError> {
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
    // PEFT names both of its heads for a classifier, and saves the one that the model has.
    let heads = fields.get("modules_to_save").and_then(Value::as_array).into_iter().flatten();
    if let Some(other) = heads.filter_map(Value::as_str).find(|m| !["score", "classifier"].contains(m)) {
        return Err(unsupported(&format!("modules_to_save with {other}")));
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
        dora: set("use_dora"),
        // A matter of how it is trained, which PEFT's file does not say.
        lora_plus: None,
    };
    check(&config)?;
    let mut patterns = Patterns::default();
    for (key, value) in pattern(fields, "rank_pattern").map_err(|e| unsupported(&e))? {
        if !(value >= 1.0 && value.fract() == 0.0) {
            return Err(wrong(format!(
                "adapter_config.json has the rank {value} for {key}, which is no rank."
            )));
        }
        patterns.rank.insert(key, value as usize);
    }
    patterns.alpha.extend(pattern(fields, "alpha_pattern").map_err(|e| unsupported(&e))?);
    Ok((config, patterns))
}

/// A pattern's values by the end of a module's path. PEFT takes any regular expression; those that are no path are not
/// supported, and the error says which.
fn pattern(fields: &Map<String, Value>, name: &str) -> Result<Vec<(String, f64)>, String> {
    let entries = fields.get(name).and_then(Value::as_object).into_iter().flatten();
    entries
        .map(|(key, value)| {
            let path = key.strip_prefix("^").unwrap_or(key);
            let path = path.strip_prefix(r".*\.").unwrap_or(path).replace(r"\.", ".");
            let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
            match value.as_f64() {
                Some(value) if plain && !path.is_empty() => Ok((path, value)),
                _ => Err(format!("the {name} {key}: {value}")),
            }
        })
        .collect()
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
    let mut adapted: Vec<&str> = Vec::new();
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for ((n, slot), _, module, outputs) in modules(spec) {
        *all.entry(short(module)).or_default() += 1;
        if adapter.slots[n][slot].iter().any(|part| part.outputs == outputs) {
            adapted.push(module);
            *counts.entry(short(module)).or_default() += 1;
        }
    }
    let whole = counts.iter().all(|(name, n)| all[name] == *n);
    let targets: Vec<&str> = if whole { counts.keys().copied().collect() } else { adapted };
    let c = &adapter.config;
    let score = adapter.score.filter(|_| !adapter.score_apart);
    let experts: &[&str] = if adapter.fused_experts { &["down_proj", "gate_up_proj"] } else { &[] };
    let config = json!({
        "alpha_pattern": adapter.patterns.alpha,
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": spec.layers.iter().any(|l| l.linears.iter().any(|l| l.transposed)),
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": if c.alpha.fract() == 0.0 { json!(c.alpha as i64) } else { json!(c.alpha) },
        "lora_dropout": c.dropout,
        "modules_to_save": score.map(|_| ["score"]),
        "peft_type": "LORA",
        "r": c.r,
        "rank_pattern": adapter.patterns.rank,
        "target_modules": targets,
        "target_parameters": if experts.is_empty() { Value::Null } else { json!(experts) },
        "task_type": if score.is_some() { "SEQ_CLS" } else { "CAUSAL_LM" },
        "use_dora": c.dora,
        "use_rslora": c.rslora,
    });
    let apart = adapter.score.filter(|_| adapter.score_apart);
    let kept = adapter.tensors.iter().enumerate().filter(|(place, _)| Some(*place) != apart);
    let stored = kept.flat_map(|(_, t)| t.stored());
    let stored =
        stored.map(|(part, value)| (part.name.clone(), part.shape.clone(), value.to_vec())).collect();
    let saved = as_saved(adapter.fused_experts, stored);
    let tensors =
        saved.iter().map(|(name, shape, value)| (name.as_str(), shape.as_slice(), value.as_slice()));
    store::write_file(&dir.join("adapter_model.safetensors"), tensors)?;
    store::write_text(&dir.join("adapter_config.json"), &format!("{config:#}\n"))
}

/// Name, shape and numbers of a tensor.
pub(crate) type Entry = (String, Vec<usize>, Vec<f32>);

/// Tensors of an adapter, or their gradients, as PEFT's file has them.
pub(crate) fn as_saved(fused_experts: bool, entries: Vec<Entry>) -> Vec<Entry> {
    if fused_experts {
        crate::peft_experts::fused(entries)
    } else {
        entries
    }
}

fn short(module: &str) -> &str {
    module.rsplit('.').next().unwrap_or(module)
}
