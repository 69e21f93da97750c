//! Tiny models and places for files.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;
use tillage_model::{Model, ModelConfig};
use tillage_text::{bpe, Tokenizer};

/// A dense decoder of a few thousand weights.
pub const LLAMA: &str = r#"{"model_type":"llama","vocab_size":300,"hidden_size":8,"intermediate_size":8,
"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":64,"tie_word_embeddings":true,
"eos_token_id":0,"bos_token_id":null}"#;

/// The same with experts.
pub const EXPERTS: &str = r#"{"model_type":"qwen3_moe","vocab_size":300,"hidden_size":8,"intermediate_size":8,
"moe_intermediate_size":4,"num_experts":2,"num_experts_per_tok":1,"num_hidden_layers":1,"num_attention_heads":2,
"num_key_value_heads":1,"head_dim":4,"max_position_embeddings":64,"tie_word_embeddings":true}"#;

/// Folders that are made once a process.
#[derive(Debug)]
pub struct Folders {
    _root: TempDir,
    /// A model of [`LLAMA`] with a tokenizer.
    pub llama: PathBuf,
    /// A model of [`EXPERTS`].
    pub experts: PathBuf,
}

/// Makes them, or gives those that are there.
pub fn folders() -> &'static Folders {
    static FOLDERS: OnceLock<Folders> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let root = tempfile::tempdir().expect("a folder for temporary files");
        let (llama, experts) = (root.path().join("llama"), root.path().join("experts"));
        for (dir, config) in [(&llama, LLAMA), (&experts, EXPERTS)] {
            let config = ModelConfig::from_json(config).expect("a good config");
            Model::init(config, 1).save(dir).expect("a folder that can be written");
        }
        tokenizer().save(&llama).expect("a folder that can be written");
        Folders { llama, experts, _root: root }
    })
}

/// A byte-level tokenizer.
pub fn tokenizer() -> Tokenizer {
    bpe::train(&["the cat and the other cat are in the rain"], 280, 64).expect("a text to train on")
}

/// A folder for the files of one input; it is emptied by the next.
pub struct Scratch(TempDir);

impl Scratch {
    /// An empty folder.
    pub fn new() -> Self {
        Scratch(tempfile::tempdir().expect("a folder for temporary files"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).expect("a folder that can be written");
        path
    }

    /// Copies a file of another folder into it.
    pub fn copy(&self, from: &Path, name: &str) {
        std::fs::copy(from.join(name), self.path().join(name)).expect("a folder that can be written");
    }
}
