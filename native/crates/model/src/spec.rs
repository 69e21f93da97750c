//! The decoder that a config describes: its tensors by name, and where a layer's parts differ between families.

use crate::config::{ModelConfig, NormKind, NormPlace, QkNorm};
use crate::family;
use tillage_kernels::matrix::NF4_BLOCK;
use tillage_protocol::run::Dtype;

/// Name and shape of one weight, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Hugging Face name, `.weight` or `.bias` included.
    pub name: String,
    /// As in the file: `[in, out]` where it is `transposed`, otherwise `[out, in]`; one number for biases and norms.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
    /// A matrix that is stored `[in, out]`.
    pub transposed: bool,
}

impl TensorSpec {
    /// How the tensor is held in a model of a precision: projections of the layers as it says, embedding and output
    /// projection in bf16 at least, the rest (norms, biases, routers, positions) in f32.
    pub fn held(&self, dtype: Dtype) -> Dtype {
        match self.role {
            Role::Matrix | Role::Residual => dtype,
            Role::Embedding | Role::Head if dtype != Dtype::F32 => Dtype::Bf16,
            _ => Dtype::F32,
        }
    }

    /// Bytes in memory.
    pub fn bytes(&self, dtype: Dtype) -> u64 {
        let numbers = self.shape.iter().map(|n| *n as u64).product::<u64>();
        match self.held(dtype) {
            Dtype::F32 => 4 * numbers,
            Dtype::Bf16 => 2 * numbers,
            // A scale a row, which is stored as a column where the matrix is transposed.
            Dtype::Int8 => numbers + 4 * self.shape[usize::from(self.transposed)] as u64,
            Dtype::Nf4 => {
                let blocks = numbers.div_ceil(NF4_BLOCK as u64);
                numbers.div_ceil(2) + blocks + 4 * blocks.div_ceil(256)
            }
        }
    }
}

/// What a weight is, which decides how it is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Vectors of the tokens, `[vocab, hidden]`.
    Embedding,
    /// Learned positions.
    Positions,
    /// The projection to the vocabulary.
    Head,
    /// The choice of experts.
    Router,
    /// A projection `[out, in]`.
    Matrix,
    /// A projection that writes into the residual stream.
    Residual,
    /// What a projection or a LayerNorm adds.
    Bias,
    /// A norm's weight.
    Norm,
}

/// A stored tensor's share of a projection: some of its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Module path without `.weight`.
    pub module: String,
    /// How many outputs.
    pub outputs: usize,
}

/// One projection of a layer. What is stored in several tensors but has the same input, such as queries, keys and
/// values, is one projection whose outputs lie behind one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearSpec {
    /// Stored tensors, whose outputs lie behind one another in this order.
    pub parts: Vec<Part>,
    /// Inputs, which all parts share.
    pub inputs: usize,
    /// Whether each part has a bias, `[outputs]`.
    pub bias: bool,
    /// Whether it writes into the residual stream.
    pub residual: bool,
    /// Stored `[in, out]`.
    pub transposed: bool,
}

impl LinearSpec {
    /// Outputs of all parts.
    pub fn outputs(&self) -> usize {
        self.parts.iter().map(|p| p.outputs).sum()
    }

    fn weights(&self) -> impl Iterator<Item = TensorSpec> + '_ {
        let role = if self.residual { Role::Residual } else { Role::Matrix };
        self.parts.iter().map(move |part| {
            let mut shape = vec![part.outputs, self.inputs];
            if self.transposed {
                shape.reverse();
            }
            TensorSpec { name: format!("{}.weight", part.module), shape, role, transposed: self.transposed }
        })
    }

    fn biases(&self) -> impl Iterator<Item = TensorSpec> + '_ {
        self.parts.iter().filter(|_| self.bias).map(|part| TensorSpec {
            name: format!("{}.bias", part.module),
            shape: vec![part.outputs],
            role: Role::Bias,
            transposed: false,
        })
    }
}

/// One norm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormSpec {
    /// Module path without `.weight`.
    pub module: String,
    /// Numbers that it norms.
    pub width: usize,
    /// Whether it has a bias: a LayerNorm's.
    pub bias: bool,
}

impl NormSpec {
    fn tensors(&self) -> impl Iterator<Item = TensorSpec> + '_ {
        let tensor = |suffix: &str, role| TensorSpec {
            name: format!("{}.{suffix}", self.module),
            shape: vec![self.width],
            role,
            transposed: false,
        };
        std::iter::once(tensor("weight", Role::Norm)).chain(self.bias.then(|| tensor("bias", Role::Bias)))
    }
}

/// The tensors of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSpec {
    /// Norm of what goes into the attention.
    pub before_attention: Option<NormSpec>,
    /// Norm of what the attention adds to the residual stream.
    pub after_attention: Option<NormSpec>,
    /// Norm of what goes into the MLP or the experts.
    pub before_mlp: Option<NormSpec>,
    /// Norm of what they add to the residual stream.
    pub after_mlp: Option<NormSpec>,
    /// Norm of the queries.
    pub q_norm: Option<NormSpec>,
    /// Norm of the keys.
    pub k_norm: Option<NormSpec>,
    /// Scores of the experts, `[experts, hidden]`.
    pub router: Option<TensorSpec>,
    /// QKV, output, then up and down of the MLP or of each expert; see [`crate::linear::slot`].
    pub linears: Vec<LinearSpec>,
}

/// A whole decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderSpec {
    /// Vectors of the tokens, `[vocab, hidden]`; the output projection too where there is no `head`.
    pub embedding: TensorSpec,
    /// Learned vectors of the positions, `[positions, hidden]`.
    pub positions: Option<TensorSpec>,
    /// From the embedding up.
    pub layers: Vec<LayerSpec>,
    /// Norm of what goes into the output projection.
    pub final_norm: NormSpec,
    /// Absent when the embedding is used.
    pub head: Option<TensorSpec>,
}

impl DecoderSpec {
    /// Describes the decoder of a config.
    pub fn of(config: &ModelConfig) -> DecoderSpec {
        let names = family::of(&config.model_type).expect("the config was read").names;
        let table = |name: &str, rows, role| TensorSpec {
            name: format!("{name}.weight"),
            shape: vec![rows, config.hidden_size],
            role,
            transposed: false,
        };
        DecoderSpec {
            embedding: table(names.embedding, config.vocab_size, Role::Embedding),
            positions: config
                .learned_positions
                .then(|| table(names.positions, config.max_position_embeddings, Role::Positions)),
            layers: (0..config.num_hidden_layers).map(|n| layer(config, names, n)).collect(),
            final_norm: norm(config, names.final_norm.to_owned(), config.hidden_size),
            head: (!config.tie_word_embeddings).then(|| table("lm_head", config.vocab_size, Role::Head)),
        }
    }

    /// Every tensor that is stored, in the order of computation.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut all = vec![self.embedding.clone()];
        all.extend(self.positions.clone());
        for layer in &self.layers {
            let norms = |norms: [&Option<NormSpec>; 3]| -> Vec<TensorSpec> {
                norms.into_iter().flatten().flat_map(|n| n.tensors().collect::<Vec<_>>()).collect()
            };
            let (attention, mlp) = layer.linears.split_at(2);
            all.extend(norms([&layer.before_attention, &layer.q_norm, &layer.k_norm]));
            attention.iter().for_each(|l| all.extend(l.weights().chain(l.biases())));
            all.extend(norms([&layer.after_attention, &layer.before_mlp, &None]));
            all.extend(layer.router.clone());
            mlp.iter().for_each(|l| all.extend(l.weights().chain(l.biases())));
            all.extend(norms([&layer.after_mlp, &None, &None]));
        }
        all.extend(self.final_norm.tensors());
        all.extend(self.head.clone());
        all
    }
}

fn norm(config: &ModelConfig, module: String, width: usize) -> NormSpec {
    NormSpec { module, width, bias: config.norm == NormKind::Layer }
}

fn layer(config: &ModelConfig, names: &family::Names, n: usize) -> LayerSpec {
    let (h, q, kv) = (config.hidden_size, config.q_width(), config.kv_width());
    let root = names.layer.replace("{}", &n.to_string());
    let at = |module: &str| format!("{root}.{module}");
    let block_norm = |module: &str, places: [NormPlace; 2]| {
        places.contains(&config.norm_place).then(|| norm(config, at(module), h))
    };
    let head_norm = |module: &str, whole| match config.qk_norm {
        QkNorm::None => None,
        QkNorm::Head => Some(NormSpec { module: at(module), width: config.head_dim, bias: false }),
        QkNorm::Whole => Some(NormSpec { module: at(module), width: whole, bias: false }),
    };
    let linear = |modules: Vec<String>, widths: &[usize], inputs, bias, residual| {
        // One tensor holds what other families store in several.
        let fused = modules.len() == 1;
        let widths = if fused { vec![widths.iter().sum()] } else { widths.to_vec() };
        let parts =
            modules.into_iter().zip(widths).map(|(module, outputs)| Part { module, outputs }).collect();
        LinearSpec { parts, inputs, bias, residual, transposed: names.transposed }
    };
    let all = |modules: &[&str]| modules.iter().map(|m| at(m)).collect::<Vec<_>>();
    let biases = config.biases;
    let mut linears = vec![
        linear(all(names.qkv), &[q, kv, kv], h, biases.qkv, false),
        linear(all(&[names.output]), &[h], q, biases.output, true),
    ];
    let experts = config.experts.filter(|_| config.layers[n].experts);
    match experts {
        None => {
            let i = config.intermediate_size;
            let widths = if config.gated { vec![i, i] } else { vec![i] };
            linears.push(linear(all(names.up), &widths, h, biases.mlp, false));
            linears.push(linear(all(&[names.down]), &[h], i, biases.mlp, true));
        }
        Some(experts) => {
            let i = experts.intermediate_size;
            for e in 0..experts.count {
                let root = names.expert.replace("{}", &e.to_string());
                let of = |modules: &[&str]| modules.iter().map(|m| at(&format!("{root}.{m}"))).collect();
                linears.push(linear(of(names.expert_up), &[i, i], h, false, false));
                linears.push(linear(of(&[names.expert_down]), &[h], i, false, true));
            }
        }
    }
    use NormPlace::{After, Before, Both};
    LayerSpec {
        before_attention: block_norm(names.before_attention, [Before, Both]),
        after_attention: block_norm(names.after_attention, [After, Both]),
        before_mlp: block_norm(names.before_mlp, [Before, Both]),
        after_mlp: block_norm(names.after_mlp, [After, Both]),
        q_norm: head_norm("self_attn.q_norm", q),
        k_norm: head_norm("self_attn.k_norm", kv),
        router: experts.map(|e| TensorSpec {
            name: format!("{}.weight", at(names.router)),
            shape: vec![e.count, h],
            role: Role::Router,
            transposed: false,
        }),
        linears,
    }
}
