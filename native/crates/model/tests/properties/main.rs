//! What must hold for any model: gradients are derivatives, packing and splitting change nothing, an adapter that is
//! off is not there, files come back as they were written.

mod adapter_files;
mod adapters;
mod distillation;
mod experts;
mod families;
mod files;
mod gradients;
mod limits;
mod mixtures;
mod packing;
mod peft_config;
mod precision;
mod prompts;
mod rope;
mod rounding;
mod support;
mod values;
