//! Trained models in the formats that other programs load: a PEFT adapter, a whole Hugging Face folder with the adapter merged
//! into the weights, or one GGUF file for llama.cpp.

mod gguf;

use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use tillage_model::Model;
use tillage_protocol::export::{ExportFormat, ExportParams, ExportResult, ExportedFile};
use tillage_protocol::EngineError;

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

/// Writes the model in `base` with the adapter on it to `out`, which must not exist or be an empty folder.
///
/// What is written appears whole or not at all: it is written beside its place and renamed. `watch` hears how many tensors of how
/// many are written, and ends the work by returning false.
///
/// # Errors
/// `user` as loading the model and the adapter, when `out` is already in use, or when the format cannot say what the model
/// computes; `cancelled`; `environment` when the disk does not take it.
pub fn export(
    params: &ExportParams,
    watch: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<ExportResult, EngineError> {
    let (base, out) = (&params.base, &params.out);
    check(params)?;
    let mut model = Model::load(base)?;
    if let Some(adapter) = &params.adapter {
        model.load_adapter(adapter)?;
        if params.to != ExportFormat::Peft && model.prompt_tokens() > 0 {
            return Err(EngineError::user(
                "prompt_not_mergeable",
                "The adapter is a tuned prompt, which no weights of a model can stand for.",
                "Export it as a PEFT adapter, or train a LoRA.",
            )
            .with_file(adapter));
        }
    }
    if !watch(0, 1) {
        return Err(cancelled());
    }
    let parent = parent(out);
    std::fs::create_dir_all(parent).map_err(|e| EngineError::io(&e, parent))?;
    let (files, notes) = match params.to {
        ExportFormat::Gguf => {
            model.merge_adapter();
            let folder = base.file_name().map(|n| n.to_string_lossy().into_owned());
            let name = params.name.clone().or(folder).unwrap_or_else(|| "model".into());
            gguf::write(&model, base, &name, params.quantize.unwrap_or_default(), out, watch)?
        }
        ExportFormat::Peft => {
            let name = params.name.clone().unwrap_or_else(|| base.display().to_string());
            (folder(out, |draft| model.save_adapter(draft, &name))?, Vec::new())
        }
        ExportFormat::Merged => {
            model.merge_adapter();
            (folder(out, |draft| model.save(draft).and_then(|()| copy_companions(base, draft)))?, Vec::new())
        }
    };
    watch(1, 1);
    let files = files.into_iter().map(|path| {
        let bytes = std::fs::metadata(&path).map_err(|e| EngineError::io(&e, &path))?.len();
        Ok(ExportedFile { path, bytes })
    });
    Ok(ExportResult { files: files.collect::<Result<_, EngineError>>()?, notes })
}

/// The error of work that was taken back.
pub fn cancelled() -> EngineError {
    EngineError::user("cancelled", "The export was cancelled; nothing was written.", "Start it again.")
}

fn check(params: &ExportParams) -> Result<(), EngineError> {
    let gguf = params.to == ExportFormat::Gguf;
    if params.to == ExportFormat::Peft && params.adapter.is_none() {
        return Err(EngineError::user(
            "no_adapter_named",
            "An export to peft needs an adapter.",
            "Name the adapter's folder, or export the model as `merged` or `gguf`.",
        ));
    }
    if !gguf && params.quantize.is_some() {
        return Err(EngineError::user(
            "quantize_needs_gguf",
            format!("An export to {} has no quantisation.", params.to.name()),
            "Leave it out, or export to `gguf`.",
        ));
    }
    if gguf && params.out.extension().is_none_or(|e| e != "gguf") {
        return Err(EngineError::user(
            "bad_output",
            format!("{} does not end in .gguf.", params.out.display()),
            "Name a file that ends in .gguf.",
        ));
    }
    refuse_occupied(&params.out, !gguf)?;
    if gguf {
        refuse_occupied(&params.out.with_extension("Modelfile"), false)?;
    }
    Ok(())
}

fn parent(out: &Path) -> &Path {
    out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Fills a folder beside its place and renames it; returns its files.
fn folder(
    out: &Path,
    fill: impl FnOnce(&Path) -> Result<(), EngineError>,
) -> Result<Vec<PathBuf>, EngineError> {
    let io = |e: std::io::Error| EngineError::io(&e, out);
    let draft = tempfile::Builder::new().prefix(".tillage-export-").tempdir_in(parent(out)).map_err(io)?;
    fill(draft.path())?;
    // A temporary folder is private; an exported model is as readable as any other new folder.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(draft.path(), std::fs::Permissions::from_mode(0o755)).map_err(io)?;
    }
    std::fs::rename(draft.path(), out).map_err(io)?;
    // It has its final name now; there is nothing left to remove.
    let _renamed = draft.keep();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(out).map_err(io)? {
        files.push(entry.map_err(io)?.path());
    }
    files.sort();
    Ok(files)
}

/// A file beside the place where it will stand, as readable as any other new file.
fn draft_file(parent: &Path, out: &Path) -> Result<NamedTempFile, EngineError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tillage-export-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(parent).map_err(|e| EngineError::io(&e, out))
}

fn copy_companions(base: &Path, draft: &Path) -> Result<(), EngineError> {
    for name in COMPANIONS {
        let from = base.join(name);
        if from.is_file() {
            let to = draft.join(name);
            let io = |e: std::io::Error| EngineError::io(&e, &to);
            std::fs::copy(&from, &to).map_err(io)?;
            std::fs::OpenOptions::new().write(true).open(&to).and_then(|f| f.sync_all()).map_err(io)?;
        }
    }
    Ok(())
}

fn refuse_occupied(out: &Path, folder: bool) -> Result<(), EngineError> {
    let free = match std::fs::read_dir(out) {
        Ok(mut entries) => folder && entries.next().is_none(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => false,
        Err(e) => return Err(EngineError::io(&e, out)),
    };
    if free {
        return Ok(());
    }
    Err(EngineError::user(
        "output_exists",
        format!("{} is there already.", out.display()),
        "Choose a new place for the export, or remove what is there.",
    )
    .with_file(out))
}
