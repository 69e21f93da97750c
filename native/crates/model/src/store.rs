//! Safetensors files and folders of them.

use crate::spec::TensorSpec;
use crate::weights::{frozen, transpose, Numbers, Value, Values};
use safetensors::tensor::{Dtype as StoredDtype, TensorView, View};
use safetensors::SafeTensors;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillage_kernels::mapped::MappedFile;
use tillage_kernels::matrix::{Bf16s, CodedBf16, Matrix, Store};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;

/// Shape and numbers of each tensor of a file, by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Tensors of one safetensors file, as f32; f32, bf16 and f16 are read.
///
/// # Errors
/// `user` when the file is missing or damaged, or a tensor has another number format.
pub fn read_file(path: &Path) -> Result<Tensors, EngineError> {
    let bytes = open(path)?;
    let file = parse(&bytes, path)?;
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            Ok((name.clone(), (view.shape().to_vec(), to_f32(&name, view.dtype(), view.data(), path)?)))
        })
        .collect()
}

pub(crate) fn open(path: &Path) -> Result<MappedFile, EngineError> {
    MappedFile::open(path).map_err(|e| EngineError::io(&e, path))
}

pub(crate) fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<SafeTensors<'a>, EngineError> {
    SafeTensors::deserialize(bytes).map_err(|e| {
        EngineError::user(
            "bad_weights",
            format!("{} is not a whole safetensors file: {e}.", shown(path)),
            "Download or copy the file again; it may have been cut short.",
        )
        .with_file(path)
    })
}

fn shown(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

pub(crate) fn to_f32(
    name: &str,
    dtype: StoredDtype,
    data: &[u8],
    path: &Path,
) -> Result<Vec<f32>, EngineError> {
    let pairs = || data.as_chunks::<2>().0.iter();
    Ok(match dtype {
        StoredDtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        StoredDtype::BF16 => pairs().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        StoredDtype::F16 => pairs().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        other => {
            return Err(EngineError::user(
                "unsupported_dtype",
                format!("Tensor {name} is stored as {other:?}; Tillage reads F32, BF16 and F16."),
                "Use a copy of the model in one of these formats.",
            )
            .with_file(path))
        }
    })
}

/// The weight files of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
///
/// # Errors
/// `user` when the index cannot be read, or names a file that is not in the folder itself.
pub fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let single = dir.join("model.safetensors");
    let index = dir.join("model.safetensors.index.json");
    if single.exists() || !index.exists() {
        return Ok(vec![single]);
    }
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = std::fs::read_to_string(&index).map_err(|e| EngineError::io(&e, &index))?;
    let parsed: Index = serde_json::from_str(&text).map_err(|e| {
        EngineError::user(
            "bad_index",
            format!("{} cannot be read: {e}.", shown(&index)),
            "Download the index file again.",
        )
        .with_file(&index)
        .with_line(e.line() as u64)
    })?;
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if let Some(bad) = names.iter().find(|n| Path::new(n).components().count() != 1 || n.starts_with("..")) {
        return Err(EngineError::user(
            "bad_index",
            format!("The index names a file outside the model's folder: {bad}."),
            "Do not use this model.",
        )
        .with_file(&index));
    }
    Ok(names.into_iter().map(|n| dir.join(n)).collect())
}

/// A tensor as a model of a precision holds it: bf16 of a file stays in its mapping, the rest is converted.
fn held(
    spec: &TensorSpec,
    view: &TensorView<'_>,
    file: (&Arc<MappedFile>, &Path),
    dtype: Dtype,
) -> Result<Value, EngineError> {
    let (bytes, path) = file;
    let as_it_is = || to_f32(&spec.name, view.dtype(), view.data(), path);
    if stays(spec, view, dtype) {
        let numbers = Bf16s::mapped(bytes, place(view, bytes));
        return Ok(Value::Frozen(Matrix::new(Store::Bf16(numbers), spec.shape[1])));
    }
    let dtype = spec.held(dtype);
    if dtype == Dtype::F32 {
        return Ok(Value::F32(as_it_is()?));
    }
    let inputs = spec.shape[usize::from(!spec.transposed)];
    let mut value = as_it_is()?;
    if spec.transposed {
        value = transpose(&value, spec.shape[1]);
    }
    Ok(frozen(&value, inputs, dtype).map_or(Value::F32(value), Value::Frozen))
}

/// Whether a model of a precision holds a tensor's numbers in bf16, as its file has them.
fn stays(spec: &TensorSpec, view: &TensorView<'_>, dtype: Dtype) -> bool {
    spec.held(dtype) == Dtype::Bf16 && view.dtype() == StoredDtype::BF16 && !spec.transposed
}

/// The matrices of a file that a model holds in bf16 as they are, in memory of their own, and coded where that pays.
fn as_stored(
    file: &SafeTensors,
    specs: &BTreeMap<&str, &TensorSpec>,
    dtype: Dtype,
) -> std::io::Result<BTreeMap<String, Store>> {
    let mut found = file.tensors();
    found.retain(|(name, view)| {
        specs.get(name.as_str()).is_some_and(|spec| view.shape() == spec.shape && stays(spec, view, dtype))
    });
    let matrices: Vec<(&[u8], usize)> =
        found.iter().map(|(_, view)| (view.data(), view.shape()[1])).collect();
    let stores = CodedBf16::resident(&matrices, CodedBf16::pays())?;
    Ok(found.into_iter().map(|(name, _)| name).zip(stores).collect())
}

/// Where a tensor's bytes are in its file.
fn place(view: &TensorView<'_>, file: &MappedFile) -> Range<usize> {
    let first = view.data().as_ptr() as usize - file.as_ptr() as usize;
    first..first + view.data().len()
}

/// A tensor where its file has it.
struct Raw {
    name: &'static str,
    dtype: StoredDtype,
    file: Arc<MappedFile>,
    bytes: Range<usize>,
    path: PathBuf,
}

impl Raw {
    fn new(name: &'static str, view: &TensorView<'_>, file: &Arc<MappedFile>, path: &Path) -> Raw {
        let bytes = place(view, file);
        Raw { name, dtype: view.dtype(), file: Arc::clone(file), bytes, path: path.to_owned() }
    }

    fn numbers(&self) -> Result<Vec<f32>, EngineError> {
        to_f32(self.name, self.dtype, &self.file[self.bytes.clone()], &self.path)
    }

    /// Whether both hold the same numbers.
    fn same(&self, other: &Raw) -> Result<bool, EngineError> {
        if self.dtype == other.dtype {
            return Ok(self.file[self.bytes.clone()] == other.file[other.bytes.clone()]);
        }
        Ok(self.numbers()? == other.numbers()?)
    }
}

/// Reads the tensors that a decoder needs, no fewer and no more, each as the precision holds it.
///
/// # Errors
/// `user`, naming tensor and file: one is missing, has the wrong shape or format, or is not part of the model.
///
/// `tied` names the embedding that also is the output projection; `resident` puts
/// matrices in bf16 into memory of their own ([`CodedBf16::resident`]) instead of mapping them.
pub(crate) fn load(
    dir: &Path,
    wanted: &[TensorSpec],
    tied: Option<&str>,
    dtype: Dtype,
    resident: bool,
) -> Result<Values, EngineError> {
    let files = weight_files(dir)?;
    let specs: BTreeMap<&str, &TensorSpec> = wanted.iter().map(|w| (w.name.as_str(), w)).collect();
    let mut found = Values::new();
    let (mut tied_head, mut tied_embedding) = (None, None);
    for path in &files {
        let bytes = Arc::new(open(path)?);
        let parsed = parse(&bytes, path)?;
        let mut in_memory = BTreeMap::new();
        if resident && dtype != Dtype::F32 {
            in_memory = as_stored(&parsed, &specs, dtype).map_err(|e| EngineError::io(&e, path))?;
        }
        for (name, view) in parsed.tensors() {
            let Some(spec) = specs.get(name.as_str()) else {
                if tied.is_some() && name == "lm_head.weight" {
                    tied_head = Some(Raw::new("lm_head.weight", &view, &bytes, path));
                    continue;
                }
                // Old llama checkpoints store the rotary frequencies, which follow from the config.
                // Old GPT-2 checkpoints store the causal mask.
                let derived = [".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias"];
                if derived.iter().any(|d| name.ends_with(d)) {
                    continue;
                }
                return Err(EngineError::user(
                    "unused_tensor",
                    format!("{} holds a tensor that this model does not have: {name}.", shown(path)),
                    "Check that config.json belongs to these weights; a model merged from an adapter must be saved without the adapter's tensors.",
                )
                .with_file(path));
            };
            if view.shape() != spec.shape {
                return Err(wrong_shape(&name, view.shape(), &spec.shape, path));
            }
            if tied == Some(name.as_str()) {
                tied_embedding = Some(Raw::new("the embedding", &view, &bytes, path));
            }
            let value = match in_memory.remove(&name) {
                Some(store) => Value::Frozen(Matrix::new(store, spec.shape[1])),
                None => held(spec, &view, (&bytes, path.as_path()), dtype)?,
            };
            if !matches!(&value, Value::Frozen(matrix) if matrix.is_mapped()) {
                bytes.release(place(&view, &bytes));
            }
            found.insert(name, value);
        }
    }
    let place = files.first().cloned().unwrap_or_else(|| dir.to_path_buf());
    if let Some(absent) = wanted.iter().find(|w| !found.contains_key(&w.name)) {
        return Err(missing(&absent.name, &place));
    }
    if let (Some(head), Some(embedding)) = (tied_head, tied_embedding) {
        if !head.same(&embedding)? {
            return Err(EngineError::user(
                "untied_head",
                "lm_head.weight differs from the embedding, but config.json says that they are the same (tie_word_embeddings).",
                "Set tie_word_embeddings to false in config.json if the model has its own output projection.",
            )
            .with_file(head.path));
        }
    }
    Ok(found)
}

pub(crate) fn missing(name: &str, path: &Path) -> EngineError {
    EngineError::user(
        "missing_tensor",
        format!("{} lacks the tensor {name}.", shown(path)),
        "Check that config.json belongs to these weights and that every file of the model is there.",
    )
    .with_file(path)
}

pub(crate) fn wrong_shape(name: &str, is: &[usize], should: &[usize], path: &Path) -> EngineError {
    EngineError::user(
        "wrong_shape",
        format!("Tensor {name} in {} has shape {is:?}; config.json asks for {should:?}.", shown(path)),
        "Check that config.json belongs to these weights.",
    )
    .with_file(path)
}

/// A tensor to write, whose numbers are made when it is its turn.
struct Out<'a>(Vec<usize>, Numbers<'a>);

impl View for Out<'_> {
    fn dtype(&self) -> StoredDtype {
        StoredDtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.0
    }
    fn data(&self) -> Cow<'_, [u8]> {
        match (self.1)() {
            Cow::Borrowed(value) => Cow::Borrowed(bytemuck::cast_slice(value)),
            Cow::Owned(value) => Cow::Owned(bytemuck::cast_slice(&value).to_vec()),
        }
    }
    fn data_len(&self) -> usize {
        4 * self.0.iter().product::<usize>()
    }
}

/// Writes tensors as one safetensors file, in f32, atomically.
///
/// # Errors
/// `environment` when the disk does not take it; the old file, if there was one, is then still whole.
pub fn write_file<'a, V: Into<Cow<'a, [f32]>>>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a str, impl Into<Vec<usize>>, V)>,
) -> Result<(), EngineError> {
    let mut all: Vec<(&str, Vec<usize>, Numbers<'a>)> = Vec::new();
    for (name, shape, value) in tensors {
        let (shape, value) = (shape.into(), value.into());
        if shape.iter().product::<usize>() != value.len() {
            return Err(EngineError::internal(
                "write_weights",
                format!("{name} has {} numbers, which is not the shape {shape:?}.", value.len()),
            ));
        }
        all.push((name, shape, Box::new(move || value.clone())));
    }
    write_lazily(path, all)
}

/// As [`write_file`], of numbers that are made one tensor at a time.
pub(crate) fn write_lazily(
    path: &Path,
    tensors: Vec<(&str, Vec<usize>, Numbers<'_>)>,
) -> Result<(), EngineError> {
    let views: Vec<(&str, Out)> =
        tensors.into_iter().map(|(name, shape, value)| (name, Out(shape, value))).collect();
    atomically(path, |temporary| {
        let metadata = [("format".to_string(), "pt".to_string())].into_iter().collect();
        safetensors::serialize_to_file(views, Some(metadata), temporary.path()).map_err(|e| match e {
            safetensors::SafeTensorError::IoError(io) => EngineError::io(&io, path),
            other => EngineError::internal(
                "write_weights",
                format!("{} cannot be written: {other}.", path.display()),
            ),
        })
    })
}

/// Writes a text file atomically.
///
/// # Errors
/// `environment` when the disk does not take it; a file that was there stays.
pub fn write_text(path: &Path, text: &str) -> Result<(), EngineError> {
    atomically(path, |temporary| temporary.write_all(text.as_bytes()).map_err(|e| EngineError::io(&e, path)))
}

/// Temporary file in the same folder, fsync, rename, fsync of the folder.
fn atomically(
    path: &Path,
    fill: impl FnOnce(&mut tempfile::NamedTempFile) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let io = |e: std::io::Error| EngineError::io(&e, path);
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(io)?;
    let mut temporary = tempfile::Builder::new().prefix(".tillage-").tempfile_in(dir).map_err(io)?;
    fill(&mut temporary)?;
    // Opened for writing, since some systems flush such handles only.
    std::fs::OpenOptions::new().write(true).open(temporary.path()).and_then(|f| f.sync_all()).map_err(io)?;
    drop(temporary.persist(path).map_err(|e| io(e.error))?);
    // Temporary files are private; a model file is as readable as any other new file. By its path: safetensors puts
    // another file in the place of the one that was opened.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).map_err(io)?;
    }
    #[cfg(unix)]
    std::fs::File::open(dir).and_then(|d| d.sync_all()).map_err(io)?;
    Ok(())
}
