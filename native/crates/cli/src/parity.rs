//! `tillage-native parity`: what this engine computes against a reference made elsewhere.

use std::path::PathBuf;
use tillage_model::parity::{self, Options};
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
}

/// Prints the comparison as one JSON object; true when everything was within its tolerance.
///
/// # Errors
/// As [`parity::run`].
pub fn run(args: ParityArgs) -> Result<bool, EngineError> {
    let ParityArgs { model, golden, adapter, tolerance } = args;
    let report = parity::run(&Options { model, golden, adapter, tolerance })?;
    println!("{:#}", report.to_json());
    Ok(report.ok())
}
