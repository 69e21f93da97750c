//! A model's settings as llama.cpp's metadata, and what llama.cpp cannot compute, which is refused.

use super::file::Value;
use tillage_kernels::cpu::RopeVariant;
use tillage_kernels::Activation;
use tillage_model::{ModelConfig, RopeConfig};
use tillage_protocol::EngineError;

/// A model as llama.cpp sees it.
#[derive(Debug)]
pub struct Shape {
    /// `general.architecture`.
    pub arch: &'static str,
    /// Keys with their values, those of the tokenizer apart.
    pub metadata: Vec<(String, Value)>,
    /// Queries and keys are stored for rotations of neighbours instead of halves.
    pub permuted: bool,
    /// Norms are stored as they are, not as their difference from 1.
    pub plus_one: bool,
    /// Factor on the queries that makes up for a fixed scale of scores.
    pub query_factor: f32,
    /// The output projection must be stored even where it is the embedding.
    pub needs_output: bool,
    /// Divisors of the frequencies.
    pub rope_factors: Option<Vec<f32>>,
    /// What the format could not take as it was, a sentence each.
    pub notes: Vec<String>,
}

/// An error about what the format cannot say.
pub fn unsupported(what: impl std::fmt::Display) -> EngineError {
    EngineError::user(
        "unsupported_gguf",
        format!("llama.cpp does not compute {what}, so the model cannot be written as GGUF."),
        "Export it as `merged`, which keeps everything.",
    )
}

/// What llama.cpp calls a family.
fn arch(model_type: &str) -> Result<&'static str, EngineError> {
    Ok(match model_type {
        "llama" | "mistral" | "mixtral" => "llama",
        "qwen2" => "qwen2",
        "qwen3" => "qwen3",
        "qwen3_moe" => "qwen3moe",
        "gemma2" => "gemma2",
        "gemma3_text" => "gemma3",
        "phi3" => "phi3",
        "olmo2" => "olmo2",
        "smollm3" => "smollm3",
        "granite" => "granite",
        "gpt2" => "gpt2",
        other => return Err(unsupported(format!("the family {other}"))),
    })
}

impl Shape {
    /// # Errors
    /// `unsupported_gguf`, which names what llama.cpp cannot compute.
    pub fn of(config: &ModelConfig, name: &str) -> Result<Shape, EngineError> {
        let arch = arch(&config.model_type)?;
        check(config, arch)?;
        let mut shape = Shape {
            arch,
            metadata: vec![
                ("general.architecture".into(), Value::Text(arch.into())),
                ("general.type".into(), Value::Text("model".into())),
                ("general.name".into(), Value::Text(name.into())),
            ],
            permuted: matches!(arch, "llama" | "granite" | "smollm3"),
            plus_one: matches!(arch, "gemma2" | "gemma3"),
            query_factor: 1.0,
            needs_output: arch == "olmo2",
            rope_factors: None,
            notes: Vec::new(),
        };
        shape.sizes(config);
        shape.windows(config)?;
        shape.scales(config)?;
        shape.experts(config)?;
        if let Some(rope) = config.ropes.first() {
            shape.rope(config, rope)?;
        }
        Ok(shape)
    }

    fn set(&mut self, key: &str, value: Value) {
        self.metadata.push((format!("{}.{key}", self.arch), value));
    }

    fn sizes(&mut self, c: &ModelConfig) {
        let number = |n: usize| Value::U32(n as u32);
        self.set("vocab_size", number(c.vocab_size));
        self.set("context_length", number(self.context(c)));
        self.set("embedding_length", number(c.hidden_size));
        self.set("block_count", number(c.num_hidden_layers));
        self.set("feed_forward_length", number(c.intermediate_size));
        self.set("attention.head_count", number(c.num_attention_heads));
        self.set("attention.head_count_kv", number(c.num_key_value_heads));
        let eps = Value::F32(c.norm_eps as f32);
        if self.arch == "gpt2" {
            self.set("attention.layer_norm_epsilon", eps);
        } else {
            self.set("attention.layer_norm_rms_epsilon", eps);
            self.set("attention.key_length", number(c.head_dim));
            self.set("attention.value_length", number(c.head_dim));
        }
    }

    /// Texts that llama.cpp computes as the model does: where it knows no windows, those that fit into the smallest.
    fn context(&self, c: &ModelConfig) -> usize {
        let limit = c.ropes.iter().map(|r| r.context).min().unwrap_or(c.max_position_embeddings);
        let limit = limit.min(c.max_position_embeddings);
        match self.arch {
            "gemma2" | "gemma3" => limit,
            _ => c.layers.iter().map(|l| l.window).filter(|w| *w > 0).min().unwrap_or(limit).min(limit),
        }
    }

    fn windows(&mut self, c: &ModelConfig) -> Result<(), EngineError> {
        let window = c.layers.iter().map(|l| l.window).max().unwrap_or(0);
        if window == 0 {
            return match self.arch {
                "gemma2" => Err(unsupported("a gemma2 without windows")),
                _ => Ok(()),
            };
        }
        let usual = match self.arch {
            "gemma2" => 2,
            "gemma3" => 6,
            _ => {
                let context = self.context(c);
                if context < c.max_position_embeddings {
                    self.notes.push(format!(
                        "llama.cpp has no sliding windows in this family: the context is {context} tokens, the window, in which it computes the same."
                    ));
                }
                return Ok(());
            }
        };
        // Every layer but each `pattern`-th has the window.
        let fits = |pattern: usize| {
            c.layers.iter().enumerate().all(|(n, l)| (l.window > 0) != (n + 1).is_multiple_of(pattern))
        };
        let pattern = std::iter::once(usual).chain(2..=c.layers.len().max(2)).find(|p| fits(*p));
        let Some(pattern) = pattern else {
            return Err(unsupported("sliding windows in these layers, which follow no pattern"));
        };
        if c.layers.iter().any(|l| l.window > 0 && l.window != window) {
            return Err(unsupported("windows of different lengths"));
        }
        self.set("attention.sliding_window", Value::U32(window as u32));
        if pattern != usual {
            self.set("attention.sliding_window_pattern", Value::U32(pattern as u32));
            self.notes.push(format!(
                "One layer of {pattern} sees everything, not one of {usual}: versions of llama.cpp that do not read attention.sliding_window_pattern compute it wrongly."
            ));
        }
        Ok(())
    }

    fn scales(&mut self, c: &ModelConfig) -> Result<(), EngineError> {
        let usual = (1.0 / (c.head_dim as f64).sqrt()) as f32;
        let attention = c.scales.attention;
        match self.arch {
            "granite" => {
                self.set("attention.scale", Value::F32(attention));
                self.set("embedding_scale", Value::F32(c.scales.embedding));
                self.set("residual_scale", Value::F32(c.scales.residual));
                self.set("logit_scale", Value::F32(1.0 / c.scales.logits));
                return Ok(());
            }
            "gemma2" | "gemma3" => {
                // The 27B models, which are known by their depth, have a scale of their own.
                let large = c.num_hidden_layers == if self.arch == "gemma2" { 46 } else { 62 };
                let width = (c.hidden_size / c.num_attention_heads) as f64;
                let fixed = if large { (1.0 / width.sqrt()) as f32 } else { usual };
                self.query_factor = attention / fixed;
                if self.arch == "gemma2" {
                    self.set("attn_logit_softcapping", Value::F32(c.attention_softcap));
                    self.set("final_logit_softcapping", Value::F32(c.logits_softcap));
                } else if c.logits_softcap > 0.0 {
                    self.set("final_logit_softcapping", Value::F32(c.logits_softcap));
                }
            }
            _ if attention != usual => {
                return Err(unsupported("scores with another scale than 1/sqrt(head_dim)"))
            }
            _ => {}
        }
        Ok(())
    }

    fn experts(&mut self, c: &ModelConfig) -> Result<(), EngineError> {
        let Some(experts) = c.experts else { return Ok(()) };
        if !experts.normalize {
            return Err(unsupported("experts whose probabilities are not brought to a sum of 1"));
        }
        if !c.layers.iter().all(|l| l.experts) {
            return Err(unsupported("layers with and without experts in one model of this family"));
        }
        self.set("expert_count", Value::U32(experts.count as u32));
        self.set("expert_used_count", Value::U32(experts.per_token as u32));
        if self.arch == "qwen3moe" {
            self.set("expert_feed_forward_length", Value::U32(experts.intermediate_size as u32));
        }
        Ok(())
    }

    fn rope(&mut self, c: &ModelConfig, rope: &RopeConfig) -> Result<(), EngineError> {
        if rope.dims != c.head_dim && self.arch != "phi3" {
            return Err(unsupported("a rotation of a part of each head in this family"));
        }
        self.set("rope.dimension_count", Value::U32(rope.dims as u32));
        self.set("rope.freq_base", Value::F32(rope.theta as f32));
        if let (Some(local), "gemma3") = (c.ropes.get(1), self.arch) {
            if local.scaling != RopeVariant::Default {
                return Err(unsupported("stretched positions in layers with a window"));
            }
            self.set("rope.freq_base_swa", Value::F32(local.theta as f32));
        }
        match &rope.scaling {
            RopeVariant::Default => {}
            RopeVariant::Linear { factor } => {
                self.set("rope.scaling.type", Value::Text("linear".into()));
                self.set("rope.scaling.factor", Value::F32(*factor));
            }
            RopeVariant::Llama3 { factor, low, high, original } if self.permuted => {
                let frequency = |i: usize| rope.theta.powf(-2.0 * i as f64 / rope.dims as f64);
                let (factor, low) = (f64::from(*factor), f64::from(*low));
                let (high, original) = (f64::from(*high), f64::from(*original));
                let divisor = |i: usize| {
                    let wavelength = 2.0 * std::f64::consts::PI / frequency(i);
                    if wavelength < original / high {
                        1.0
                    } else if wavelength > original / low {
                        factor
                    } else {
                        let smooth = (original / wavelength - low) / (high - low);
                        1.0 / ((1.0 - smooth) / factor + smooth)
                    }
                };
                self.rope_factors = Some((0..rope.dims / 2).map(|i| divisor(i) as f32).collect());
            }
            other => return Err(unsupported(format!("these stretched positions in this family: {other:?}"))),
        }
        if rope.amplitude != 1.0 {
            return Err(unsupported("a factor on the rotation"));
        }
        Ok(())
    }
}

/// What llama.cpp's code of a family takes for granted.
fn check(c: &ModelConfig, arch: &str) -> Result<(), EngineError> {
    let b = c.biases;
    let fixed = match arch {
        "llama" | "granite" => true,
        "gpt2" => b.qkv && b.output && b.mlp,
        "qwen2" => b.qkv && !b.output && !b.mlp,
        _ => !b.qkv && !b.output && !b.mlp,
    };
    if !fixed {
        return Err(unsupported("these biases in this family"));
    }
    let gelu = matches!(arch, "gemma2" | "gemma3" | "gpt2");
    if c.activation != (if gelu { Activation::GeluTanh } else { Activation::Silu }) {
        return Err(unsupported("another activation than the family's own"));
    }
    let halves = matches!(arch, "olmo2" | "phi3" | "gpt2");
    if halves && c.head_dim * c.num_attention_heads != c.hidden_size {
        return Err(unsupported("heads in this family that are not as wide together as the model"));
    }
    if (arch == "gemma2") != (c.attention_softcap > 0.0) || (arch == "gemma2" && c.logits_softcap == 0.0) {
        return Err(unsupported("these soft caps in this family"));
    }
    if c.logits_softcap > 0.0 && !matches!(arch, "gemma2" | "gemma3") {
        return Err(unsupported("a soft cap of the logits in this family"));
    }
    if arch == "gemma2" && !c.tie_word_embeddings {
        return Err(unsupported("a gemma2 with an output projection of its own"));
    }
    let turns = |n: usize| match arch {
        "gpt2" => false,
        "smollm3" => !(n + 1).is_multiple_of(4),
        _ => true,
    };
    if c.layers.iter().enumerate().any(|(n, l)| l.rope.is_some() != turns(n)) {
        return Err(unsupported("rotary positions in these layers (of smollm3, it leaves out every fourth)"));
    }
    Ok(())
}
