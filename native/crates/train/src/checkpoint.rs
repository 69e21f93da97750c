//! Checkpoints: a model or adapter folder that other tools can load, with the trainer's own state in `trainer/`.
//!
//! What is kept: step 0 of a full run (the model before training), the newest [`KEEP`] others, and the best where a run looks for it.

use crate::best::Validations;
use crate::files;
use crate::optimizer::Optimizer;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tillage_model::Model;
use tillage_protocol::course::ForkedFrom;
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

/// Checkpoints kept beside step 0.
pub const KEEP: usize = 3;

/// A policy's value head in a checkpoint.
pub const VALUE_HEAD: &str = "trainer/value_head.safetensors";
/// The same beside a result that keeps it.
pub const KEPT_VALUE_HEAD: &str = "value_head.safetensors";

/// Version of [`State`].
pub const STATE_VERSION: u32 = 1;

/// Everything beyond weights and moments that a resumed run needs, or must find unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`STATE_VERSION`] of the engine that wrote it.
    pub version: u32,
    /// Version of the engine that wrote it.
    pub engine: String,
    /// Steps done.
    pub step: u64,
    /// Generator of the packing (and of all else that is random): seed, and stream = epoch.
    pub rng: RngState,
    /// Epoch and batch of the next step; `None` at the end of the run.
    pub position: Option<(u64, u64)>,
    /// Length of `events.jsonl` when this was written.
    pub events_bytes: u64,
    /// Length of `rollouts.jsonl` when this was written; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollouts_bytes: u64,
    /// Threads that the steps were computed with: other numbers of them give other last digits.
    pub threads: usize,
    /// SHA-256 of the settings that decide the result.
    pub spec_hash: String,
    /// SHA-256 of the tokenised rows.
    pub data_hash: String,
    /// Hash of the base model's weights, under an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_hash: Option<String>,
    /// What chat templates saw as the time.
    pub clock: chrono::NaiveDateTime,
    /// The step with which epoch 0 begins; above 0 in a fork that sees other rows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_step: u64,
    /// Where a forked run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkedFrom>,
    /// The best validation, and how long there was none better.
    #[serde(default, skip_serializing_if = "Validations::is_empty")]
    pub validations: Validations,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The generator's state: it is seekable, so seed and stream are all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RngState {
    /// The generator's name, such as `chacha8`.
    pub algorithm: String,
    /// `train.seed` of the run.
    pub seed: u64,
}

/// A checkpoint on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Its folder, `checkpoints/step-N` in the run's.
    pub path: PathBuf,
    /// What its `trainer/state.json` holds.
    pub state: State,
}

/// The folder's name of a step.
pub fn relative(step: u64) -> String {
    format!("checkpoints/step-{step:06}")
}

/// Writes a checkpoint as a whole: it is there complete, or not at all.
///
/// # Errors
/// The machine's, `disk_full` among them; checkpoints that were there stay.
pub fn write(
    run_dir: &Path,
    model: &Model,
    base_name: &str,
    tokenizer: &Tokenizer,
    optimizer: &Optimizer,
    state: &State,
) -> Result<(), EngineError> {
    let checkpoints = run_dir.join("checkpoints");
    std::fs::create_dir_all(&checkpoints).map_err(|e| EngineError::io(&e, &checkpoints))?;
    files::write_folder(&run_dir.join(relative(state.step)), |dir| {
        save_result(dir, model, base_name, tokenizer)?;
        let trainer = dir.join("trainer");
        std::fs::create_dir(&trainer).map_err(|e| EngineError::io(&e, &trainer))?;
        optimizer.save(&trainer.join("optimizer.safetensors"))?;
        if model.has_values() {
            model.save_score(&dir.join(VALUE_HEAD))?;
        }
        let path = trainer.join("state.json");
        let text =
            serde_json::to_vec_pretty(state).map_err(|e| EngineError::internal("state", e.to_string()))?;
        std::fs::write(&path, text).map_err(|e| EngineError::io(&e, &path))
    })
}

/// Writes the model with its tokenizer, or the adapter.
///
/// # Errors
/// The machine's, `disk_full` among them.
pub fn save_result(
    dir: &Path,
    model: &Model,
    base_name: &str,
    tokenizer: &Tokenizer,
) -> Result<(), EngineError> {
    if model.has_adapter() {
        return model.save_adapter(dir, base_name);
    }
    model.save(dir)?;
    tokenizer.save(dir)
}

/// Puts the weights of a checkpoint into a result's folder, its value head too where asked.
///
/// # Errors
/// `best_missing` when somebody deleted the checkpoint; the machine's.
pub fn copy_result(run_dir: &Path, step: u64, dir: &Path, value_head: bool) -> Result<(), EngineError> {
    let from = run_dir.join(relative(step));
    let listing = std::fs::read_dir(&from).map_err(|_| {
        EngineError::user(
            "best_missing",
            format!(
                "The checkpoint with the lowest validation loss, {}, is not there any more.",
                relative(step)
            ),
            "Put its folder back and resume, or start the run again.",
        )
        .with_file(&from)
    })?;
    for entry in listing {
        let path = entry.map_err(|e| EngineError::io(&e, &from))?.path();
        // All but the trainer's own folder.
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            std::fs::copy(&path, dir.join(name)).map_err(|e| EngineError::io(&e, &path))?;
        }
    }
    if value_head {
        let path = from.join(VALUE_HEAD);
        std::fs::copy(&path, dir.join(KEPT_VALUE_HEAD)).map_err(|e| EngineError::io(&e, &path))?;
    }
    Ok(())
}

/// Steps of the checkpoints that are there, oldest first.
fn steps(run_dir: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(listing) = std::fs::read_dir(run_dir.join("checkpoints")) else { return Vec::new() };
    let mut found: Vec<(u64, PathBuf)> = listing
        .filter_map(Result::ok)
        .filter_map(|e| Some((e.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?, e.path())))
        .collect();
    found.sort();
    found
}

/// The newest checkpoint, if there is one.
///
/// # Errors
/// `bad_checkpoint` when its state cannot be read.
pub fn newest(run_dir: &Path) -> Result<Option<Checkpoint>, EngineError> {
    steps(run_dir).pop().map(|(_, path)| read(path)).transpose()
}

/// All checkpoints that are there, oldest first.
///
/// # Errors
/// As [`read`].
pub fn all(run_dir: &Path) -> Result<Vec<Checkpoint>, EngineError> {
    steps(run_dir).into_iter().map(|(_, path)| read(path)).collect()
}

/// Reads a checkpoint's state.
///
/// # Errors
/// `bad_checkpoint` when it cannot be read.
pub fn read(path: PathBuf) -> Result<Checkpoint, EngineError> {
    let file = path.join("trainer/state.json");
    let text = std::fs::read(&file).map_err(|e| EngineError::io(&e, &file))?;
    let state: State = serde_json::from_slice(&text).map_err(|e| {
        EngineError::user(
            "bad_checkpoint",
            format!("The checkpoint's state cannot be read: {e}."),
            "Delete this checkpoint's folder and resume from the one before.",
        )
        .with_file(&file)
    })?;
    Ok(Checkpoint { path, state })
}

/// Step of the newest checkpoint.
pub fn newest_step(run_dir: &Path) -> Option<u64> {
    steps(run_dir).pop().map(|(step, _)| step)
}

/// The newest checkpoint before a step, relative to the run's folder, for messages; any without a step.
pub fn newest_relative(run_dir: &Path, before: Option<u64>) -> Option<String> {
    let mut all = steps(run_dir).into_iter().map(|(step, _)| step);
    all.rfind(|step| before.is_none_or(|b| *step < b)).map(relative)
}

/// Removes checkpoints that are no longer kept; `best` is.
///
/// # Errors
/// The machine's.
pub fn prune(run_dir: &Path, best: Option<u64>) -> Result<(), EngineError> {
    let all = steps(run_dir);
    let old = all.len().saturating_sub(KEEP);
    let kept = |step: u64| step == 0 || Some(step) == best;
    all.iter().take(old).filter(|(step, _)| !kept(*step)).try_for_each(|(_, path)| {
        // Renamed first, so that a kill half-way leaves no folder that looks whole.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let doomed = path.with_file_name(format!("{}{name}", files::TEMPORARY));
        std::fs::rename(path, &doomed).map_err(|e| EngineError::io(&e, path))?;
        files::remove(&doomed)
    })
}
