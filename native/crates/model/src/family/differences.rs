//! Where each family differs from llama, from the modelling code of transformers 5.

use crate::config::{
    bad, unsupported, Biases, ExpertsConfig, Fields, ModelConfig, NormKind, NormPlace, QkNorm, RopeConfig,
};
use tillage_protocol::EngineError;

type Done = Result<(), EngineError>;

pub(super) fn llama(fields: &Fields, config: &mut ModelConfig) -> Done {
    if fields.number("pretraining_tp")?.is_some_and(|tp| tp != 1.0) {
        return Err(unsupported("a pretraining_tp other than 1"));
    }
    if fields.get("sliding_window").is_some() {
        return Err(unsupported("sliding_window"));
    }
    config.biases = biases(fields)?;
    Ok(())
}

fn biases(fields: &Fields) -> Result<Biases, EngineError> {
    let attention = fields.flag("attention_bias")?;
    Ok(Biases { qkv: attention, output: attention, mlp: fields.flag("mlp_bias")? })
}

/// Every layer has the window, if there is one.
pub(super) fn mistral(fields: &Fields, config: &mut ModelConfig) -> Done {
    let window = fields.optional_positive("sliding_window")?.unwrap_or(0);
    config.layers.iter_mut().for_each(|layer| layer.window = window);
    Ok(())
}

/// Which layers have a window: as `layer_types` says, otherwise as `by_default` does.
fn windows(fields: &Fields, config: &mut ModelConfig, by_default: impl Fn(usize) -> bool) -> Done {
    let window = fields.optional_positive("sliding_window")?.unwrap_or(0);
    let types = fields.texts("layer_types")?;
    if let Some(types) = types.as_ref().filter(|t| t.len() != config.layers.len()) {
        return Err(bad(format!(
            "layer_types in config.json has {} entries for {} layers.",
            types.len(),
            config.layers.len()
        )));
    }
    for (n, layer) in config.layers.iter_mut().enumerate() {
        let sliding = match types.as_ref().map(|t| t[n]) {
            None => by_default(n),
            Some("sliding_attention") => true,
            Some("full_attention") => false,
            Some(other) => return Err(unsupported(format!("a layer of type \"{other}\""))),
        };
        if sliding && window == 0 {
            return Err(bad("config.json has sliding layers but no sliding_window."));
        }
        layer.window = if sliding { window } else { 0 };
    }
    Ok(())
}

/// The later layers have the window where it is switched on.
fn qwen_windows(fields: &Fields, config: &mut ModelConfig) -> Done {
    if !fields.flag("use_sliding_window")? {
        return Ok(());
    }
    let first = fields.number("max_window_layers")?.unwrap_or(28.0) as usize;
    windows(fields, config, |n| n >= first)
}

pub(super) fn qwen2(fields: &Fields, config: &mut ModelConfig) -> Done {
    config.biases.qkv = true;
    qwen_windows(fields, config)
}

pub(super) fn qwen3(fields: &Fields, config: &mut ModelConfig) -> Done {
    config.biases = Biases { mlp: false, ..biases(fields)? };
    config.qk_norm = QkNorm::Head;
    qwen_windows(fields, config)
}

pub(super) fn qwen3_moe(fields: &Fields, config: &mut ModelConfig) -> Done {
    config.biases = Biases { mlp: false, ..biases(fields)? };
    config.qk_norm = QkNorm::Head;
    mistral_if_switched_on(fields, config)?;
    let count = fields.optional_positive("num_experts")?.or(fields.optional_positive("num_local_experts")?);
    let step = fields.optional_positive("decoder_sparse_step")?.unwrap_or(1);
    let dense = fields.numbers("mlp_only_layers")?.unwrap_or_default();
    config.experts = Some(ExpertsConfig {
        count: count.ok_or_else(|| bad("config.json has no field num_experts."))?,
        per_token: fields.positive("num_experts_per_tok")?,
        intermediate_size: fields.positive("moe_intermediate_size")?,
        normalize: fields.flag("norm_topk_prob")?,
    });
    for (n, layer) in config.layers.iter_mut().enumerate() {
        layer.experts = (n + 1).is_multiple_of(step) && !dense.contains(&(n as f64));
    }
    Ok(())
}

fn mistral_if_switched_on(fields: &Fields, config: &mut ModelConfig) -> Done {
    if fields.flag("use_sliding_window")? {
        mistral(fields, config)?;
    }
    Ok(())
}

pub(super) fn mixtral(fields: &Fields, config: &mut ModelConfig) -> Done {
    mistral(fields, config)?;
    config.experts = Some(ExpertsConfig {
        count: fields.positive("num_local_experts")?,
        per_token: fields.positive("num_experts_per_tok")?,
        intermediate_size: config.intermediate_size,
        normalize: true,
    });
    config.layers.iter_mut().for_each(|layer| layer.experts = true);
    Ok(())
}

pub(super) fn gemma2(fields: &Fields, config: &mut ModelConfig) -> Done {
    gemma(fields, config)?;
    windows(fields, config, |n| n.is_multiple_of(2))
}

pub(super) fn gemma3(fields: &Fields, config: &mut ModelConfig) -> Done {
    gemma(fields, config)?;
    config.qk_norm = QkNorm::Head;
    let pattern = fields
        .optional_positive("sliding_window_pattern")?
        .or(fields.optional_positive("_sliding_window_pattern")?)
        .unwrap_or(6);
    windows(fields, config, |n| !(n + 1).is_multiple_of(pattern))?;
    // Sliding layers turn by a base of their own, and are not stretched.
    let context = config.max_position_embeddings;
    let own = fields.section("rope_parameters")?.is_some_and(|r| r.get("sliding_attention").is_some());
    let local = if own {
        RopeConfig::read(fields, Some("sliding_attention"), config.head_dim, context)?
    } else {
        let theta = fields.number("rope_local_base_freq")?.unwrap_or(10_000.0);
        RopeConfig::plain(theta, config.head_dim, context)
    };
    config.ropes = vec![RopeConfig::read(fields, Some("full_attention"), config.head_dim, context)?, local];
    for layer in &mut config.layers {
        layer.rope = Some(usize::from(layer.window > 0));
    }
    Ok(())
}

fn gemma(fields: &Fields, config: &mut ModelConfig) -> Done {
    if fields.flag("use_bidirectional_attention")? {
        return Err(unsupported("use_bidirectional_attention"));
    }
    config.biases = Biases { mlp: false, ..biases(fields)? };
    config.norm = NormKind::RmsPlusOne;
    config.norm_place = NormPlace::Both;
    config.scales.embedding = (config.hidden_size as f64).sqrt() as f32;
    let scalar = fields.number("query_pre_attn_scalar")?.unwrap_or(256.0);
    config.scales.attention = scalar.powf(-0.5) as f32;
    config.attention_softcap = fields.number("attn_logit_softcapping")?.unwrap_or(0.0) as f32;
    config.logits_softcap = fields.number("final_logit_softcapping")?.unwrap_or(0.0) as f32;
    Ok(())
}

pub(super) fn phi3(fields: &Fields, config: &mut ModelConfig) -> Done {
    mistral(fields, config)
}

pub(super) fn olmo2(fields: &Fields, config: &mut ModelConfig) -> Done {
    config.biases = Biases { mlp: false, ..biases(fields)? };
    config.norm_place = NormPlace::After;
    config.qk_norm = QkNorm::Whole;
    Ok(())
}

pub(super) fn smollm3(fields: &Fields, config: &mut ModelConfig) -> Done {
    config.biases = biases(fields)?;
    let interval = fields.optional_positive("no_rope_layer_interval")?.unwrap_or(4);
    let listed = fields.numbers("no_rope_layers")?;
    for (n, layer) in config.layers.iter_mut().enumerate() {
        // Despite the field's name, 1 means that the layer turns.
        let turns = match &listed {
            Some(list) => list.get(n).copied().unwrap_or(1.0) != 0.0,
            None => !(n + 1).is_multiple_of(interval),
        };
        layer.rope = turns.then_some(0);
    }
    if fields.flag("use_sliding_window")? {
        let turns: Vec<bool> = config.layers.iter().map(|l| l.rope.is_some()).collect();
        windows(fields, config, |n| turns[n])?;
    }
    Ok(())
}

pub(super) fn granite(fields: &Fields, config: &mut ModelConfig) -> Done {
    config.biases = biases(fields)?;
    let factor = |name: &str| Ok::<_, EngineError>(fields.number(name)?.unwrap_or(1.0));
    config.scales.attention = factor("attention_multiplier")? as f32;
    config.scales.embedding = factor("embedding_multiplier")? as f32;
    config.scales.residual = factor("residual_multiplier")? as f32;
    config.scales.logits = (1.0 / factor("logits_scaling")?) as f32;
    Ok(())
}

pub(super) fn gpt2(fields: &Fields, config: &mut ModelConfig) -> Done {
    for name in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] {
        if fields.flag(name)? {
            return Err(unsupported(name));
        }
    }
    if !fields.optional_flag("scale_attn_weights")?.unwrap_or(true) {
        config.scales.attention = 1.0;
    }
    config.norm = NormKind::Layer;
    config.biases = Biases { qkv: true, output: true, mlp: true };
    config.gated = false;
    config.learned_positions = true;
    config.ropes.clear();
    config.layers.iter_mut().for_each(|layer| layer.rope = None);
    Ok(())
}
