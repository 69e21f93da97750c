//! The rows' projected gradients at a checkpoint, kept in the run's folder so that the next question need not compute them:
//! `attribution/step-NNNNNN.safetensors`, rows x dims x 4 bytes.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tillage_kernels::mapped::MappedFile;
use tillage_protocol::EngineError;
use tillage_train::files;

/// The folder in the run's.
pub const FOLDER: &str = "attribution";

/// Version of what is computed, part of a file's key.
pub const VERSION: u32 = 1;

/// The gradients of all rows that the run learns from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowGradients {
    /// `_row_id` of each, in the order of the training rows.
    pub ids: Vec<String>,
    /// Rows that the run does not learn from.
    pub left_out: u64,
    /// Loss of each at the checkpoint, nats: the mean over its labelled tokens, or the objective's of a pair.
    pub losses: Vec<f64>,
    /// Labelled tokens.
    pub tokens: Vec<u64>,
    /// Whether they were multiplied by the optimiser's factors.
    pub preconditioned: bool,
    /// `[rows, dims]`.
    pub gradients: Vec<f32>,
}

/// Where those of a step lie.
pub fn path(run_dir: &Path, step: u64) -> PathBuf {
    run_dir.join(FOLDER).join(format!("step-{step:06}.safetensors"))
}

impl RowGradients {
    /// The file's content, where it is whole and belongs to `key`; if not it is computed anew.
    pub fn read(path: &Path, key: &str, dims: usize) -> Option<RowGradients> {
        let bytes = MappedFile::open(path).ok()?;
        let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
        let told = header.metadata().as_ref()?;
        if told.get("of").map(String::as_str) != Some(key) {
            return None;
        }
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let tensor = |name: &str, dtype: Dtype| file.tensor(name).ok().filter(|t| t.dtype() == dtype);
        let ids: Vec<String> = serde_json::from_slice(tensor("ids", Dtype::U8)?.data()).ok()?;
        let gradients = tensor("gradients", Dtype::F32).filter(|t| t.shape() == [ids.len(), dims])?;
        let losses = tensor("losses", Dtype::F64).filter(|t| t.shape() == [ids.len()])?;
        let tokens = tensor("tokens", Dtype::U64).filter(|t| t.shape() == [ids.len()])?;
        let wide = |data: &[u8]| data.as_chunks::<8>().0.to_vec();
        Some(RowGradients {
            left_out: told.get("left_out")?.parse().ok()?,
            preconditioned: told.get("preconditioned")?.parse().ok()?,
            losses: wide(losses.data()).into_iter().map(f64::from_le_bytes).collect(),
            tokens: wide(tokens.data()).into_iter().map(u64::from_le_bytes).collect(),
            gradients: floats(gradients.data()),
            ids,
        })
    }

    /// Puts the file in place as a whole.
    ///
    /// # Errors
    /// The machine's, `disk_full` among them; a file that was there stays.
    pub fn write(&self, path: &Path, key: &str) -> Result<(), EngineError> {
        let broken = |e: safetensors::SafeTensorError| EngineError::internal("attribution", e.to_string());
        let ids =
            serde_json::to_vec(&self.ids).map_err(|e| EngineError::internal("attribution", e.to_string()))?;
        let losses: Vec<u8> = self.losses.iter().flat_map(|x| x.to_le_bytes()).collect();
        let tokens: Vec<u8> = self.tokens.iter().flat_map(|x| x.to_le_bytes()).collect();
        let rows = self.ids.len();
        let shape = vec![rows, self.gradients.len() / rows.max(1)];
        let swapped: Vec<u8>;
        let gradients: &[u8] = if cfg!(target_endian = "little") {
            bytemuck::cast_slice(&self.gradients)
        } else {
            swapped = self.gradients.iter().flat_map(|x| x.to_le_bytes()).collect();
            &swapped
        };
        let views = [
            ("gradients", TensorView::new(Dtype::F32, shape, gradients).map_err(broken)?),
            ("ids", TensorView::new(Dtype::U8, vec![ids.len()], &ids).map_err(broken)?),
            ("losses", TensorView::new(Dtype::F64, vec![rows], &losses).map_err(broken)?),
            ("tokens", TensorView::new(Dtype::U64, vec![rows], &tokens).map_err(broken)?),
        ];
        let told = HashMap::from([
            ("of".to_owned(), key.to_owned()),
            ("left_out".to_owned(), self.left_out.to_string()),
            ("preconditioned".to_owned(), self.preconditioned.to_string()),
        ]);
        let file = safetensors::serialize(views, Some(told)).map_err(broken)?;
        files::write_atomic(path, |out| out.write_all(&file).map_err(|e| EngineError::io(&e, path)))
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Removes the gradients of checkpoints that are no longer there.
///
/// # Errors
/// The machine's.
pub fn prune(run_dir: &Path, steps: &[u64]) -> Result<(), EngineError> {
    let Ok(listing) = std::fs::read_dir(run_dir.join(FOLDER)) else { return Ok(()) };
    let kept: Vec<PathBuf> = steps.iter().map(|step| path(run_dir, *step)).collect();
    for entry in listing.filter_map(Result::ok) {
        let name = entry.file_name();
        let ours = name.to_string_lossy().starts_with("step-");
        if ours && !kept.contains(&entry.path()) {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_for_its_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(FOLDER)).unwrap();
        let rows = RowGradients {
            ids: vec!["a".into(), "ü\"".into()],
            left_out: 3,
            losses: vec![1.0 / 3.0, 2.0],
            tokens: vec![5, 6],
            preconditioned: true,
            gradients: vec![1.0, -2.0, 0.1, f32::MIN_POSITIVE, 5.0, 6.0],
        };
        let file = path(dir.path(), 7);
        rows.write(&file, "key").unwrap();
        assert_eq!(RowGradients::read(&file, "key", 3), Some(rows));
        assert_eq!(RowGradients::read(&file, "other", 3), None);
        assert_eq!(RowGradients::read(&file, "key", 4), None);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(RowGradients::read(&file, "key", 3), None, "a torn file is none");
        prune(dir.path(), &[7]).unwrap();
        assert!(file.exists());
        prune(dir.path(), &[8]).unwrap();
        assert!(!file.exists());
    }
}
