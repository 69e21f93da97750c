//! Which model families the decoder can be described for.

use crate::config::Fields;
use tillage_protocol::EngineError;

/// `model_type` and the architecture class of each supported family.
const FAMILIES: &[(&str, &str)] = &[("llama", "LlamaForCausalLM")];

/// The `model_type`s that [`crate::Model::load`] accepts.
pub fn supported() -> Vec<&'static str> {
    FAMILIES.iter().map(|f| f.0).collect()
}

/// Refuses a `model_type` that is not supported, by name.
pub(crate) fn check(model_type: &str) -> Result<(), EngineError> {
    if FAMILIES.iter().any(|f| f.0 == model_type) {
        return Ok(());
    }
    Err(EngineError::user(
        "unknown_model_type",
        format!(
            "config.json has model_type \"{model_type}\", which is not supported; supported: {}.",
            supported().join(", ")
        ),
        "Choose a model of a supported family.",
    ))
}

/// Refuses settings that would silently change the result if they were ignored.
pub(crate) fn check_fields(fields: &Fields) -> Result<(), EngineError> {
    let unsupported = |what: String| {
        Err(EngineError::user(
            "unsupported_config",
            format!("config.json has {what}, which is not supported."),
            "Choose a model without this setting.",
        ))
    };
    match fields.optional_text("hidden_act") {
        None | Some("silu") => {}
        Some(other) => return unsupported(format!("hidden_act \"{other}\"")),
    }
    if fields.number("pretraining_tp")?.is_some_and(|tp| tp != 1.0) {
        return unsupported("a pretraining_tp other than 1".into());
    }
    let nested = ["rope_parameters", "rope_scaling"]
        .map(|n| fields.0.get(n).and_then(|v| v.get("partial_rotary_factor")));
    let factors = nested.into_iter().chain([fields.0.get("partial_rotary_factor")]).flatten();
    if factors.filter(|v| !v.is_null()).any(|v| v.as_f64() != Some(1.0)) {
        return unsupported("a partial_rotary_factor other than 1".into());
    }
    for name in ["quantization_config", "sliding_window"] {
        if fields.0.get(name).is_some_and(|v| !v.is_null()) {
            return unsupported(name.into());
        }
    }
    Ok(())
}

/// The class that transformers names in `architectures`.
pub(crate) fn architecture(model_type: &str) -> &'static str {
    FAMILIES.iter().find(|f| f.0 == model_type).map_or("LlamaForCausalLM", |f| f.1)
}
