//! Model families, their weights, adapters, forward and backward.
//!
//! One decoder is described per config ([`spec::DecoderSpec`]); forward and backward are derived by hand, so that only
//! what is trained is computed and every buffer's size is known in advance.

mod adapter;
mod attention;
mod backward;
mod batch;
mod cache;
mod config;
mod distill;
mod experts;
pub mod family;
mod forward;
mod head;
mod linear;
pub mod machine;
mod mix;
mod mlp;
mod model;
mod norms;
pub mod objective;
pub mod parity;
mod passes;
mod peft;
mod peft_experts;
mod peft_prompt;
mod plan;
mod prompt;
mod reading;
mod score;
pub mod spec;
pub mod store;
mod stored;
mod tensor;
mod weights;
mod workspace;

pub use batch::{Packed, ParamMut, StepLoss, Trainable, IGNORE};
pub use cache::KvCache;
pub use config::{ModelConfig, RopeConfig};
pub use distill::DistillLoss;
pub use mix::Mix;
pub use model::Model;
pub use reading::Reading;
pub use stored::StoredWeight;
pub use tillage_kernels::cpu::Distillation;
pub use tillage_protocol::{EngineError, LoraConfig};
