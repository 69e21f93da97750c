//! `inspect` and `devices`.

use crate::report;
use std::io::Read;
use std::path::{Path, PathBuf};
use tillage_model::spec::DecoderSpec;
use tillage_model::ModelConfig;
use tillage_protocol::rpc::InspectResult;
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

/// Tells what a model folder holds.
///
/// # Errors
/// As [`inspect`]; `stdout_closed`.
pub fn print(model: &Path, json: bool) -> Result<(), EngineError> {
    let r = inspect(model)?;
    if json {
        return report::object(&r);
    }
    report::line(&format!(
        "{}: {} parameters in {} layers, width {}, vocabulary {}, context {}\n{} bytes in {}, {}",
        r.family,
        r.parameters,
        r.layers,
        r.hidden_size,
        r.vocab_size,
        r.context,
        r.bytes,
        r.dtype,
        if r.chat_template { "with a chat template" } else { "without a chat template" }
    ))
}

/// Describes a model folder from its config and the headers of its weights.
///
/// # Errors
/// User errors of the folder: its config, its tokenizer, `no_weights`, `bad_weights`.
pub fn inspect(dir: &Path) -> Result<InspectResult, EngineError> {
    let config = ModelConfig::from_dir(dir)?;
    let tensors = DecoderSpec::of(&config).tensors();
    let parameters = tensors.iter().map(|t| t.shape.iter().product::<usize>() as u64).sum();
    let files = weight_files(dir)?;
    let first = files.first().ok_or_else(|| {
        EngineError::user(
            "no_weights",
            format!("{} has no *.safetensors file.", dir.display()),
            "Use a model folder with its weights in the safetensors format.",
        )
        .with_file(dir)
    })?;
    let mut bytes = 0;
    for file in &files {
        bytes += std::fs::metadata(file).map_err(|e| EngineError::io(&e, file))?.len();
    }
    let tokenizer = Tokenizer::load(dir)?;
    Ok(InspectResult {
        family: config.model_type.clone(),
        parameters,
        vocab_size: config.vocab_size,
        layers: config.num_hidden_layers,
        hidden_size: config.hidden_size,
        context: config.max_position_embeddings,
        dtype: dtype(first)?,
        bytes,
        chat_template: tokenizer.chat_template().is_some(),
    })
}

fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let listing = std::fs::read_dir(dir).map_err(|e| EngineError::io(&e, dir))?;
    let mut files: Vec<PathBuf> = listing
        .filter_map(Result::ok)
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .filter(|p| p.file_name().is_some_and(|n| n != "adapter_model.safetensors"))
        .collect();
    files.sort();
    Ok(files)
}

/// The dtype of a safetensors file's first tensor, from its header: 8 bytes of length, then JSON.
fn dtype(path: &Path) -> Result<String, EngineError> {
    let broken = || {
        EngineError::user(
            "bad_weights",
            format!("{} is no safetensors file.", path.display()),
            "Download or export the model's weights again.",
        )
        .with_file(path)
    };
    let mut file = std::fs::File::open(path).map_err(|e| EngineError::io(&e, path))?;
    let mut length = [0u8; 8];
    file.read_exact(&mut length).map_err(|_| broken())?;
    let length = u64::from_le_bytes(length);
    // The format's own limit.
    if length > 100_000_000 {
        return Err(broken());
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|e| EngineError::io(&e, path))?;
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(|_| broken())?;
    let tensor = header.iter().find(|(name, _)| *name != "__metadata__");
    tensor.and_then(|(_, t)| t.get("dtype")?.as_str().map(str::to_lowercase)).ok_or_else(broken)
}

/// Devices that this build computes on.
pub fn device_names() -> Vec<String> {
    vec!["cpu".into()]
}

/// Precisions in which weights can be held.
pub fn dtype_names() -> Vec<String> {
    Dtype::ALL.into_iter().map(|d| d.name().to_owned()).collect()
}

/// Tells what this build computes on.
///
/// # Errors
/// `stdout_closed`.
pub fn devices(json: bool) -> Result<(), EngineError> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    if json {
        return report::object(
            &serde_json::json!([{ "name": "cpu", "threads": cores, "dtypes": dtype_names() }]),
        );
    }
    report::line(&format!("cpu: {cores} threads, {}", dtype_names().join(" ")))
}
