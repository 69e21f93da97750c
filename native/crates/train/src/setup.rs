//! From a spec to a model, its rows and its plan.

use crate::checkpoint::Checkpoint;
use crate::data::{self, DataRow};
use crate::dataset::{Counts, Dataset};
use crate::machine::Machine;
use crate::plan::Plan;
use crate::spec;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tillage_model::spec::DecoderSpec;
use tillage_model::{Model, ModelConfig, Trainable};
use tillage_protocol::run::{Dtype, ModelSource, TokenizerSource};
use tillage_protocol::{EngineError, RunSpec};
use tillage_text::{bpe, Clock, RowEncoder, RowText, Tokenizer};

/// All that a run works with.
#[derive(Debug)]
pub struct Prepared {
    pub model: Model,
    /// What an adapter says it belongs to.
    pub base_name: String,
    pub base_hash: Option<String>,
    pub encoder: RowEncoder,
    pub train: Dataset,
    pub valid: Dataset,
    pub counts: Counts,
    pub plan: Plan,
    /// Tokens of the largest batch.
    pub batch_tokens: usize,
    pub data_hash: String,
    pub clock: chrono::NaiveDateTime,
}

/// Reads, tokenises and loads everything; from a checkpoint when there is one.
///
/// # Errors
/// User errors of the run's inputs.
pub fn prepare(spec: &RunSpec, checkpoint: Option<&Checkpoint>) -> Result<Prepared, EngineError> {
    let rows = data::read(&spec.data.train)?;
    let valid_rows = data::read(&spec.data.valid)?;
    if rows.is_empty() {
        return Err(EngineError::user(
            "empty_dataset",
            "The training split has no rows.",
            "Look at the recipe's counts: a step may drop everything.",
        ));
    }
    let clock = checkpoint.map_or_else(|| chrono::Local::now().naive_local(), |c| c.state.clock);
    let tokenizer = load_tokenizer(spec, &rows, checkpoint)?;
    let encoder = RowEncoder::new(
        tokenizer,
        spec.template.clone(),
        spec::loss_on(spec),
        spec.train.context,
        Clock::Fixed(clock),
    )?;
    let train = Dataset::encode(&rows, &encoder)?;
    let valid = Dataset::encode(&valid_rows, &encoder)?;
    let counts = train.counts();
    if counts.masked_rows == counts.rows {
        return Err(EngineError::user(
            "nothing_to_learn",
            "No training row has a token that the loss counts.",
            "Check `loss_on` and `context`: completions may be empty, or cut off.",
        ));
    }
    let mut digest = Sha256::new();
    train.digest(&mut digest);
    valid.digest(&mut digest);
    let lengths = train.lengths();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let batch_tokens = spec.train.batch_tokens.min(lengths.iter().sum()).max(longest);
    let plan = Plan::new(lengths, &spec.train);
    let (model, base_name, base_hash) = load_model(spec, encoder.tokenizer(), checkpoint)?;
    check_fit(spec, &model, encoder.tokenizer())?;
    Ok(Prepared {
        model,
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

/// SHA-256 as text.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn load_tokenizer(
    spec: &RunSpec,
    rows: &[DataRow],
    checkpoint: Option<&Checkpoint>,
) -> Result<Tokenizer, EngineError> {
    match (&spec.model, checkpoint) {
        (ModelSource::Init { .. }, Some(c)) => Tokenizer::load(&c.path),
        (ModelSource::Folder { path }, _) => Tokenizer::load(path),
        (ModelSource::Init { tokenizer: TokenizerSource::Folder { path }, .. }, None) => {
            Tokenizer::load(path)
        }
        (ModelSource::Init { tokenizer: TokenizerSource::Train { vocab_size }, .. }, None) => {
            let mut texts: Vec<&str> = Vec::with_capacity(rows.len());
            for row in rows {
                match &row.text {
                    RowText::Text(text) => texts.push(text),
                    RowText::PromptCompletion { prompt, completion } => {
                        texts.extend([prompt.as_str(), completion])
                    }
                    RowText::Messages(list) => {
                        texts.extend(list.iter().filter_map(|m| m.get("content")?.as_str()))
                    }
                }
            }
            bpe::train(&texts, *vocab_size, spec.train.context)
        }
    }
}

type Loaded = (Model, String, Option<String>);

fn load_model(
    spec: &RunSpec,
    tokenizer: &Tokenizer,
    checkpoint: Option<&Checkpoint>,
) -> Result<Loaded, EngineError> {
    let seed = spec.train.seed;
    let name = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string();
    let mut loaded = match (&spec.model, &spec.adapter, checkpoint) {
        (ModelSource::Folder { path }, Some(lora), _) => {
            check_weights(&ModelConfig::from_dir(path)?, false, spec.dtype)?;
            let mut model = Model::load_as(path, spec.dtype)?;
            match checkpoint {
                Some(c) => model.load_adapter(&c.path)?,
                None => model.attach_lora(lora, seed)?,
            }
            (model, name(path), Some(tillage_generate::model_hash(path)?))
        }
        (ModelSource::Folder { path }, None, None) => {
            check_weights(&ModelConfig::from_dir(path)?, true, Dtype::F32)?;
            (Model::load(path)?, name(path), None)
        }
        (_, None, Some(c)) => (Model::load(&c.path)?, name(&c.path), None),
        (ModelSource::Init { shape, .. }, _, _) => {
            let id = |key: &str| tokenizer.special(key).and_then(|t| tokenizer.token_to_id(&t));
            let eos = tokenizer.eos().map(|(_, id)| id);
            let config =
                ModelConfig::from_init(shape, tokenizer.vocab_size(), id("bos_token"), eos, id("pad_token"))?;
            check_weights(&config, true, Dtype::F32)?;
            (Model::init(config, seed), String::new(), None)
        }
    };
    loaded.0.set_trainable(if spec.adapter.is_some() { Trainable::Adapter } else { Trainable::Full });
    Ok(loaded)
}

/// Weights alone, and under full training their gradients and two moments, must fit before anything is allocated.
fn check_weights(config: &ModelConfig, full: bool, dtype: Dtype) -> Result<(), EngineError> {
    let bytes: u64 = DecoderSpec::of(config).tensors().iter().map(|t| t.bytes(dtype)).sum();
    Machine::new().check(bytes * if full { 4 } else { 1 })
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
    same.train.validate_every = 0;
    same.train.watch_every = 0;
    // The files may move with the run's folder; their content is hashed apart.
    same.data.train.clear();
    same.data.valid.clear();
    if let ModelSource::Folder { path } = &mut same.model {
        *path = PathBuf::new();
    }
    if let ModelSource::Init { tokenizer: TokenizerSource::Folder { path }, .. } = &mut same.model {
        *path = PathBuf::new();
    }
    hex(&Sha256::digest(serde_json::to_vec(&same).unwrap_or_default()))
}

/// Memory of the process itself: its code, libraries, threads, tokenizer and the heap's gaps (measured: 15 to 22 MB).
const PROCESS_BYTES: usize = 20 << 20;

/// Bytes that the whole process is planned to take at its peak.
pub fn planned_bytes(prepared: &Prepared) -> u64 {
    let model = &prepared.model;
    let moments = 8 * model.trainable_count();
    let rows: usize = [&prepared.train, &prepared.valid]
        .iter()
        .map(|d| d.examples.iter().map(|e| 5 * e.tokens.len() + 96).sum::<usize>())
        .sum();
    (model.plan_bytes(prepared.batch_tokens) + moments + rows + PROCESS_BYTES) as u64
}

/// The run's folder must be there.
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
