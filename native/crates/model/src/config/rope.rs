//! Rotary positions, in the spelling of transformers 5 (`rope_parameters`) or of 4.x (`rope_theta`, `rope_scaling`).

use super::fields::{bad, Fields};
use tillage_kernels::cpu::{RopeTable, RopeVariant};
use tillage_protocol::EngineError;

/// Rotary position embedding (Su et al. 2021) of some layers.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the wavelengths: pair i of d / 2 turns by θ^(-2i / d) a position.
    pub theta: f64,
    /// How the wavelengths are stretched for longer texts.
    pub scaling: RopeVariant,
    /// Factor on cosines and sines.
    pub amplitude: f32,
    /// Numbers of each head that turn: all of them, or the first.
    pub dims: usize,
    /// Positions for which it holds. With LongRoPE the original context, and with dynamic scaling the whole one: longer texts
    /// would turn all positions by other factors.
    pub context: usize,
}

impl RopeConfig {
    pub(crate) fn table(&self) -> RopeTable {
        RopeTable::new(self.dims, self.theta, &self.scaling, self.amplitude)
    }
}

impl RopeConfig {
    /// All numbers of a head turn, and nothing is stretched.
    pub(crate) fn plain(theta: f64, dims: usize, context: usize) -> RopeConfig {
        RopeConfig { theta, scaling: RopeVariant::Default, amplitude: 1.0, dims, context }
    }

    /// Reads the rotary settings. `section` is the layer type whose settings are wanted where each has its own.
    pub(crate) fn read(
        fields: &Fields,
        section: Option<&str>,
        head_dim: usize,
        context: usize,
    ) -> Result<RopeConfig, EngineError> {
        let empty = serde_json::Map::new();
        let mut inner = match fields.section("rope_parameters")? {
            Some(found) => found,
            None => fields.section("rope_scaling")?.unwrap_or(Fields(&empty)),
        };
        if let Some(own) = section.and_then(|s| inner.section(s).transpose()).transpose()? {
            inner = own;
        }
        let both = |name: &str| Ok::<_, EngineError>(inner.number(name)?.or(fields.number(name)?));
        let theta = both("rope_theta")?.unwrap_or(10_000.0);
        let part = both("partial_rotary_factor")?.unwrap_or(1.0);
        let dims = (head_dim as f64 * part) as usize;
        if dims == 0 || dims > head_dim || !dims.is_multiple_of(2) {
            return Err(bad(format!(
                "With a head_dim of {head_dim} and a partial_rotary_factor of {part}, {dims} numbers of each head turn; that must be an even number of at most {head_dim}."
            )));
        }
        let kind = match (inner.get("rope_type"), inner.get("type")) {
            (Some(k), _) | (None, Some(k)) => {
                k.as_str().ok_or_else(|| bad("rope_type in config.json is not a text."))?
            }
            (None, None) => "default",
        };
        let (scaling, amplitude) = variant(kind, &inner, fields, context, dims)?;
        let table = RopeTable::new(dims, theta, &scaling, amplitude);
        if !(theta.is_finite() && theta > 0.0 && table.is_finite()) {
            return Err(bad(format!(
                "The rotary settings in config.json (rope_theta {theta}, rope_type {kind}) lead to angles that are no numbers."
            )));
        }
        let limit = match &scaling {
            RopeVariant::Each { .. } => original(&inner, fields)?.unwrap_or(context).min(context),
            _ => context,
        };
        Ok(RopeConfig { theta, scaling, amplitude, dims, context: limit })
    }
}

/// The context before it was stretched.
fn original(inner: &Fields, fields: &Fields) -> Result<Option<usize>, EngineError> {
    let name = "original_max_position_embeddings";
    Ok(inner.optional_positive(name)?.or(fields.optional_positive(name)?))
}

/// The variant and its factor on cosines and sines, with transformers' defaults.
fn variant(
    kind: &str,
    inner: &Fields,
    fields: &Fields,
    context: usize,
    dims: usize,
) -> Result<(RopeVariant, f32), EngineError> {
    let need = |name: &str| {
        let missing = || bad(format!("config.json has rope_type {kind} but no {name}."));
        inner.number(name)?.ok_or_else(missing)
    };
    let original = original(inner, fields)?.unwrap_or(context) as f64;
    let given = inner.number("attention_factor")?.map(|f| f as f32);
    Ok(match kind {
        // Dynamic NTK scaling begins behind the context: up to there it is no scaling.
        "default" | "dynamic" => (RopeVariant::Default, 1.0),
        "linear" => (RopeVariant::Linear { factor: need("factor")? as f32 }, 1.0),
        "llama3" => {
            let variant = RopeVariant::Llama3 {
                factor: need("factor")? as f32,
                low: need("low_freq_factor")? as f32,
                high: need("high_freq_factor")? as f32,
                original: need("original_max_position_embeddings")? as f32,
            };
            (variant, 1.0)
        }
        "yarn" => {
            let factor = need("factor")?;
            let variant = RopeVariant::Yarn {
                factor: factor as f32,
                fast: inner.number("beta_fast")?.unwrap_or(32.0) as f32,
                slow: inner.number("beta_slow")?.unwrap_or(1.0) as f32,
                original: original as f32,
                truncate: inner.optional_flag("truncate")?.unwrap_or(true),
            };
            let scale = |m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
            let amplitude = match (inner.number("mscale")?, inner.number("mscale_all_dim")?) {
                (Some(one), Some(all)) if one != 0.0 && all != 0.0 => scale(one) / scale(all),
                _ => scale(1.0),
            };
            (variant, given.unwrap_or(amplitude as f32))
        }
        "longrope" => {
            let stretch = inner.number("factor")?.unwrap_or(context as f64 / original);
            let factors = inner
                .numbers("short_factor")?
                .ok_or_else(|| bad("config.json has rope_type longrope but no short_factor."))?;
            if factors.len() != dims / 2 {
                return Err(bad(format!("short_factor has {} numbers; {} turn.", factors.len(), dims / 2)));
            }
            let amplitude = if stretch <= 1.0 { 1.0 } else { (1.0 + stretch.ln() / original.ln()).sqrt() };
            let factors = factors.into_iter().map(|f| f as f32).collect();
            (RopeVariant::Each { factors }, given.unwrap_or(amplitude as f32))
        }
        other => {
            return Err(EngineError::user(
                "unsupported_rope",
                format!(
                    "config.json asks for rope_type \"{other}\"; Tillage knows default, linear, dynamic, llama3, yarn and longrope."
                ),
                "Use a model with one of these, or one that was not stretched to a longer context.",
            ))
        }
    })
}
