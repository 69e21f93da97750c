//! What a model is, by the content of its files.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use tillage_protocol::EngineError;

/// Keys of a config that say where a model came from and who wrote it down, and nothing about what it computes.
const NAMES: [&str; 3] = ["_name_or_path", "base_model_name_or_path", "transformers_version"];

/// First 16 hex digits of the SHA-256 over a model folder's `*.safetensors`, in the order of their names, and what its `config.json` says
/// about the model.
///
/// # Errors
/// When the folder or one of its files cannot be read, see [`EngineError::io`].
pub fn model_hash(dir: &Path) -> Result<String, EngineError> {
    let listing = std::fs::read_dir(dir).map_err(|e| EngineError::io(&e, dir))?;
    let mut files: Vec<PathBuf> = listing
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors") && !is_adapter(p))
        .collect();
    files.sort();
    hash(&files, &dir.join("config.json"))
}

/// The same of an adapter folder's `adapter_model.safetensors` and `adapter_config.json`: with another alpha the same weights are
/// another adapter.
///
/// # Errors
/// When the file cannot be read, see [`EngineError::io`].
pub fn adapter_hash(dir: &Path) -> Result<String, EngineError> {
    hash(&[dir.join("adapter_model.safetensors")], &dir.join("adapter_config.json"))
}

fn is_adapter(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n == "adapter_model.safetensors")
}

fn hash(files: &[PathBuf], config: &Path) -> Result<String, EngineError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    for path in files {
        let mut file = std::fs::File::open(path).map_err(|e| EngineError::io(&e, path))?;
        loop {
            let read = file.read(&mut buffer).map_err(|e| EngineError::io(&e, path))?;
            if read == 0 {
                break;
            }
            digest.update(&buffer[..read]);
        }
    }
    digest.update(settings(config)?);
    Ok(digest.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect())
}

/// A config without [`NAMES`], written in one way; as it is where it is no object.
fn settings(path: &Path) -> Result<Vec<u8>, EngineError> {
    let text = std::fs::read(path).map_err(|e| EngineError::io(&e, path))?;
    let Ok(Value::Object(mut config)) = serde_json::from_slice(&text) else { return Ok(text) };
    NAMES.iter().for_each(|name| drop(config.remove(*name)));
    let mut config = Value::Object(config);
    config.sort_all_objects();
    Ok(config.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of a folder with these weights and this config.
    fn of(weights: &str, config: &str) -> [String; 2] {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("model.safetensors", weights), ("adapter_model.safetensors", weights)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        for name in ["config.json", "adapter_config.json"] {
            std::fs::write(folder.path().join(name), config).unwrap();
        }
        [model_hash(folder.path()).unwrap(), adapter_hash(folder.path()).unwrap()]
    }

    #[test]
    fn weights_and_settings_make_a_model_and_names_do_not() {
        let [model, adapter] = of("weights", r#"{"lora_alpha": 16, "r": 8, "rope_theta": 1e4}"#);
        for config in [
            r#"{ "r": 8, "rope_theta": 10000.0, "lora_alpha": 16 }"#,
            r#"{"lora_alpha": 16, "r": 8, "rope_theta": 1e4, "base_model_name_or_path": "/elsewhere", "transformers_version": "9"}"#,
        ] {
            assert_eq!(of("weights", config), [model.clone(), adapter.clone()], "{config}");
        }
        for (weights, config) in [
            ("others", r#"{"lora_alpha": 16, "r": 8, "rope_theta": 1e4}"#),
            ("weights", r#"{"lora_alpha": 32, "r": 8, "rope_theta": 1e4}"#),
            ("weights", r#"{"lora_alpha": 16, "r": 8, "rope_theta": 1e4, "use_rslora": true}"#),
            ("weights", "not an object"),
        ] {
            let [other, another] = of(weights, config);
            assert!(other != model && another != adapter, "{weights} {config}");
        }
        assert_eq!(model_hash(Path::new("nowhere")).unwrap_err().code, "file_not_found");
    }
}
