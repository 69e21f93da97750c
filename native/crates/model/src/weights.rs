//! Tensors and their places in the decoder.

use crate::batch::ParamMut;
use crate::config::{ModelConfig, NormKind};
use crate::spec::{DecoderSpec, LinearSpec, NormSpec, Role, TensorSpec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::collections::BTreeMap;

/// Numbers of stored tensors by name.
pub(crate) type Values = BTreeMap<String, Vec<f32>>;

/// A stored tensor inside a [`Tensor`].
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub name: String,
    /// As in memory: matrices are `[out, in]`.
    pub shape: Vec<usize>,
    /// The file has the matrix as `[in, out]`.
    pub transposed: bool,
}

impl Stored {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// A value of this tensor as the file has it.
    pub fn as_stored(&self, value: &[f32]) -> Vec<f32> {
        as_stored(value, &self.shape, self.transposed)
    }

    /// The shape that the file has.
    pub fn stored_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.transposed {
            shape.reverse();
        }
        shape
    }
}

/// A tensor of a shape in memory as the file has it.
pub(crate) fn as_stored(value: &[f32], shape: &[usize], transposed: bool) -> Vec<f32> {
    if transposed {
        transpose(value, shape[1])
    } else {
        value.to_vec()
    }
}

/// The transpose of a row-major matrix with `cols` columns.
fn transpose(value: &[f32], cols: usize) -> Vec<f32> {
    let rows = value.len() / cols;
    let mut turned = vec![0.0; value.len()];
    for (r, row) in value.chunks_exact(cols).enumerate() {
        for (c, x) in row.iter().enumerate() {
            turned[c * rows + r] = *x;
        }
    }
    turned
}

/// One or several stored tensors behind one another; the gradient is empty while they are frozen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tensor {
    pub parts: Vec<Stored>,
    pub value: Vec<f32>,
    pub grad: Vec<f32>,
}

impl Tensor {
    /// A tensor that is stored by itself.
    pub fn single(name: String, shape: Vec<usize>, value: Vec<f32>) -> Tensor {
        Tensor { parts: vec![Stored { name, shape, transposed: false }], value, grad: Vec::new() }
    }

    /// Rows of all parts of a matrix.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(|p| p.shape[0]).sum()
    }

    pub fn set_trainable(&mut self, on: bool) {
        if on {
            self.grad.resize(self.value.len(), 0.0);
        } else {
            self.grad = Vec::new();
        }
    }

    pub fn trained(&self) -> bool {
        !self.grad.is_empty()
    }

    /// The gradient where the tensor is trained.
    pub fn grad_mut(&mut self) -> Option<&mut [f32]> {
        self.trained().then_some(&mut self.grad)
    }

    /// The stored tensors with their numbers.
    pub fn stored(&self) -> impl Iterator<Item = (&Stored, &[f32])> {
        let mut rest = &self.value[..];
        self.parts.iter().map(move |part| {
            let (own, after) = rest.split_at(part.len());
            rest = after;
            (part, own)
        })
    }

    /// The stored tensors with numbers and gradients, where they are trained.
    pub fn parameters_mut(&mut self) -> Vec<ParamMut<'_>> {
        if !self.trained() {
            return Vec::new();
        }
        let (mut value, mut grad) = (&mut self.value[..], &mut self.grad[..]);
        let mut all = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let (own_value, rest_value) = value.split_at_mut(part.len());
            let (own_grad, rest_grad) = grad.split_at_mut(part.len());
            (value, grad) = (rest_value, rest_grad);
            all.push(ParamMut {
                name: &part.name,
                shape: &part.shape,
                transposed: part.transposed,
                value: own_value,
                grad: own_grad,
            });
        }
        all
    }
}

/// Places of a projection's tensors in [`Weights::tensors`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinearIds {
    pub weight: usize,
    pub bias: Option<usize>,
}

/// Places of a norm's tensors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormIds {
    pub weight: usize,
    pub bias: Option<usize>,
}

/// Places of a layer's tensors.
#[derive(Debug, Clone)]
pub(crate) struct LayerIds {
    pub before_attention: Option<NormIds>,
    pub after_attention: Option<NormIds>,
    pub before_mlp: Option<NormIds>,
    pub after_mlp: Option<NormIds>,
    pub q_norm: Option<NormIds>,
    pub k_norm: Option<NormIds>,
    pub router: Option<usize>,
    pub linears: Vec<LinearIds>,
}

/// All tensors of a decoder.
#[derive(Debug)]
pub(crate) struct Weights {
    pub tensors: Vec<Tensor>,
    pub embedding: usize,
    pub positions: Option<usize>,
    pub layers: Vec<LayerIds>,
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
        let take = |values: &mut Values, part: &Stored| {
            let value = values.remove(&part.name).expect("the values are those of the spec");
            if part.transposed {
                transpose(&value, part.shape[0])
            } else {
                value
            }
        };
        let mut value = take(&mut self.values, &parts[0]);
        for part in &parts[1..] {
            value.extend(take(&mut self.values, part));
        }
        self.tensors.push(Tensor { parts, value, grad: Vec::new() });
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
                    Role::Embedding | Role::Matrix => normal(n, std, seed, stream as u64),
                    Role::Residual => normal(n, residual, seed, stream as u64),
                };
                (t.name, value)
            })
            .collect();
        Weights::new(spec, values)
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
