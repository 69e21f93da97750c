//! What the numbers of a config may be at most: beyond, it is damaged, or made to take memory away.

use super::fields::bad;
use super::ModelConfig;
use crate::spec::DecoderSpec;
use tillage_protocol::EngineError;

/// Layers, and experts of all layers together.
const LAYERS: usize = 10_000;
const EXPERTS: usize = 1 << 17;
/// Numbers a token has anywhere in a layer, token ids, and positions. Products of two of them fit 64 bits.
const WIDTH: usize = 1 << 28;
const IDS: usize = 1 << 31;
/// Weights of a whole model.
const WEIGHTS: u128 = 1 << 48;

/// A size above what any model has.
fn above(name: &str, value: impl std::fmt::Display, most: impl std::fmt::Display) -> EngineError {
    bad(format!("{name} in config.json is {value}, above {most}, the most that Tillage reads."))
}

/// Checks sizes before anything is made of them.
///
/// # Errors
/// `bad_config` naming the field, its value and the limit.
pub(super) fn sizes(config: &ModelConfig) -> Result<(), EngineError> {
    let heads = config.num_attention_heads.max(config.num_key_value_heads);
    let experts = config.experts.map_or([0; 2], |e| [e.count, e.intermediate_size]);
    for (name, value, most) in [
        ("num_hidden_layers", config.num_hidden_layers, LAYERS),
        ("hidden_size", config.hidden_size, WIDTH),
        ("intermediate_size", config.intermediate_size, WIDTH),
        ("the width of an expert", experts[1], WIDTH),
        ("the number of experts", experts[0], EXPERTS),
        ("num_attention_heads", heads, WIDTH),
        ("head_dim", config.head_dim, WIDTH),
        ("vocab_size", config.vocab_size, IDS),
        ("max_position_embeddings", config.max_position_embeddings, IDS),
    ] {
        if value > most {
            return Err(above(name, value, most));
        }
    }
    let width = heads.saturating_mul(config.head_dim);
    if width > WIDTH {
        return Err(above("the width of all heads", width, WIDTH));
    }
    let all = experts[0].saturating_mul(config.num_hidden_layers);
    if all > EXPERTS {
        return Err(above("the number of all experts", all, EXPERTS));
    }
    Ok(())
}

/// Checks what is computed with, and the model as a whole.
///
/// # Errors
/// `bad_config` naming what is no number that can be computed with, or too large.
pub(super) fn numbers(config: &ModelConfig) -> Result<(), EngineError> {
    let scales = config.scales;
    for (name, value) in [
        ("the scale of the embedding", scales.embedding),
        ("the scale of the residual stream", scales.residual),
        ("the scale of the logits", scales.logits),
        ("the scale of attention", scales.attention),
        ("the soft cap of attention", config.attention_softcap),
        ("the soft cap of the logits", config.logits_softcap),
    ] {
        if !value.is_finite() {
            return Err(bad(format!(
                "{name} in config.json comes to {value}, which cannot be computed with."
            )));
        }
    }
    for (name, value, most) in [
        ("the epsilon of the norms", config.norm_eps, 1e3),
        ("initializer_range", config.initializer_range, 1e3),
        ("the soft cap of attention", f64::from(config.attention_softcap), 1e30),
        ("the soft cap of the logits", f64::from(config.logits_softcap), 1e30),
    ] {
        if !(0.0..=most).contains(&value) {
            return Err(bad(format!("{name} in config.json is {value}, and must be 0 to {most}.")));
        }
    }
    let tensors = DecoderSpec::of(config).tensors();
    let weights = tensors.iter().map(|t| t.shape.iter().map(|n| *n as u128).product::<u128>());
    let weights = weights.sum::<u128>();
    if weights > WEIGHTS {
        return Err(above("the number of weights that follows from the sizes", weights, WEIGHTS));
    }
    Ok(())
}
