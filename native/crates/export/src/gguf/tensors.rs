//! The weights by llama.cpp's names, in its order of numbers.

use super::file::{Entry, Kind};
use super::shape::{unsupported, Shape};
use std::borrow::Cow;
use std::collections::BTreeMap;
use tillage_model::{Model, StoredWeight};
use tillage_protocol::export::Quantize;
use tillage_protocol::EngineError;

/// A tensor of the file and the weights that it is made of: one, or one of each expert.
pub struct Source<'a> {
    /// Its entry in the table.
    pub entry: Entry,
    weights: Vec<StoredWeight<'a>>,
    change: Change,
}

/// What happens to the numbers on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    None,
    /// Rows of each head go from halves to neighbours.
    Permute {
        heads: usize,
    },
    PlusOne,
    Scale(f32),
    /// Of a norm of queries that is stored as its difference from 1.
    PlusOneScale(f32),
    /// `[in, out]` to `[out, in]`.
    Transpose,
}

impl Source<'_> {
    /// The numbers as the file has them, made now.
    pub fn numbers(&self) -> Cow<'_, [f32]> {
        if let [one] = &self.weights[..] {
            return self.changed(one);
        }
        self.weights.iter().flat_map(|w| self.changed(w).into_owned()).collect()
    }

    fn changed<'a>(&self, weight: &StoredWeight<'a>) -> Cow<'a, [f32]> {
        let numbers = weight.numbers();
        match self.change {
            Change::None => numbers,
            Change::Permute { heads } => {
                let rows = weight.shape[0];
                let width = numbers.len() / rows;
                permute(&numbers, rows, width, heads).into()
            }
            Change::PlusOne => numbers.iter().map(|x| x + 1.0).collect(),
            Change::Scale(factor) => numbers.iter().map(|x| x * factor).collect(),
            Change::PlusOneScale(factor) => numbers.iter().map(|x| (x + 1.0) * factor).collect(),
            Change::Transpose => {
                let (rows, columns) = (weight.shape[0], weight.shape[1]);
                (0..numbers.len()).map(|i| numbers[(i % rows) * columns + i / rows]).collect()
            }
        }
    }
}

/// Row `i` of a head's first half goes to `2 i`, row `i` of its second half to `2 i + 1`.
fn permute(numbers: &[f32], rows: usize, width: usize, heads: usize) -> Vec<f32> {
    let head = rows / heads;
    let from = |row: usize| {
        let (start, within) = (row / head * head, row % head);
        start + within / 2 + within % 2 * (head / 2)
    };
    (0..rows).flat_map(|row| &numbers[from(row) * width..][..width]).copied().collect()
}

/// All tensors of the file, in order.
///
/// # Errors
/// `unsupported_gguf` for a weight that llama.cpp's form of the family has no place for.
pub fn sources<'a>(
    model: &'a Model,
    shape: &mut Shape,
    quantize: Quantize,
) -> Result<Vec<Source<'a>>, EngineError> {
    let mut found: BTreeMap<(usize, String), Source<'a>> = BTreeMap::new();
    let config = model.config();
    let mut odd = 0;
    for weight in model.stored() {
        let place = place(shape.arch, weight.name)
            .ok_or_else(|| unsupported(format!("the weight {}", weight.name)))?;
        let name = place.name();
        let key = (place.layer.map_or(0, |n| n + 1), name.clone());
        if let Some(source) = found.get_mut(&key) {
            // Experts come in their order.
            source.weights.push(weight);
            source.entry.shape[0] = source.weights.len();
            continue;
        }
        let change = change(&place, shape, config, &weight);
        let mut own = weight.shape.clone();
        if change == Change::Transpose {
            own.reverse();
        }
        let (kind, fallback) = kind(&place, &own, quantize);
        odd += usize::from(fallback);
        if place.expert {
            own.insert(0, 1);
        }
        let entry = Entry { name, shape: own, kind };
        found.insert(key, Source { entry, weights: vec![weight], change });
    }
    if shape.needs_output && config.tie_word_embeddings {
        let embedding = model.stored().find(|w| w.name == "model.embed_tokens.weight");
        if let (Some(weight), Some(like)) = (embedding, found.get(&(0, "token_embd.weight".into()))) {
            let entry = Entry { name: "output.weight".into(), ..like.entry.clone() };
            let source = Source { entry, weights: vec![weight], change: Change::None };
            found.insert((0, "output.weight".into()), source);
        }
    }
    if odd > 0 {
        shape.notes.push(format!(
            "{odd} tensors have rows that are no multiple of 32 numbers, which {} needs: they are f16.",
            quantize.name()
        ));
    }
    Ok(found.into_values().collect())
}

/// Where a weight goes.
struct Place {
    layer: Option<usize>,
    /// llama.cpp's name without the suffix.
    stem: &'static str,
    suffix: String,
    expert: bool,
}

impl Place {
    fn name(&self) -> String {
        match self.layer {
            Some(n) => format!("blk.{n}.{}.{}", self.stem, self.suffix),
            None => format!("{}.{}", self.stem, self.suffix),
        }
    }
}

fn place(arch: &str, name: &str) -> Option<Place> {
    let (module, suffix) = name.rsplit_once('.')?;
    let made = |layer, stem, expert| Some(Place { layer, stem, suffix: suffix.into(), expert });
    match module {
        "model.embed_tokens" | "transformer.wte" => return made(None, "token_embd", false),
        "transformer.wpe" => return made(None, "position_embd", false),
        "model.norm" | "transformer.ln_f" => return made(None, "output_norm", false),
        "lm_head" => return made(None, "output", false),
        _ => {}
    }
    let rest = module.strip_prefix("model.layers.").or(module.strip_prefix("transformer.h."))?;
    let (layer, module) = rest.split_once('.')?;
    let layer = Some(layer.parse().ok()?);
    let expert = |module: &str| -> Option<String> {
        let rest = module.strip_prefix("block_sparse_moe.experts.").or(module.strip_prefix("mlp.experts."))?;
        Some(rest.split_once('.')?.1.to_owned())
    };
    if let Some(part) = expert(module) {
        let stem = match part.as_str() {
            "w1" | "gate_proj" => "ffn_gate_exps",
            "w3" | "up_proj" => "ffn_up_exps",
            "w2" | "down_proj" => "ffn_down_exps",
            _ => return None,
        };
        return made(layer, stem, true);
    }
    let behind = matches!(arch, "gemma2" | "gemma3" | "olmo2");
    let stem = match module {
        "input_layernorm" | "ln_1" => "attn_norm",
        "post_attention_layernorm" if behind => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" | "ln_2" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.qkv_proj" | "attn.c_attn" => "attn_qkv",
        "self_attn.o_proj" | "attn.c_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" | "mlp.gate_up_proj" | "mlp.c_fc" => "ffn_up",
        "mlp.down_proj" | "mlp.c_proj" => "ffn_down",
        "block_sparse_moe.gate" | "mlp.gate" => "ffn_gate_inp",
        _ => return None,
    };
    made(layer, stem, false)
}

fn change(place: &Place, shape: &Shape, c: &tillage_model::ModelConfig, weight: &StoredWeight) -> Change {
    let norm = place.stem.ends_with("norm");
    match place.stem {
        "attn_q" if shape.permuted => Change::Permute { heads: c.num_attention_heads },
        "attn_k" if shape.permuted => Change::Permute { heads: c.num_key_value_heads },
        "attn_q_norm" if shape.plus_one && shape.query_factor != 1.0 => {
            Change::PlusOneScale(shape.query_factor)
        }
        // Without a norm behind it, the projection itself takes the factor.
        "attn_q" if shape.arch == "gemma2" && shape.query_factor != 1.0 => Change::Scale(shape.query_factor),
        _ if norm && shape.plus_one => Change::PlusOne,
        "attn_qkv" | "attn_output" | "ffn_up" | "ffn_down"
            if shape.arch == "gpt2" && weight.shape.len() == 2 =>
        {
            Change::Transpose
        }
        _ => Change::None,
    }
}

/// The type of a tensor, and whether it is not what was asked for.
fn kind(place: &Place, shape: &[usize], quantize: Quantize) -> (Kind, bool) {
    if shape.len() < 2 || matches!(place.stem, "ffn_gate_inp" | "position_embd") {
        return (Kind::F32, false);
    }
    let wanted = match quantize {
        Quantize::F32 => Kind::F32,
        Quantize::F16 => Kind::F16,
        Quantize::Bf16 => Kind::Bf16,
        Quantize::Q8 => Kind::Q8,
        Quantize::Q4 if matches!(place.stem, "token_embd" | "output") => Kind::Q8,
        Quantize::Q4 => Kind::Q4,
    };
    let blocks = matches!(wanted, Kind::Q8 | Kind::Q4);
    if blocks && !shape[shape.len() - 1].is_multiple_of(32) {
        return (Kind::F16, true);
    }
    (wanted, false)
}
