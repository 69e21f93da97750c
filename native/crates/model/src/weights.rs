//! All tensors and their places in the decoder.

use crate::config::{ModelConfig, NormKind};
use crate::spec::{DecoderSpec, LinearSpec, NormSpec, Role, TensorSpec};
pub(crate) use crate::tensor::{as_stored, frozen, transpose, Numbers, Stored, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::collections::BTreeMap;
use tillage_kernels::matrix::{Arithmetic, Matrix};
use tillage_protocol::run::Dtype;

/// A stored tensor's numbers.
#[derive(Debug)]
pub(crate) enum Value {
    /// As the file has them.
    F32(Vec<f32>),
    /// `[out, in]`, whatever the file has.
    Frozen(Matrix),
}

/// Stored tensors by name.
pub(crate) type Values = BTreeMap<String, Value>;

/// Places of a projection's tensors in [`Weights::tensors`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinearIds {
    /// The matrix.
    pub weight: usize,
    /// The bias, where the projection has one.
    pub bias: Option<usize>,
}

/// Places of a norm's tensors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormIds {
    /// The factor.
    pub weight: usize,
    /// The bias of a LayerNorm.
    pub bias: Option<usize>,
}

/// Places of a layer's tensors.
#[derive(Debug, Clone)]
pub(crate) struct LayerIds {
    /// Of what goes into the attention.
    pub before_attention: Option<NormIds>,
    /// Of what the attention gives.
    pub after_attention: Option<NormIds>,
    /// Of what goes into the MLP.
    pub before_mlp: Option<NormIds>,
    /// Of what the MLP gives.
    pub after_mlp: Option<NormIds>,
    /// Of the queries.
    pub q_norm: Option<NormIds>,
    /// Of the keys.
    pub k_norm: Option<NormIds>,
    /// The experts' scores.
    pub router: Option<usize>,
    /// By [`crate::linear::slot`].
    pub linears: Vec<LinearIds>,
}

/// All tensors of a decoder.
#[derive(Debug)]
pub(crate) struct Weights {
    /// In the order of computation; the other fields are places in this list.
    pub tensors: Vec<Tensor>,
    /// The tokens' vectors.
    pub embedding: usize,
    /// Learned positions.
    pub positions: Option<usize>,
    /// From the embedding up.
    pub layers: Vec<LayerIds>,
    /// The norm before the output projection.
    pub final_norm: NormIds,
    /// The embedding where the two are tied.
    pub head: usize,
}

/// Takes stored tensors and puts them into their places.
struct Builder {
    values: Values,
    tensors: Vec<Tensor>,
}

impl Builder {
    fn push(&mut self, parts: Vec<Stored>) -> usize {
        let (mut value, mut frozen) = (Vec::new(), None::<Matrix>);
        for part in &parts {
            match self.values.remove(&part.name).expect("the values are those of the spec") {
                Value::F32(own) => {
                    let own = if part.transposed { transpose(&own, part.shape[0]) } else { own };
                    if value.is_empty() {
                        value = own;
                    } else {
                        value.extend(own);
                    }
                }
                Value::Frozen(own) => match &mut frozen {
                    Some(whole) => whole.append(own),
                    None => frozen = Some(own),
                },
            }
        }
        self.tensors.push(Tensor::new(parts, value, frozen));
        self.tensors.len() - 1
    }

    fn tensor(&mut self, spec: &TensorSpec) -> usize {
        self.push(vec![Stored { name: spec.name.clone(), shape: spec.shape.clone(), transposed: false }])
    }

    fn norm(&mut self, spec: &NormSpec) -> NormIds {
        let mut one = |suffix: &str| {
            let name = format!("{}.{suffix}", spec.module);
            self.push(vec![Stored { name, shape: vec![spec.width], transposed: false }])
        };
        NormIds { weight: one("weight"), bias: spec.bias.then(|| one("bias")) }
    }

    fn linear(&mut self, spec: &LinearSpec) -> LinearIds {
        let stored = |suffix: &str, shape: fn(usize, usize) -> Vec<usize>, transposed| {
            let part = |p: &crate::spec::Part| Stored {
                name: format!("{}.{suffix}", p.module),
                shape: shape(p.outputs, spec.inputs),
                transposed,
            };
            spec.parts.iter().map(part).collect::<Vec<_>>()
        };
        let weight = self.push(stored("weight", |outs, ins| vec![outs, ins], spec.transposed));
        let bias = spec.bias.then(|| self.push(stored("bias", |outs, _| vec![outs], false)));
        LinearIds { weight, bias }
    }
}

impl Weights {
    /// Puts the numbers of [`DecoderSpec::tensors`] into their places.
    pub fn new(spec: &DecoderSpec, values: Values) -> Weights {
        let mut b = Builder { values, tensors: Vec::new() };
        let embedding = b.tensor(&spec.embedding);
        let positions = spec.positions.as_ref().map(|p| b.tensor(p));
        let layers = spec
            .layers
            .iter()
            .map(|layer| {
                let mut norm = |spec: &Option<NormSpec>| spec.as_ref().map(|n| b.norm(n));
                let before_attention = norm(&layer.before_attention);
                let (q_norm, k_norm) = (norm(&layer.q_norm), norm(&layer.k_norm));
                let mut linears: Vec<LinearIds> = layer.linears[..2].iter().map(|l| b.linear(l)).collect();
                let mut norm = |spec: &Option<NormSpec>| spec.as_ref().map(|n| b.norm(n));
                let (after_attention, before_mlp) = (norm(&layer.after_attention), norm(&layer.before_mlp));
                let router = layer.router.as_ref().map(|r| b.tensor(r));
                linears.extend(layer.linears[2..].iter().map(|l| b.linear(l)));
                let after_mlp = layer.after_mlp.as_ref().map(|n| b.norm(n));
                LayerIds {
                    before_attention,
                    after_attention,
                    before_mlp,
                    after_mlp,
                    q_norm,
                    k_norm,
                    router,
                    linears,
                }
            })
            .collect();
        let final_norm = b.norm(&spec.final_norm);
        let head = spec.head.as_ref().map_or(embedding, |h| b.tensor(h));
        Weights { tensors: b.tensors, embedding, positions, layers, final_norm, head }
    }

    /// Random weights: N(0, initializer_range) for matrices and the embedding, 1 for norms, 0 for biases, as
    /// transformers does; projections into the residual stream are divided by sqrt(2 layers), as in GPT-2
    /// (Radford et al. 2019). Each tensor has its own stream of the seed, so shapes do not influence each other.
    pub fn random(spec: &DecoderSpec, config: &ModelConfig, seed: u64) -> Weights {
        let std = config.initializer_range as f32;
        let residual = std / (2.0 * config.num_hidden_layers as f32).sqrt();
        let one = if config.norm == NormKind::RmsPlusOne { 0.0 } else { 1.0 };
        let values = spec
            .tensors()
            .into_iter()
            .enumerate()
            .map(|(stream, t)| {
                let n = t.shape.iter().product();
                let value = match t.role {
                    Role::Norm => vec![one; n],
                    Role::Bias => vec![0.0; n],
                    Role::Embedding | Role::Positions | Role::Head | Role::Router | Role::Matrix => {
                        normal(n, std, seed, stream as u64)
                    }
                    Role::Residual => normal(n, residual, seed, stream as u64),
                };
                (t.name, Value::F32(value))
            })
            .collect();
        Weights::new(spec, values)
    }
}

impl Weights {
    /// Holds the matrices in low precision, as [`TensorSpec::held`] says.
    pub fn freeze(&mut self, dtype: Dtype) {
        self.freeze_projections(dtype);
        if dtype != Dtype::F32 {
            [self.embedding, self.head].into_iter().for_each(|id| self.tensors[id].freeze(Dtype::Bf16));
        }
    }

    /// Holds the layers' projections in low precision.
    pub fn freeze_projections(&mut self, dtype: Dtype) {
        for linear in self.layers.iter().flat_map(|l| &l.linears) {
            self.tensors[linear.weight].freeze(dtype);
        }
    }

    /// Rounds the layers' projections, the embedding as output projection and the output projection for their products.
    pub fn set_mixed(&mut self, on: bool) {
        let projections = self.layers.iter().flat_map(|l| &l.linears).map(|l| l.weight);
        for id in projections.chain([self.head]) {
            self.tensors[id].set_mixed(on);
        }
    }

    /// What products with the frozen matrices multiply.
    pub fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        self.tensors.iter_mut().filter_map(|t| t.frozen.as_mut()).for_each(|m| m.set_arithmetic(arithmetic));
    }
}

/// A reproducible stream of random numbers.
pub(crate) fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

fn normal(n: usize, std: f32, seed: u64, id: u64) -> Vec<f32> {
    let mut rng = stream(seed, id);
    let distribution = Normal::new(0.0f32, std.abs()).expect("a finite standard deviation");
    (0..n).map(|_| distribution.sample(&mut rng)).collect()
}
