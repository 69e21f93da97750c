//! Tensors and their places in the decoder.

use crate::batch::ParamMut;
use crate::config::{ModelConfig, NormKind};
use crate::spec::{DecoderSpec, LinearSpec, NormSpec, Role, TensorSpec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use tillage_kernels::cpu;
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

/// A matrix of some precision, and `None` for f32, which is held as it is.
pub(crate) fn frozen(value: &[f32], inputs: usize, dtype: Dtype) -> Option<Matrix> {
    match dtype {
        Dtype::F32 => None,
        Dtype::Bf16 => Some(Matrix::bf16(value, inputs)),
        Dtype::Int8 => Some(Matrix::int8(value, inputs)),
        Dtype::Nf4 => Some(Matrix::nf4(value, inputs)),
    }
}

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
pub(crate) fn transpose(value: &[f32], cols: usize) -> Vec<f32> {
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
    /// Empty where the numbers are in `frozen`.
    pub value: Vec<f32>,
    /// The numbers of a matrix in low precision.
    pub frozen: Option<Matrix>,
    pub grad: Vec<f32>,
}

/// Makes a tensor's numbers.
pub(crate) type Numbers<'a> = Box<dyn Fn() -> Cow<'a, [f32]> + 'a>;

impl Tensor {
    /// A tensor that is stored by itself.
    pub fn single(name: String, shape: Vec<usize>, value: Vec<f32>) -> Tensor {
        let parts = vec![Stored { name, shape, transposed: false }];
        Tensor { parts, value, frozen: None, grad: Vec::new() }
    }

    /// Numbers of all parts.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Stored::len).sum()
    }

    /// Bytes of the numbers.
    pub fn bytes(&self) -> usize {
        self.frozen.as_ref().map_or(4 * self.value.len(), Matrix::bytes)
    }

    /// `y[rows, out] = scale * x[rows, in] wᵀ`, added to `y` when `accumulate`.
    pub fn linear(&self, y: &mut [f32], x: &[f32], rows: usize, scale: f32, accumulate: bool) {
        match &self.frozen {
            Some(w) => cpu::frozen_linear(y, x, w, rows, scale, accumulate),
            None => cpu::linear(y, x, &self.value, rows, scale, accumulate),
        }
    }

    /// `dx[rows, in] = scale * dy[rows, out] w`, added to `dx` when `accumulate`.
    pub fn backward_input(&self, dx: &mut [f32], dy: &[f32], rows: usize, scale: f32, accumulate: bool) {
        match &self.frozen {
            Some(w) => cpu::frozen_backward_input(dx, dy, w, rows, scale, accumulate),
            None => cpu::linear_backward_input(dx, dy, &self.value, rows, scale, accumulate),
        }
    }

    /// Some rows of a matrix in f32.
    pub fn read(&self, rows: Range<usize>) -> Cow<'_, [f32]> {
        match &self.frozen {
            Some(w) => w.to_f32(rows).into(),
            None => {
                let width = self.value.len() / self.rows();
                self.value[rows.start * width..rows.end * width].into()
            }
        }
    }

    /// Holds a matrix in low precision, unless it is already. Its parts are quantised one by one, as they are when they
    /// are read from a file.
    pub fn freeze(&mut self, dtype: Dtype) {
        if self.frozen.is_some() {
            return;
        }
        let mut whole: Option<Matrix> = None;
        for (part, value) in self.stored() {
            match (&mut whole, frozen(value, part.shape[1], dtype)) {
                (Some(whole), Some(part)) => whole.append(part),
                (_, part) => whole = part,
            }
        }
        if whole.is_some() {
            self.frozen = whole;
            self.value = Vec::new();
        }
    }

    /// Holds a matrix in f32.
    pub fn thaw(&mut self) {
        if let Some(matrix) = self.frozen.take() {
            self.value = matrix.to_f32(0..matrix.rows());
        }
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

    /// The stored tensors with their numbers as files have them, which are made when they are asked for.
    pub fn files(&self) -> impl Iterator<Item = (&Stored, Numbers<'_>)> {
        let mut first = 0;
        self.parts.iter().map(move |part| {
            let rows = first..first + part.shape[0];
            first = rows.end;
            let numbers: Numbers<'_> = Box::new(move || {
                let value = self.read(rows.clone());
                if part.transposed {
                    part.as_stored(&value).into()
                } else {
                    value
                }
            });
            (part, numbers)
        })
    }

    /// The stored tensors with their numbers, where they are in f32.
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
        self.tensors.push(Tensor { parts, value, frozen, grad: Vec::new() });
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
