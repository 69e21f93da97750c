//! Models that stay loaded between requests, until their files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tillage_model::Model;
use tillage_protocol::rpc::ModelRef;
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

/// Base models kept at once; the one not asked for the longest goes first.
const KEEP: usize = 2;

/// Name, length and time of each file of a folder.
type Stamp = Vec<(PathBuf, u64, SystemTime)>;

/// A base model with the adapter that was asked for last.
#[derive(Debug)]
pub struct Loaded {
    base: PathBuf,
    dtype: Dtype,
    stamp: Stamp,
    pub model: Model,
    pub tokenizer: Arc<Tokenizer>,
    pub model_hash: String,
    adapter: Option<(PathBuf, Stamp, String)>,
    adapter_on: bool,
}

impl Loaded {
    /// Hash of the adapter that is switched on.
    pub fn adapter_hash(&self) -> Option<String> {
        self.adapter.as_ref().filter(|_| self.adapter_on).map(|(_, _, hash)| hash.clone())
    }

    fn new(base: &Path, dtype: Dtype, stamp: Stamp) -> Result<Self, EngineError> {
        Ok(Self {
            base: base.to_owned(),
            dtype,
            stamp,
            model: Model::load_as(base, dtype)?,
            tokenizer: Arc::new(Tokenizer::load(base)?),
            model_hash: tillage_generate::model_hash(base)?,
            adapter: None,
            adapter_on: false,
        })
    }

    fn switch(&mut self, adapter: Option<&Path>) -> Result<(), EngineError> {
        self.adapter_on = false;
        self.model.set_adapter_enabled(false);
        let Some(dir) = adapter else { return Ok(()) };
        let stamp = stamp(dir)?;
        if self.adapter.as_ref().is_none_or(|(path, old, _)| path != dir || *old != stamp) {
            self.adapter = None;
            self.model.load_adapter(dir)?;
            self.adapter = Some((dir.to_owned(), stamp, tillage_generate::adapter_hash(dir)?));
        }
        self.model.set_adapter_enabled(true);
        self.adapter_on = true;
        Ok(())
    }
}

/// The loaded models, the one used last at the end.
#[derive(Debug, Default)]
pub struct Models {
    loaded: Vec<Loaded>,
}

impl Models {
    /// The model as it is on the disk now, with its adapter on or off.
    ///
    /// # Errors
    /// User errors of the folders.
    pub fn get(&mut self, wanted: &ModelRef) -> Result<&Loaded, EngineError> {
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
        let switched = loaded.switch(wanted.adapter.as_deref());
        self.loaded.push(loaded);
        switched?;
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
