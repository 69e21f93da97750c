//! From a spec to a model, its rows and its plan.

use crate::checkpoint::{Checkpoint, VALUE_HEAD};
use crate::data::{DataRow, Splits};
use crate::dataset::{Counts, Dataset};
use crate::method::{Around, Method};
use crate::partners::Partners;
use crate::plan::Plan;
use crate::policy::Round;
use crate::{best, optimizer, prompt, recompute, spec};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillage_model::machine::Machine;
use tillage_model::spec::DecoderSpec;
use tillage_model::{Model, ModelConfig, Trainable};
use tillage_protocol::course::{OptimizerKind, Recompute};
use tillage_protocol::run::{Dtype, LoraConfig, LossOn, ModelSource, TokenizerSource, TrainConfig};
use tillage_protocol::{EngineError, RunSpec};
use tillage_text::{bpe, Clock, RowEncoder, RowText, Tokenizer};

/// All that a run works with.
#[derive(Debug)]
pub struct Prepared {
    /// What is minimised, and what rows it reads.
    pub method: Method,
    /// What is trained.
    pub model: Model,
    /// Other models that the objective needs.
    pub partners: Partners,
    /// What an adapter says it belongs to.
    pub base_name: String,
    /// Hash of the base model's weights, under an adapter, and of the partners'.
    pub base_hash: Option<String>,
    /// Makes tokens of rows.
    pub encoder: RowEncoder,
    /// The rows that are learned from.
    pub train: Dataset,
    /// The rows whose loss is told only.
    pub valid: Dataset,
    /// Of the training rows.
    pub counts: Counts,
    /// Which rows each step sees.
    pub plan: Plan,
    /// Tokens of the largest batch.
    pub batch_tokens: usize,
    /// SHA-256 of the tokenised rows.
    pub data_hash: String,
    /// What chat templates see as the time, the same in a resumed run.
    pub clock: chrono::NaiveDateTime,
}

impl Prepared {
    /// What a pass of a step needs beside the model and the rows.
    pub fn around(&self, seed: u64, step: u64) -> Around<'_> {
        around(&self.encoder, &self.partners, seed, step)
    }
}

/// The same from the parts, while others of them are borrowed.
pub fn around<'a>(encoder: &'a RowEncoder, partners: &'a Partners, seed: u64, step: u64) -> Around<'a> {
    let Partners { teacher, reference, rewards } = partners;
    let round = |rewards| Round { encoder, rewards, reference: reference.as_ref(), seed, step };
    Around { teacher: teacher.as_ref(), round: rewards.as_ref().map(round) }
}

/// Reads, tokenises and loads everything; from a checkpoint when there is one.
///
/// # Errors
/// User errors of the run's inputs.
pub fn prepare(
    spec: &RunSpec,
    checkpoint: Option<&Checkpoint>,
    run_dir: &Path,
    given: Option<Splits>,
) -> Result<Prepared, EngineError> {
    let method = Method::of(spec);
    let Splits { train: rows, valid: valid_rows } = match given {
        Some(splits) => splits,
        None => Splits::read(spec, method.rows())?,
    };
    if rows.is_empty() {
        return Err(EngineError::user(
            "empty_dataset",
            "The training split has no rows.",
            "Look at the recipe's counts: a step may drop everything.",
        ));
    }
    let clock = checkpoint.map_or_else(|| chrono::Local::now().naive_local(), |c| c.state.clock);
    let tokenizer = load_tokenizer(spec, &rows, checkpoint)?;
    let prefix = prompt::prefix(spec)?;
    let encoder = encoder(spec, tokenizer, spec::loss_on(spec), clock)?;
    let weighed = spec.weight.is_some();
    let train = Dataset::encode(&rows, &method, &encoder, weighed)?.with_prefix(&prefix);
    let valid = Dataset::encode(&valid_rows, &method, &encoder, weighed)?.with_prefix(&prefix);
    let counts = train.counts();
    if counts.masked_rows + counts.weightless_rows + counts.dropped_rows == counts.rows {
        return Err(EngineError::user(
            "nothing_to_learn",
            "No training row has a token that the loss counts.",
            "Check `loss_on` and `context`: completions may be empty, or cut off; where rows have weights, they may all be 0.",
        ));
    }
    let mut digest = Sha256::new();
    train.digest(&mut digest);
    valid.digest(&mut digest);
    let lengths = train.lengths();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let batch_tokens = spec.train.batch_tokens.min(lengths.iter().sum()).max(longest);
    best::check_rows(spec, &valid)?;
    let plan = Plan::new(lengths, &spec.train, checkpoint.map_or(0, |c| c.state.first_step));
    let (mut model, base_name, mut base_hash) = load_model(spec, encoder.tokenizer(), checkpoint)?;
    check_fit(spec, &model, encoder.tokenizer())?;
    let (partners, hashes) = Partners::load(spec, &method, &model, clock, run_dir)?;
    if !hashes.is_empty() {
        base_hash = Some(base_hash.into_iter().chain(hashes).collect::<Vec<_>>().join("+"));
    }
    match &method {
        Method::Reward => model.attach_score(spec.train.seed)?,
        Method::Policy(settings) if settings.has_values() => {
            model.attach_values(spec.train.seed)?;
            if let Some(c) = checkpoint {
                model.load_score(&c.path.join(VALUE_HEAD))?;
            }
        }
        _ => {}
    }
    if spec.train.watch_every > 0 {
        tillage_generate::check(&model, &encoder, &spec.watch)?;
    }
    Ok(Prepared {
        method,
        model,
        partners,
        base_name,
        base_hash,
        encoder,
        train,
        valid,
        counts,
        plan,
        batch_tokens,
        data_hash: hex(&digest.finalize()),
        clock,
    })
}

/// What turns a run's rows into tokens.
///
/// # Errors
/// As [`RowEncoder::new`].
pub fn encoder(
    spec: &RunSpec,
    tokenizer: impl Into<Arc<Tokenizer>>,
    loss_on: LossOn,
    clock: chrono::NaiveDateTime,
) -> Result<RowEncoder, EngineError> {
    let context = spec.train.context - prompt::prefix(spec)?.len();
    let encoder = RowEncoder::new(tokenizer, spec.template.clone(), loss_on, context, Clock::Fixed(clock))?;
    Ok(encoder.truncating(spec.train.truncate))
}

/// SHA-256 as text.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// The tokenizer that a run has, or had at a checkpoint.
///
/// # Errors
/// User errors of its folder, or of the rows from which it is to be made.
pub fn load_tokenizer(
    spec: &RunSpec,
    rows: &[DataRow],
    checkpoint: Option<&Checkpoint>,
) -> Result<Tokenizer, EngineError> {
    match (&spec.model, checkpoint) {
        (ModelSource::Init { .. }, Some(c)) => Tokenizer::load(&c.path),
        (ModelSource::Folder { path, .. }, _) => Tokenizer::load(path),
        (ModelSource::Init { tokenizer: TokenizerSource::Folder { path }, .. }, None) => {
            Tokenizer::load(path)
        }
        (ModelSource::Init { tokenizer: TokenizerSource::Train { vocab_size }, .. }, None) => {
            let texts: Vec<&str> = rows.iter().flat_map(|row| &row.texts).flat_map(RowText::parts).collect();
            bpe::train(&texts, *vocab_size, spec.train.context)
        }
    }
}

/// A model, what an adapter says it belongs to, and under an adapter its base's hash.
pub type Loaded = (Model, String, Option<String>);

/// The model that a run trains, as it begins or as it was at a checkpoint.
///
/// # Errors
/// User errors of the folders; `out_of_memory`.
pub fn load_model(
    spec: &RunSpec,
    tokenizer: &Tokenizer,
    checkpoint: Option<&Checkpoint>,
) -> Result<Loaded, EngineError> {
    let seed = spec.train.seed;
    let name = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string();
    let mut loaded = match (&spec.model, &spec.adapter, checkpoint) {
        (ModelSource::Folder { path, adapter }, Some(lora), _) => {
            check_weights(&ModelConfig::from_dir(path)?, None, spec.dtype)?;
            let mut model = Model::load_as(path, spec.dtype)?;
            match (checkpoint, adapter) {
                (Some(c), _) => model.load_adapter(&c.path)?,
                (None, Some(dir)) => {
                    model.load_adapter(dir)?;
                    check_same(&model, lora, dir)?;
                }
                (None, None) => model.attach_lora(lora, seed)?,
            }
            (model, name(path), Some(tillage_generate::model_hash(path)?))
        }
        (ModelSource::Folder { path, adapter }, None, _) if spec.prompt.is_some() => {
            check_weights(&ModelConfig::from_dir(path)?, None, spec.dtype)?;
            let mut model = Model::load_as(path, spec.dtype)?;
            match (checkpoint, adapter, &spec.prompt) {
                (Some(c), ..) => model.load_adapter(&c.path)?,
                (None, Some(dir), Some(wanted)) => {
                    model.load_adapter(dir)?;
                    prompt::check_same(&model, wanted, dir)?;
                }
                (None, None, Some(wanted)) => prompt::attach(&mut model, wanted, tokenizer, seed)?,
                (None, _, None) => {}
            }
            (model, name(path), Some(tillage_generate::model_hash(path)?))
        }
        (ModelSource::Folder { path, .. }, None, None) => {
            check_weights(&ModelConfig::from_dir(path)?, Some(spec.train.optimizer), Dtype::F32)?;
            (Model::load(path)?, name(path), None)
        }
        (_, None, Some(c)) => (Model::load(&c.path)?, name(&c.path), None),
        (ModelSource::Init { shape, .. }, _, _) => {
            let id = |key: &str| tokenizer.special(key).and_then(|t| tokenizer.token_to_id(&t));
            let eos = tokenizer.eos().map(|(_, id)| id);
            let config =
                ModelConfig::from_init(shape, tokenizer.vocab_size(), id("bos_token"), eos, id("pad_token"))?;
            check_weights(&config, Some(spec.train.optimizer), Dtype::F32)?;
            (Model::init(config, seed), String::new(), None)
        }
    };
    if spec.freezes() {
        loaded.0.set_trainable(Trainable::Adapter);
    } else {
        loaded.0.set_mixed(spec.dtype == Dtype::Bf16);
        loaded.0.set_trainable(Trainable::Full);
    }
    Ok(loaded)
}

/// An adapter that a run goes on training must be of the shape that the run names.
fn check_same(model: &Model, wanted: &LoraConfig, dir: &Path) -> Result<(), EngineError> {
    let Some(found) = model.adapter_config() else { return Ok(()) };
    let is = |c: &LoraConfig| format!("r {}, alpha {}, rslora {}, dora {}", c.r, c.alpha, c.rslora, c.dora);
    if is(found) == is(wanted) {
        return Ok(());
    }
    Err(EngineError::user(
        "adapter_mismatch",
        format!("The adapter to go on with has {}; the run file names {}.", is(found), is(wanted)),
        "Leave `adapter` out of the run file to take over its settings, or merge it into its model to begin another one.",
    )
    .with_file(dir.join("adapter_config.json")))
}

/// Weights alone, and under full training their gradients and the optimiser's states, must fit before anything is allocated.
///
/// # Errors
/// `out_of_memory` with both sizes.
pub fn check_weights(
    config: &ModelConfig,
    full: Option<OptimizerKind>,
    dtype: Dtype,
) -> Result<(), EngineError> {
    let tensors = DecoderSpec::of(config).tensors();
    let held: u64 = tensors.iter().map(|t| t.bytes(dtype)).sum();
    let named = tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice()));
    let trained = full.map_or(0, |kind| held + optimizer::planned_bytes(kind, config, named));
    Machine::new().check(held + trained)
}

fn check_fit(spec: &RunSpec, model: &Model, tokenizer: &Tokenizer) -> Result<(), EngineError> {
    let config = model.config();
    if tokenizer.vocab_size() > config.vocab_size {
        return Err(EngineError::user(
            "vocab_mismatch",
            format!(
                "The tokenizer has {} tokens, the model only {}.",
                tokenizer.vocab_size(),
                config.vocab_size
            ),
            "Use the tokenizer that belongs to the model.",
        ));
    }
    if spec.train.context > config.max_position_embeddings {
        return Err(EngineError::user(
            "context_too_long",
            format!(
                "`context` is {}, and the model takes {}.",
                spec.train.context, config.max_position_embeddings
            ),
            format!("Set `context` to {} or less.", config.max_position_embeddings),
        ));
    }
    Ok(())
}

/// Hash of the settings that decide a run's result. What only decides its rhythm or its name may change before a resume.
pub fn spec_hash(spec: &RunSpec) -> String {
    let mut same = spec.clone();
    same.id.clear();
    same.name.clear();
    same.file = None;
    same.watch.clear();
    same.watch_max_new = 0;
    same.threads = 0;
    same.overrides.clear();
    same.train.checkpoint_every = 0;
    // What is validated decides nothing, unless the run ends or is chosen by it.
    if !same.train.tracks_best() {
        same.train.validate_every = 0;
    }
    same.train.watch_every = 0;
    same.train.recompute = Recompute::Auto;
    // The files may move with the run's folder; their content is hashed apart.
    same.data.train.clear();
    same.data.valid.clear();
    if let ModelSource::Folder { path, adapter } = &mut same.model {
        *path = PathBuf::new();
        adapter.iter_mut().for_each(|dir| *dir = PathBuf::new());
    }
    let rewards = same.policy.iter_mut().flat_map(|p| &mut p.rewards);
    rewards.flat_map(|r| r.kind.paths_mut()).for_each(|path| *path = PathBuf::new());
    if let Some(distill) = &mut same.distill {
        distill.teacher = PathBuf::new();
        distill.adapter.iter_mut().for_each(|dir| *dir = PathBuf::new());
    }
    if let Some(fork) = &mut same.fork {
        fork.checkpoint = PathBuf::new();
    }
    if let ModelSource::Init { tokenizer: TokenizerSource::Folder { path }, .. } = &mut same.model {
        *path = PathBuf::new();
    }
    hex(&Sha256::digest(serde_json::to_vec(&same).unwrap_or_default()))
}

/// Memory of the process itself: its code, libraries, threads, tokenizer and the heap's gaps (measured: 21 to 28 MB).
pub const PROCESS_BYTES: usize = 28 << 20;

/// Decides whether activations are kept or computed again, and returns the bytes planned with that and whether they are
/// computed again. `available`: what the machine has free, 0 where that is unknown.
pub fn plan_memory(prepared: &mut Prepared, config: &TrainConfig, available: u64) -> (u64, bool) {
    recompute::choose(config.recompute, available, &mut |again| {
        prepared.model.set_recompute(again);
        planned_bytes(prepared, config.optimizer)
    })
}

/// Bytes that the whole process is planned to take at its peak.
fn planned_bytes(prepared: &mut Prepared, kind: OptimizerKind) -> u64 {
    let config = prepared.model.config().clone();
    let trained = prepared.model.parameters_mut();
    let states = optimizer::planned_bytes(kind, &config, trained.iter().map(|p| (p.name, p.shape)));
    let model = &prepared.model;
    let rows: usize = [&prepared.train, &prepared.valid]
        .iter()
        .map(|d| d.examples.iter().map(|e| 5 * e.tokens.len() + 96).sum::<usize>())
        .sum();
    let caches = match prepared.method {
        Method::Policy(settings) => {
            let prompt = prepared.train.examples.iter().map(|e| e.tokens.len()).max().unwrap_or(0);
            tillage_generate::WIDTH * model.cache_bytes(prompt + settings.max_new)
        }
        _ => 0,
    };
    let partners = prepared.partners.planned_bytes(prepared.batch_tokens);
    (model.plan_bytes(prepared.batch_tokens) + partners + caches + rows + PROCESS_BYTES) as u64 + states
}

/// The run's folder must be there.
///
/// # Errors
/// `no_run_folder`.
pub fn check_folder(run_dir: &Path) -> Result<(), EngineError> {
    if run_dir.is_dir() {
        return Ok(());
    }
    Err(EngineError::user(
        "no_run_folder",
        format!("{} is no folder.", run_dir.display()),
        "Give the folder that holds run.json.",
    )
    .with_file(run_dir))
}
