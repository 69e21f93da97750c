//! The operations that training and generation are made of.
//!
//! Each backend has one folder ([`cpu`] so far); [`reference`] holds a plain scalar form of every operation in f64,
//! the oracle of the conformance suite in `tests/`. Matrices are row-major; a projection's weight is `[out, in]`.

pub mod aligned;
pub mod cpu;
pub mod mapped;
pub mod matrix;
pub mod reference;

/// Heads of an attention layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Query heads; a multiple of `kv_heads` (grouped-query attention, Ainslie et al. 2023).
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
    /// Factor on q·k before the softmax.
    pub scale: f32,
    /// A token sees itself and the `window - 1` before it; 0 = all before it.
    pub window: usize,
    /// Scores s become `softcap * tanh(s / softcap)` (Gemma 2, 2024); 0 = as they are.
    pub softcap: f32,
    /// Queries, keys, values and probabilities may be rounded to bf16, where the machine multiplies that faster.
    pub rounded: bool,
}

impl AttentionShape {
    /// Numbers in one token's queries.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Numbers in one token's keys.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Numbers in one token's queries, keys and values, which lie behind one another in this order.
    pub fn qkv_width(&self) -> usize {
        self.q_width() + 2 * self.kv_width()
    }

    /// The first key that the query at a position sees.
    pub fn first_key(&self, position: usize) -> usize {
        if self.window == 0 {
            0
        } else {
            (position + 1).saturating_sub(self.window)
        }
    }

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// Equal runs of numbers inside a token-major matrix, such as the heads of its keys: `per_token` runs of `width`
/// numbers behind one another, the first of them `start` numbers into each token's `stride`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    /// Tokens of the matrix.
    pub tokens: usize,
    /// Numbers of one token in the matrix.
    pub stride: usize,
    /// Where the first run begins within a token's numbers.
    pub start: usize,
    /// Runs of each token.
    pub per_token: usize,
    /// Numbers of a run.
    pub width: usize,
}

impl Runs {
    /// Whole rows of a matrix `[tokens, width]`.
    pub fn rows(tokens: usize, width: usize) -> Runs {
        Runs { tokens, stride: width, start: 0, per_token: 1, width }
    }

    /// Runs of all tokens.
    pub fn count(&self) -> usize {
        self.tokens * self.per_token
    }

    /// Where a run begins.
    #[inline(always)]
    pub fn at(&self, run: usize) -> usize {
        run / self.per_token * self.stride + self.start + run % self.per_token * self.width
    }

    /// Whether all runs lie inside `len` numbers.
    pub fn fit(&self, len: usize) -> bool {
        self.count() == 0 || self.at(self.count() - 1) + self.width <= len
    }
}

/// What a layer's MLP does with the projection into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x / (1 + e^-x) (Elfwing et al. 2017).
    Silu,
    /// GELU by its tanh approximation (Hendrycks & Gimpel 2016): `gelu_new` and `gelu_pytorch_tanh`.
    GeluTanh,
    /// GELU itself, x Φ(x) with the normal distribution's Φ: `gelu`.
    Gelu,
}

/// One step's numbers of AdamW (Loshchilov & Hutter 2019), with PyTorch's meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Learning rate.
    pub lr: f64,
    /// How much of the first moment is kept, 0 to below 1.
    pub beta1: f64,
    /// How much of the second moment is kept, 0 to below 1.
    pub beta2: f64,
    /// Added to the root of the second moment, behind its correction.
    pub eps: f64,
    /// Decoupled: the weight shrinks by `lr * weight_decay` before the step.
    pub weight_decay: f64,
    /// 1 for the first step.
    pub step: u64,
    /// Factor on every gradient, as clipping gives it; 1 for none.
    pub grad_scale: f32,
}

/// One step's numbers of Muon (Jordan et al. 2024), scaled as in Liu et al. 2025.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MuonStep {
    /// Learning rate, in the measure of AdamW's: a step's root mean square is about 0.2 times this.
    pub lr: f64,
    /// How much of the momentum is kept, 0 to below 1; Nesterov's.
    pub momentum: f64,
    /// Decoupled, as AdamW's.
    pub weight_decay: f64,
    /// Factor on every gradient, as clipping gives it; 1 for none.
    pub grad_scale: f32,
}

/// The factor that `torch.nn.utils.clip_grad_norm_` multiplies gradients with.
///
/// `norm` is the L2 norm of all gradients together; a `max_norm` of 0 turns clipping off.
pub fn clip_factor(norm: f64, max_norm: f64) -> f32 {
    if max_norm <= 0.0 {
        return 1.0;
    }
    (max_norm / (norm + 1e-6)).min(1.0) as f32
}
