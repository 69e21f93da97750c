//! Models that stay loaded between requests, until their files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tillage_model::Model;
use tillage_protocol::rpc::{AdapterRef, ModelRef};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

/// Base models kept at once; the one not asked for the longest goes first.
const KEEP: usize = 2;

/// Adapters kept on a base at once, beside those of the present request.
const KEEP_ADAPTERS: usize = 8;

/// Name, length and time of each file of a folder.
type Stamp = Vec<(PathBuf, u64, SystemTime)>;

/// A base model with the adapters that were asked for: they share its weights.
#[derive(Debug)]
pub struct Loaded {
    base: PathBuf,
    dtype: Dtype,
    stamp: Stamp,
    /// The base, with its adapters held by their paths.
    pub model: Model,
    /// Of the base's folder.
    pub tokenizer: Arc<Tokenizer>,
    /// See [`tillage_protocol::rpc::GenerateResult::model_hash`].
    pub model_hash: String,
    /// The one used last at the end.
    adapters: Vec<Held>,
}

/// An adapter that the model holds under its path.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    stamp: Stamp,
    hash: String,
}

/// The name under which a model holds a folder's adapter.
pub fn key(path: &Path) -> String {
    path.display().to_string()
}

impl Loaded {
    /// Hash of an adapter that it holds.
    ///
    /// # Errors
    /// `internal` when it holds no such adapter.
    pub fn adapter_hash(&self, path: &Path) -> Result<String, EngineError> {
        let held = self.adapters.iter().find(|a| a.path == path);
        held.map(|a| a.hash.clone())
            .ok_or_else(|| EngineError::internal("cache", "The adapter is not where it was put."))
    }

    fn new(base: &Path, dtype: Dtype, stamp: Stamp) -> Result<Self, EngineError> {
        Ok(Self {
            base: base.to_owned(),
            dtype,
            stamp,
            model: Model::load_to_answer(base, dtype)?,
            tokenizer: Arc::new(Tokenizer::load(base)?),
            model_hash: tillage_generate::model_hash(base)?,
            adapters: Vec::new(),
        })
    }

    /// Holds the adapters as they are on the disk now, and gives up those that were not asked for the longest.
    fn hold(&mut self, wanted: &[AdapterRef]) -> Result<(), EngineError> {
        for adapter in wanted {
            let path = &adapter.path;
            let stamp = stamp(path)?;
            let known = self.adapters.iter().position(|a| a.path == *path).map(|at| self.adapters.remove(at));
            let held = match known.filter(|a| a.stamp == stamp) {
                Some(held) => held,
                None => {
                    self.model.drop_adapter(&key(path));
                    self.model.hold_adapter(&key(path), path)?;
                    Held { path: path.clone(), stamp, hash: tillage_generate::adapter_hash(path)? }
                }
            };
            self.adapters.push(held);
        }
        let old = self.adapters.len() - wanted.len().min(self.adapters.len());
        let model = &mut self.model;
        self.adapters.drain(..old.saturating_sub(KEEP_ADAPTERS)).for_each(|a| {
            model.drop_adapter(&key(&a.path));
        });
        Ok(())
    }
}

/// The loaded models, the one used last at the end.
#[derive(Debug, Default)]
pub struct Models {
    loaded: Vec<Loaded>,
}

impl Models {
    /// The model as it is on the disk now, with these adapters held.
    ///
    /// # Errors
    /// User errors of the folders.
    pub fn get(&mut self, wanted: &ModelRef, adapters: &[AdapterRef]) -> Result<&Loaded, EngineError> {
        let stamp = stamp(&wanted.base)?;
        self.loaded.retain(|l| l.base != wanted.base || l.stamp == stamp);
        let same = |l: &Loaded| l.base == wanted.base && l.dtype == wanted.dtype;
        let mut loaded = match self.loaded.iter().position(same) {
            Some(at) => self.loaded.remove(at),
            None => {
                // Room first: two large models at once may not fit.
                self.loaded.drain(..(self.loaded.len() + 1).saturating_sub(KEEP));
                Loaded::new(&wanted.base, wanted.dtype, stamp)?
            }
        };
        let held = loaded.hold(adapters);
        self.loaded.push(loaded);
        held?;
        self.loaded.last().ok_or_else(|| EngineError::internal("cache", "The model is not where it was put."))
    }
}

fn stamp(dir: &Path) -> Result<Stamp, EngineError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| EngineError::io(&e, dir))? {
        let entry = entry.map_err(|e| EngineError::io(&e, dir))?;
        let meta = entry.metadata().map_err(|e| EngineError::io(&e, entry.path()))?;
        if meta.is_file() {
            files.push((entry.path(), meta.len(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
