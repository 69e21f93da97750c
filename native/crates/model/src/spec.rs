//! The decoder that a config describes: its tensors by name, and where a layer's parts differ between families.

use crate::config::ModelConfig;

/// Name and shape of one weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
}

/// What a weight is, which decides how it is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Embedding,
    /// A projection `[out, in]`.
    Matrix,
    /// A projection that writes into the residual stream.
    Residual,
    Bias,
    Norm,
}

/// One projection of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearSpec {
    /// Module path without `.weight`.
    pub module: String,
    pub inputs: usize,
    pub outputs: usize,
    pub bias: bool,
    pub residual: bool,
}

/// The tensors of one layer, in the order of computation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSpec {
    pub attention_norm: String,
    pub mlp_norm: String,
    /// q, k, v, o, gate, up, down: the order of [`crate::linear::Slot`].
    pub linears: [LinearSpec; 7],
}

/// A whole decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderSpec {
    pub embedding: TensorSpec,
    pub layers: Vec<LayerSpec>,
    pub final_norm: TensorSpec,
    /// Absent when the embedding is used.
    pub head: Option<TensorSpec>,
}

impl DecoderSpec {
    /// Describes the decoder of a config.
    pub fn of(config: &ModelConfig) -> DecoderSpec {
        let (h, v, i) = (config.hidden_size, config.vocab_size, config.intermediate_size);
        let (q, kv) =
            (config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim);
        let layers = (0..config.num_hidden_layers)
            .map(|n| {
                let root = format!("model.layers.{n}");
                let linear = |module: &str, inputs, outputs, bias, residual| LinearSpec {
                    module: format!("{root}.{module}"),
                    inputs,
                    outputs,
                    bias,
                    residual,
                };
                LayerSpec {
                    attention_norm: format!("{root}.input_layernorm.weight"),
                    mlp_norm: format!("{root}.post_attention_layernorm.weight"),
                    linears: [
                        linear("self_attn.q_proj", h, q, config.attention_bias, false),
                        linear("self_attn.k_proj", h, kv, config.attention_bias, false),
                        linear("self_attn.v_proj", h, kv, config.attention_bias, false),
                        linear("self_attn.o_proj", q, h, config.attention_bias, true),
                        linear("mlp.gate_proj", h, i, config.mlp_bias, false),
                        linear("mlp.up_proj", h, i, config.mlp_bias, false),
                        linear("mlp.down_proj", i, h, config.mlp_bias, true),
                    ],
                }
            })
            .collect();
        let table = |name: &str, role| TensorSpec { name: name.into(), shape: vec![v, h], role };
        DecoderSpec {
            embedding: table("model.embed_tokens.weight", Role::Embedding),
            layers,
            final_norm: TensorSpec { name: "model.norm.weight".into(), shape: vec![h], role: Role::Norm },
            head: (!config.tie_word_embeddings).then(|| table("lm_head.weight", Role::Matrix)),
        }
    }

    /// Every tensor, in the order of computation.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let hidden = self.final_norm.shape[0];
        let norm = |name: &str| TensorSpec { name: name.into(), shape: vec![hidden], role: Role::Norm };
        let mut all = vec![self.embedding.clone()];
        for layer in &self.layers {
            all.push(norm(&layer.attention_norm));
            for (slot, linear) in layer.linears.iter().enumerate() {
                if slot == 4 {
                    all.push(norm(&layer.mlp_norm));
                }
                let role = if linear.residual { Role::Residual } else { Role::Matrix };
                all.push(TensorSpec {
                    name: format!("{}.weight", linear.module),
                    shape: vec![linear.outputs, linear.inputs],
                    role,
                });
                if linear.bias {
                    all.push(TensorSpec {
                        name: format!("{}.bias", linear.module),
                        shape: vec![linear.outputs],
                        role: Role::Bias,
                    });
                }
            }
        }
        all.push(self.final_norm.clone());
        all.extend(self.head.clone());
        all
    }
}
