//! `export`: a trained model in the formats that other programs load.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// A folder with `adapter_config.json` and `adapter_model.safetensors`, as PEFT reads it.
    Peft,
    /// A Hugging Face model folder (f32) with the adapter added to the weights.
    Merged,
    /// One GGUF file for llama.cpp, with a Modelfile for Ollama beside it.
    Gguf,
}

impl ExportFormat {
    /// Every format there is.
    pub const ALL: [ExportFormat; 3] = [ExportFormat::Peft, ExportFormat::Merged, ExportFormat::Gguf];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Peft => "peft",
            ExportFormat::Merged => "merged",
            ExportFormat::Gguf => "gguf",
        }
    }
}

/// How the matrices of a GGUF file are stored; norms and biases are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantize {
    /// 32 bits a number, nothing lost.
    F32,
    /// IEEE half precision.
    #[default]
    F16,
    /// bfloat16: the range of f32 with 8 bits of precision.
    Bf16,
    /// Blocks of 32 numbers of 8 bits with a scale.
    #[serde(rename = "q8_0")]
    Q8,
    /// Blocks of 32 numbers of 4 bits with a scale; embedding and output projection have 8 bits.
    #[serde(rename = "q4_0")]
    Q4,
}

impl Quantize {
    /// Every way of storing there is.
    pub const ALL: [Quantize; 5] = [Quantize::F32, Quantize::F16, Quantize::Bf16, Quantize::Q8, Quantize::Q4];

    /// The name on the command line, which is llama.cpp's.
    pub fn name(self) -> &'static str {
        match self {
            Quantize::F32 => "f32",
            Quantize::F16 => "f16",
            Quantize::Bf16 => "bf16",
            Quantize::Q8 => "q8_0",
            Quantize::Q4 => "q4_0",
        }
    }
}

/// What to export, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportParams {
    /// Model folder.
    pub base: PathBuf,
    /// PEFT adapter folder; `peft` needs one.
    #[serde(default)]
    pub adapter: Option<PathBuf>,
    /// The format.
    pub to: ExportFormat,
    /// For `gguf` only.
    #[serde(default)]
    pub quantize: Option<Quantize>,
    /// A folder for `peft` and `merged`, a `.gguf` file for `gguf`. It must not exist, or be an empty folder.
    pub out: PathBuf,
    /// What a PEFT adapter says it belongs to, a hub name or a path; the base's folder by default. For `gguf` the model's name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// What an export has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportResult {
    /// Every file, the Modelfile of a `gguf` among them.
    pub files: Vec<ExportedFile>,
    /// What the format could not take as it was, a sentence each.
    pub notes: Vec<String>,
}

/// `export/progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportNotification {
    /// Id of the `export` request.
    pub request: i32,
    /// Tensors that are written.
    pub done: u64,
    /// Tensors of the whole export.
    pub total: u64,
}
