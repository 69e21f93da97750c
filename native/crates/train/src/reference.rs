//! What the model before training thinks of the answers: computed once, kept in `reference.safetensors` in the run's folder.

use crate::control::Control;
use crate::dataset::Dataset;
use crate::files;
use crate::method::log_probabilities;
use crate::setup::{hex, Prepared};
use crate::trainer::Trainer;
use safetensors::tensor::{Dtype as Stored, SafeTensors, TensorView};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use tillage_model::Model;
use tillage_protocol::run::{Dtype, ModelSource};
use tillage_protocol::{EngineError, Event, RunSpec};
use tillage_text::pack::plan_epoch;

/// The file in the run's folder: `train` and `valid`, f64 `[texts]`, and in its metadata what they belong to.
const FILE: &str = "reference.safetensors";

/// Progress is told this many times at most.
const TOLD: usize = 50;

/// Makes the reference's log-probabilities known for all rows. False when the run was asked to stop before that.
///
/// The reference is what the run began with: the base model without the new adapter, the adapter that the run goes on
/// with, or under full training the model itself.
///
/// # Errors
/// The model's and the machine's.
pub fn ensure(trainer: &mut Trainer<'_>, control: &Control) -> Result<bool, EngineError> {
    let path = trainer.run_dir.join(FILE);
    let Prepared { train, valid, data_hash, base_hash, .. } = &trainer.prepared;
    let key = key(trainer.spec, data_hash, base_hash.as_deref())?;
    if let Some([train, valid]) = read(&path, &key, [train.examples.len(), valid.examples.len()]) {
        trainer.prepared.train.reference = train;
        trainer.prepared.valid.reference = valid;
        return Ok(true);
    }
    let begun = begun_with(trainer)?;
    let off = matches!(trainer.spec.model, ModelSource::Folder { adapter: None, .. });
    trainer.prepared.model.set_adapter_enabled(!off);
    let found = compute(trainer, begun.as_ref(), control);
    trainer.prepared.model.set_adapter_enabled(true);
    let Some([train, valid]) = found? else { return Ok(false) };
    write(&path, &key, &train, &valid)?;
    trainer.prepared.train.reference = train;
    trainer.prepared.valid.reference = valid;
    Ok(true)
}

/// The model that the run began with, where it can no longer be had from the one that is trained.
fn begun_with(trainer: &Trainer<'_>) -> Result<Option<Model>, EngineError> {
    let ModelSource::Folder { path, adapter } = &trainer.spec.model else { return Ok(None) };
    if *trainer.done == 0 || (trainer.spec.freezes() && adapter.is_none()) {
        return Ok(None);
    }
    load(trainer.spec, path, adapter.as_deref()).map(Some)
}

/// Loads what a run began with, as the run computes with it: full training in bf16 holds its weights in f32 and rounds them for
/// products alone, so that what has not moved is at no distance from it.
///
/// # Errors
/// User errors of the folders.
pub fn load(spec: &RunSpec, base: &Path, adapter: Option<&Path>) -> Result<Model, EngineError> {
    let mixed = !spec.freezes() && spec.dtype == Dtype::Bf16;
    let mut model = tillage_generate::load(base, adapter, if mixed { Dtype::F32 } else { spec.dtype })?;
    model.set_mixed(mixed);
    Ok(model)
}

/// The log-probabilities that a run has written, of so many texts of its training and validation rows.
///
/// # Errors
/// `no_reference` when they are not there, or of other rows or another model.
pub fn known(
    spec: &RunSpec,
    run_dir: &Path,
    (data_hash, base_hash): (&str, Option<&str>),
    texts: [usize; 2],
) -> Result<[Vec<f64>; 2], EngineError> {
    let path = run_dir.join(FILE);
    read(&path, &key(spec, data_hash, base_hash)?, texts).ok_or_else(|| {
        EngineError::user(
            "no_reference",
            "The reference's log-probabilities are not there, or belong to other rows or another model.",
            "Put the run's reference.safetensors back, or start the run again.",
        )
        .with_file(path)
    })
}

/// What the numbers depend on: the rows, and the model that the run began with.
fn key(spec: &RunSpec, data_hash: &str, base_hash: Option<&str>) -> Result<String, EngineError> {
    let mut parts = vec![data_hash.to_owned()];
    if let ModelSource::Folder { path, adapter } = &spec.model {
        parts.push(match base_hash {
            Some(hash) => hash.to_owned(),
            None => tillage_generate::model_hash(path)?,
        });
        if let Some(dir) = adapter {
            parts.push(tillage_generate::adapter_hash(dir)?);
        }
    }
    Ok(hex(&Sha256::digest(parts.join("\n"))))
}

fn compute(
    trainer: &mut Trainer<'_>,
    begun: Option<&Model>,
    control: &Control,
) -> Result<Option<[Vec<f64>; 2]>, EngineError> {
    let capacity = trainer.spec.train.batch_tokens;
    let Prepared { model, train, valid, method, .. } = &trainer.prepared;
    let model = begun.unwrap_or(model);
    let plan = |data: &Dataset| plan_epoch(&data.lengths(), capacity, 0, 0);
    let plans = [(train, plan(train)), (valid, plan(valid))];
    let of: usize = plans.iter().map(|(_, batches)| batches.len()).sum();
    let mut all = [vec![0.0; train.examples.len()], vec![0.0; valid.examples.len()]];
    let mut done = 0;
    for ((data, batches), known) in plans.iter().zip(&mut all) {
        for rows in batches {
            if control.stopping(&trainer.run_dir) {
                return Ok(None);
            }
            if done % of.div_ceil(TOLD) == 0 {
                let what = "log-probabilities under the reference".to_owned();
                let step = *trainer.done;
                trainer.log.append(&Event::Progress { step, what, done: done as u64, of: of as u64 })?;
            }
            // The two texts of a row in turn where they never share a batch.
            let parts: &[_] = if method.in_one_batch() { &[(0, 2)] } else { &[(0, 1), (1, 2)] };
            for part in parts.iter().map(|(from, to)| *from..*to) {
                let texts = data.texts(rows, part.clone(), false);
                for (at, logp) in data.places(rows, part).zip(log_probabilities(model, &texts)?) {
                    known[at] = logp;
                }
            }
            done += 1;
        }
    }
    Ok(Some(all))
}

/// The file's numbers, if it is whole and of these rows and this model; if not they are computed anew.
fn read(path: &Path, key: &str, [train, valid]: [usize; 2]) -> Option<[Vec<f64>; 2]> {
    let bytes = std::fs::read(path).ok()?;
    let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
    if header.metadata().as_ref()?.get("of").map(String::as_str) != Some(key) {
        return None;
    }
    let file = SafeTensors::deserialize(&bytes).ok()?;
    let numbers = |name: &str, count: usize| {
        let tensor = file.tensor(name).ok().filter(|t| t.dtype() == Stored::F64 && t.shape() == [count])?;
        let number = |b: &[u8]| f64::from_le_bytes(b.try_into().unwrap_or_default());
        Some(tensor.data().chunks_exact(8).map(number).collect())
    };
    Some([numbers("train", train)?, numbers("valid", valid)?])
}

fn write(path: &Path, key: &str, train: &[f64], valid: &[f64]) -> Result<(), EngineError> {
    let bytes = |numbers: &[f64]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let data = [("train", train.len(), bytes(train)), ("valid", valid.len(), bytes(valid))];
    let broken = |e: safetensors::SafeTensorError| EngineError::internal("reference", e.to_string());
    let mut views = Vec::new();
    for (name, count, bytes) in &data {
        views.push((*name, TensorView::new(Stored::F64, vec![*count], bytes).map_err(broken)?));
    }
    let metadata = HashMap::from([("of".to_owned(), key.to_owned())]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(broken)?;
    files::write_atomic(path, |out| out.write_all(&file).map_err(|e| EngineError::io(&e, path)))
}
