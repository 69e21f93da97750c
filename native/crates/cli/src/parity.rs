//! `tillage-native parity`: what this engine computes against a reference made elsewhere.

use crate::args::dtype;
use std::path::PathBuf;
use tillage_model::parity::{self, Options};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;

/// Compares logits, losses, gradients, greedy tokens and training runs with a golden file.
#[derive(Debug, clap::Args)]
pub struct ParityArgs {
    /// Model folder.
    #[arg(long)]
    pub model: PathBuf,
    /// The reference's tensors; its JSON and `trajectory.safetensors` are read beside it.
    #[arg(long)]
    pub golden: PathBuf,
    /// Adapter of the reference's `lora.*` tensors; the model folder's `adapter` by default.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// Factor on every tolerance.
    #[arg(long, default_value_t = 1.0)]
    pub tolerance: f64,
    /// f32, or bf16 for the logits of a model in bf16.
    #[arg(long, default_value = "f32", value_parser = dtype)]
    pub dtype: Dtype,
}

/// Prints the comparison as one JSON object; true when everything was within its tolerance.
///
/// # Errors
/// As [`parity::run`].
pub fn run(args: ParityArgs) -> Result<bool, EngineError> {
    let ParityArgs { model, golden, adapter, tolerance, dtype } = args;
    let report = parity::run(&Options { model, golden, adapter, tolerance, dtype })?;
    println!("{:#}", report.to_json());
    Ok(report.ok())
}
