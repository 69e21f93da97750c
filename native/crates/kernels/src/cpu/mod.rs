//! The operations on the CPU, in f32.
//!
//! Loops are written so that the compiler vectorises them, and compiled for AVX-512, AVX2 and the baseline; the
//! machine's best is chosen at run time. Results are the same for the same number of threads: no operation adds in an
//! order that depends on timing. Reductions use a fixed number of lanes, so they do not depend on the vector width.

mod activation;
mod attention;
mod distill;
mod dynamic8;
mod elementwise;
mod embedding;
mod frozen;
mod loss;
mod matmul;
mod muon;
mod norm;
mod optimizer;
mod par;
mod rope;
mod simd;

pub use activation::{activate, activate_backward, gated, gated_backward};
pub use attention::{attention, attention_backward, attention_cached, attention_scratch_bytes, Saved};
pub use distill::{distill, Distillation};
pub use dynamic8::{adamw_8bit, AdamW8bitTensor, Blocks, DynamicCode, BLOCK as BLOCK_8BIT};
pub use elementwise::{
    add, add_bias, bias_backward, dropout, scale, scale_rows, soft_cap, soft_cap_backward,
};
pub use embedding::{embedding, embedding_backward, gather_rows, scatter_add_rows};
pub(crate) use frozen::to_halves;
pub use frozen::{
    frozen_backward_input, frozen_backward_input_on, frozen_embedding, frozen_linear, frozen_linear_on,
    frozen_scratch_bytes, low_rank_backward_input, low_rank_backward_weights, low_rank_linear,
    low_rank_receive, rounded_backward_weight, rounded_backward_weight_on, rounded_gradient_bytes, Isa,
    LowRank, LowRankPart, Upstream,
};
pub use loss::{cross_entropy, log_softmax_at, softmax, Target};
pub use matmul::{linear, linear_backward_input, linear_backward_weight, matmul, View, ViewMut};
pub use muon::{muon, muon_scratch_bytes, MuonScratch};
pub use norm::{layer_norm, layer_norm_backward, rms_norm, rms_norm_backward};
pub use optimizer::{adamw, grad_norm, AdamWTensor};
pub use par::pooled;
pub use rope::{rope, RopeTable, RopeVariant};
