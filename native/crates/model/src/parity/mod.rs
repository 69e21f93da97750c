//! Comparison with a reference made elsewhere: the tensors of a golden file against what this engine computes.
//!
//! A golden file holds inputs and what transformers, PEFT and torch made of them: logits, losses, gradients, greedy
//! tokens. Beside it, `golden.json` may hold losses and gradient norms, and `trajectory.safetensors` with
//! `trajectory.json` whole training runs. What a file holds and no check reads is listed, never passed over.

mod base;
mod experts;
mod golden;
mod preferences;
mod quantised;
mod report;
mod rounded;
mod trajectory;
mod tuned;

pub use golden::Golden;
pub use report::Report;

use crate::Model;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;

/// What to compare.
#[derive(Debug, Clone)]
pub struct Options {
    /// The model's folder.
    pub model: PathBuf,
    /// The reference's tensors.
    pub golden: PathBuf,
    /// The adapter of the `lora.*` tensors; `adapter` in the model's folder when absent.
    pub adapter: Option<PathBuf>,
    /// Factor on every tolerance.
    pub tolerance: f64,
    /// f32, or bf16: then the logits are compared, and may be as far off as the reference says of bf16.
    pub dtype: Dtype,
}

/// Compares everything that the golden file holds.
///
/// # Errors
/// As loading the model and its adapters; `user` when the golden file is not one. A difference is not an error: it is
/// in the report.
pub fn run(options: &Options) -> Result<Report, EngineError> {
    let mut golden = Golden::open(&options.golden)?;
    let mut report = Report::new(options.tolerance);
    if golden.has_prefix("qlora.") {
        quantised::check(&mut golden, options, &mut report)?;
        skip_rest(&golden, &mut report);
        return Ok(report);
    }
    match options.dtype {
        Dtype::F32 => {}
        Dtype::Bf16 => {
            rounded::check(&mut golden, options, &mut report)?;
            skip_rest(&golden, &mut report);
            return Ok(report);
        }
        other => {
            return Err(EngineError::user(
                "no_reference",
                format!("The reference says nothing of a model in {}.", other.name()),
                "Compare in f32 or bf16, or with a reference of quantised weights.",
            ))
        }
    }
    let mut model = Model::load(&options.model)?;
    if golden.json["methods"].is_object() {
        let folder = options.adapter.clone().unwrap_or_else(|| options.model.join("adapter"));
        model.load_adapter(&folder)?;
        preferences::check(&mut golden, model, &mut report)?;
        let reward = options.golden.with_file_name("adapter_reward");
        if golden.json["methods"]["reward_bt"].is_object() && reward.is_dir() {
            let mut model = Model::load(&options.model)?;
            model.load_adapter(&reward)?;
            preferences::check_reward(&mut golden, model, &mut report)?;
        }
    } else if golden.is_trajectory() {
        trajectory::check(&mut golden, options, &mut report)?;
    } else {
        base::check(&mut golden, &mut model, &mut report)?;
        for (prefix, folder) in [
            ("lora", "adapter"),
            ("rslora", "adapter_rslora"),
            ("dora", "adapter_dora"),
            ("lora_v4", "adapter_v4"),
        ] {
            if !golden.has_prefix(&format!("{prefix}.")) {
                continue;
            }
            let folder = match &options.adapter {
                Some(path) if prefix == "lora" => path.clone(),
                _ => options.model.join(folder),
            };
            if !folder.is_dir() {
                report.skip(&format!("{prefix}.*"), "the adapter's folder is not there");
                golden.use_prefix(&format!("{prefix}."));
                continue;
            }
            tuned::check(prefix, &folder, &mut golden, Model::load(&options.model)?, &mut report)?;
        }
        let beside = options.golden.with_file_name("trajectory.safetensors");
        if beside.is_file() {
            let mut runs = Golden::open(&beside)?;
            trajectory::check(&mut runs, options, &mut report)?;
            skip_rest(&runs, &mut report);
        }
    }
    skip_rest(&golden, &mut report);
    Ok(report)
}

fn skip_rest(golden: &Golden, report: &mut Report) {
    for name in golden.unused() {
        report.skip(&name, "no check reads this tensor");
    }
}

/// The JSON document beside a safetensors file, or null.
fn json_beside(path: &Path) -> Result<Value, EngineError> {
    let path = path.with_extension("json");
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let text = std::fs::read_to_string(&path).map_err(|e| EngineError::io(&e, &path))?;
    serde_json::from_str(&text).map_err(|e| {
        EngineError::user(
            "bad_golden",
            format!("The reference's JSON cannot be read: {e}."),
            "Make the reference again.",
        )
        .with_file(&path)
        .with_line(e.line() as u64)
    })
}
