//! Tensors and their places in the decoder.

use crate::config::ModelConfig;
use crate::spec::{DecoderSpec, Role};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// One tensor; its gradient is empty while it is frozen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub value: Vec<f32>,
    pub grad: Vec<f32>,
}

impl Tensor {
    pub fn set_trainable(&mut self, on: bool) {
        if on {
            self.grad.resize(self.value.len(), 0.0);
        } else {
            self.grad = Vec::new();
        }
    }

    /// The gradient where the tensor is trained.
    pub fn grad_mut(&mut self) -> Option<&mut [f32]> {
        (!self.grad.is_empty()).then_some(&mut self.grad)
    }
}

/// Places of a projection's tensors in [`Weights::tensors`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinearIds {
    pub weight: usize,
    pub bias: Option<usize>,
}

/// Places of a layer's tensors.
#[derive(Debug, Clone)]
pub(crate) struct LayerIds {
    pub attention_norm: usize,
    pub mlp_norm: usize,
    pub linears: [LinearIds; 7],
}

/// All tensors of a decoder.
#[derive(Debug)]
pub(crate) struct Weights {
    pub tensors: Vec<Tensor>,
    pub embedding: usize,
    pub layers: Vec<LayerIds>,
    pub final_norm: usize,
    /// The embedding where the two are tied.
    pub head: usize,
}

impl Weights {
    /// Puts tensors, which must come in the order of [`DecoderSpec::tensors`], into their places.
    pub fn new(spec: &DecoderSpec, tensors: Vec<Tensor>) -> Weights {
        let place = |name: &str| {
            tensors.iter().position(|t| t.name == name).expect("the tensors are those of the spec")
        };
        let embedding = place(&spec.embedding.name);
        let layers = spec
            .layers
            .iter()
            .map(|layer| LayerIds {
                attention_norm: place(&layer.attention_norm),
                mlp_norm: place(&layer.mlp_norm),
                linears: std::array::from_fn(|slot| {
                    let linear = &layer.linears[slot];
                    LinearIds {
                        weight: place(&format!("{}.weight", linear.module)),
                        bias: linear.bias.then(|| place(&format!("{}.bias", linear.module))),
                    }
                }),
            })
            .collect();
        let final_norm = place(&spec.final_norm.name);
        let head = spec.head.as_ref().map_or(embedding, |h| place(&h.name));
        Weights { embedding, layers, final_norm, head, tensors }
    }

    /// Random weights: N(0, initializer_range) for matrices and the embedding, 1 for norms, 0 for biases, as
    /// transformers does; projections into the residual stream are divided by sqrt(2 layers), as in GPT-2
    /// (Radford et al. 2019). Each tensor has its own stream of the seed, so shapes do not influence each other.
    pub fn random(spec: &DecoderSpec, config: &ModelConfig, seed: u64) -> Weights {
        let std = config.initializer_range as f32;
        let residual = std / (2.0 * config.num_hidden_layers as f32).sqrt();
        let tensors = spec
            .tensors()
            .into_iter()
            .enumerate()
            .map(|(stream, t)| {
                let n = t.shape.iter().product();
                let value = match t.role {
                    Role::Norm => vec![1.0; n],
                    Role::Bias => vec![0.0; n],
                    Role::Embedding | Role::Matrix => normal(n, std, seed, stream as u64),
                    Role::Residual => normal(n, residual, seed, stream as u64),
                };
                Tensor { name: t.name, shape: t.shape, value, grad: Vec::new() }
            })
            .collect();
        Weights::new(spec, tensors)
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
