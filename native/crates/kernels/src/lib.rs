//! The operations that training and generation are made of.
//!
//! Each backend has one folder ([`cpu`] so far); [`reference`] holds a plain scalar form of every operation in f64,
//! the oracle of the conformance suite in `tests/`. Matrices are row-major; a projection's weight is `[out, in]`.

pub mod cpu;
pub mod mapped;
pub mod reference;

/// Heads of an attention layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Query heads; a multiple of `kv_heads` (grouped-query attention, Ainslie et al. 2023).
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Factor on q·k before the softmax.
    pub scale: f32,
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

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// One step's numbers of AdamW (Loshchilov & Hutter 2019), with PyTorch's meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// Decoupled: the weight shrinks by `lr * weight_decay` before the step.
    pub weight_decay: f64,
    /// 1 for the first step.
    pub step: u64,
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
