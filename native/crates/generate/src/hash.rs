//! What a model is, by the content of its weights' files.

use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use tillage_protocol::EngineError;

/// First 16 hex digits of the SHA-256 over a model folder's `*.safetensors`, in the order of their names.
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
    hash(&files)
}

/// The same of an adapter folder's `adapter_model.safetensors`.
///
/// # Errors
/// When the file cannot be read, see [`EngineError::io`].
pub fn adapter_hash(dir: &Path) -> Result<String, EngineError> {
    hash(&[dir.join("adapter_model.safetensors")])
}

fn is_adapter(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n == "adapter_model.safetensors")
}

fn hash(files: &[PathBuf]) -> Result<String, EngineError> {
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
    Ok(digest.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect())
}
