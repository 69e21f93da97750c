//! Trained models in the formats that other programs load: a PEFT adapter, or a whole Hugging Face folder with the
//! adapter merged into the weights.

use std::path::Path;
use tillage_model::Model;
use tillage_protocol::EngineError;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `adapter_config.json` and `adapter_model.safetensors`, as `PeftModel.from_pretrained` reads them.
    Peft,
    /// `config.json` and `model.safetensors` (f32) with the adapter added to the weights, and the base's tokenizer.
    Merged,
}

impl Format {
    /// Every format with its name on the command line.
    pub const ALL: [(&'static str, Format); 2] = [("peft", Format::Peft), ("merged", Format::Merged)];
}

/// Files of a model folder that belong to a whole model besides weights and config.
const COMPANIONS: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
];

/// Writes the model in `base` with the adapter in `adapter` to the folder `out`, which must not exist or be empty.
///
/// The folder appears whole or not at all: it is written beside its place and renamed. `base_name` is what a PEFT
/// adapter says it belongs to, a hub name or a path.
///
/// # Errors
/// `user` as loading the model and the adapter, or when `out` is already in use; `environment` when the disk does not
/// take it.
pub fn export(
    base: &Path,
    adapter: &Path,
    base_name: &str,
    format: Format,
    out: &Path,
) -> Result<(), EngineError> {
    refuse_occupied(out)?;
    let mut model = Model::load(base)?;
    model.load_adapter(adapter)?;
    if format == Format::Merged && model.prompt_tokens() > 0 {
        return Err(EngineError::user(
            "prompt_not_mergeable",
            "The adapter is a tuned prompt, which no weights of a model can stand for.",
            "Export it as a PEFT adapter, or train a LoRA.",
        )
        .with_file(adapter));
    }
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |e: std::io::Error| EngineError::io(&e, path)
    };
    std::fs::create_dir_all(parent).map_err(io(parent))?;
    let draft = tempfile::Builder::new().prefix(".tillage-export-").tempdir_in(parent).map_err(io(parent))?;
    match format {
        Format::Peft => model.save_adapter(draft.path(), base_name)?,
        Format::Merged => {
            model.merge_adapter();
            model.save(draft.path())?;
            for name in COMPANIONS {
                let from = base.join(name);
                if from.is_file() {
                    let to = draft.path().join(name);
                    std::fs::copy(&from, &to).map_err(io(&to))?;
                    std::fs::OpenOptions::new()
                        .write(true)
                        .open(&to)
                        .and_then(|f| f.sync_all())
                        .map_err(io(&to))?;
                }
            }
        }
    }
    // A temporary folder is private; an exported model is as readable as any other new folder.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(draft.path(), std::fs::Permissions::from_mode(0o755)).map_err(io(out))?;
    }
    std::fs::rename(draft.path(), out).map_err(io(out))?;
    // It has its final name now; there is nothing left to remove.
    let _renamed = draft.keep();
    Ok(())
}

fn refuse_occupied(out: &Path) -> Result<(), EngineError> {
    let empty = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
        Err(e) => return Err(EngineError::io(&e, out)),
    };
    if empty {
        return Ok(());
    }
    Err(EngineError::user(
        "output_exists",
        format!("The folder {} already holds files.", out.display()),
        "Choose a new folder for the export, or remove this one.",
    )
    .with_file(out))
}
