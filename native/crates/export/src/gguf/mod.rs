//! One file for llama.cpp and what is built on it: weights, settings, tokenizer and chat template.

mod blocks;
mod file;
mod modelfile;
mod shape;
mod tensors;
mod vocabulary;

use file::{Kind, Value};
use shape::Shape;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tillage_model::Model;
use tillage_protocol::export::Quantize;
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

/// The files that were written, and what is to be noted.
pub type Written = (Vec<PathBuf>, Vec<String>);

/// Writes a model and the Modelfile beside it; returns both files, and what is to be noted. `watch` hears how many tensors of how
/// many are written, and ends the work by returning false.
///
/// # Errors
/// `unsupported_gguf` and `unsupported_gguf_tokenizer` for what llama.cpp does not compute; `cancelled`; the machine's. Then neither
/// file is there.
pub fn write(
    model: &Model,
    base: &Path,
    name: &str,
    quantize: Quantize,
    out: &Path,
    watch: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Written, EngineError> {
    let tokenizer = Tokenizer::load(base)?;
    let mut shape = Shape::of(model.config(), &vocabulary::name(&tokenizer, name))?;
    let (vocabulary, notes) = vocabulary::metadata(&tokenizer, model.config().vocab_size)?;
    let mut sources = tensors::sources(model, &mut shape, quantize)?;
    shape.notes.extend(notes);
    let mut metadata = std::mem::take(&mut shape.metadata);
    metadata.push(("general.file_type".into(), Value::U32(file_type(quantize))));
    metadata.push(("general.quantization_version".into(), Value::U32(2)));
    metadata.extend(vocabulary);
    let context = metadata.iter().find(|(key, _)| key.ends_with(".context_length"));
    let context = match context {
        Some((_, Value::U32(n))) => *n as usize,
        _ => model.config().max_position_embeddings,
    };
    let mut entries: Vec<file::Entry> = sources.iter().map(|s| s.entry.clone()).collect();
    let factors = shape.rope_factors.take();
    if let Some(factors) = &factors {
        entries.push(file::Entry {
            name: "rope_freqs.weight".into(),
            shape: vec![factors.len()],
            kind: Kind::F32,
        });
    }

    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io = |e: std::io::Error| EngineError::io(&e, out);
    let mut draft = crate::draft_file(parent, out)?;
    let mut to = BufWriter::with_capacity(1 << 20, draft.as_file_mut());
    file::write_head(&mut to, &metadata, &entries).map_err(io)?;
    let total = entries.len() as u64;
    for (done, source) in sources.drain(..).enumerate() {
        if !watch(done as u64, total) {
            return Err(crate::cancelled());
        }
        let bytes = blocks::encode(source.entry.kind, &source.numbers());
        to.write_all(&bytes).and_then(|()| file::pad(&mut to, bytes.len() as u64)).map_err(io)?;
    }
    if let Some(factors) = factors {
        let bytes = blocks::encode(Kind::F32, &factors);
        to.write_all(&bytes).and_then(|()| file::pad(&mut to, bytes.len() as u64)).map_err(io)?;
    }
    to.flush().map_err(io)?;
    drop(to);
    draft.as_file().sync_all().map_err(io)?;
    watch(total, total);

    let file = out.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let text = modelfile::text(&file, &tokenizer, context)?;
    let beside = out.with_extension("Modelfile");
    let mut draft_text = crate::draft_file(parent, &beside)?;
    draft_text.write_all(text.as_bytes()).map_err(io)?;
    draft_text.persist_noclobber(&beside).map_err(|e| EngineError::io(&e.error, &beside))?;
    if let Err(e) = draft.persist_noclobber(out) {
        // One without the other is of no use.
        let _ = std::fs::remove_file(&beside);
        return Err(EngineError::io(&e.error, out));
    }
    Ok((vec![out.to_owned(), beside], shape.notes))
}

/// llama.cpp's number of what most of a file's tensors are.
fn file_type(quantize: Quantize) -> u32 {
    match quantize {
        Quantize::F32 => 0,
        Quantize::F16 => 1,
        Quantize::Q4 => 2,
        Quantize::Q8 => 7,
        Quantize::Bf16 => 32,
    }
}
