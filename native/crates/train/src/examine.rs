//! A run that has learned, looked into: the weights that its checkpoints hold, and the gradients of rows there.

use crate::checkpoint::{self, Checkpoint};
use crate::data::{DataRow, Splits};
use crate::dataset::Dataset;
use crate::method::{Around, Method};
use crate::partners::Partners;
use crate::setup::{self, hex};
use crate::{optimizer, prompt, reference, resume, sequence, spec};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillage_kernels::mapped::MappedFile;
use tillage_model::machine::Machine;
use tillage_model::{Model, Trainable};
use tillage_protocol::run::{Dtype, LossOn, Objective};
use tillage_protocol::{EngineError, Event, RunSpec};
use tillage_text::{RowText, Tokenizer};

/// A checkpoint that steps of the run have led to.
#[derive(Debug)]
pub struct Kept {
    /// Steps that were taken when it was written.
    pub step: u64,
    /// Mean learning rate of the run's steps since the checkpoint before.
    pub lr: f64,
    checkpoint: Checkpoint,
}

/// A row's loss and how many labelled tokens it has.
pub type Loss = (f64, usize);

/// Something that the model said, as tokens.
#[derive(Debug)]
pub struct Output(Dataset);

/// The training rows, with what their losses need.
#[derive(Debug)]
struct Rows {
    train: Dataset,
    partners: Partners,
}

/// A run's folder with its model, which holds the weights of one checkpoint at a time.
#[derive(Debug)]
pub struct Examined {
    run_dir: PathBuf,
    spec: RunSpec,
    method: Method,
    tokenizer: Arc<Tokenizer>,
    model: Model,
    base_hash: Option<String>,
    kept: Vec<Kept>,
    rows: Option<Rows>,
}

impl Examined {
    /// Opens a run that has a checkpoint; its rows are not read yet.
    ///
    /// # Errors
    /// User errors of the run's folder: `not_attributable` for objectives whose loss is no sum over rows that are there,
    /// `no_checkpoint` before the first, `base_changed` when an adapter's base is another.
    pub fn open(run_dir: &Path) -> Result<Self, EngineError> {
        setup::check_folder(run_dir)?;
        let spec = spec::load(run_dir)?;
        check_objective(spec.objective).map_err(|e| e.with_file(run_dir.join("run.json")))?;
        let kept = kept(run_dir)?;
        let newest = kept.last().ok_or_else(|| no_checkpoint(run_dir))?;
        let begin = &newest.checkpoint;
        let tokenizer = Arc::new(setup::load_tokenizer(&spec, &[], Some(begin))?);
        let (model, _, base_hash) = setup::load_model(&spec, &tokenizer, Some(begin))?;
        let of_base =
            |hash: &Option<String>| hash.as_deref().and_then(|h| h.split('+').next().map(str::to_owned));
        if spec.freezes() && of_base(&begin.state.base_hash) != of_base(&base_hash) {
            return Err(changed("base_changed", "The base model's weights are", &begin.path));
        }
        let method = Method::of(&spec);
        let base_hash = begin.state.base_hash.clone();
        let mut this =
            Self { run_dir: run_dir.to_owned(), spec, method, tokenizer, model, base_hash, kept, rows: None };
        this.settle();
        Ok(this)
    }

    fn settle(&mut self) {
        let what = if self.spec.freezes() { Trainable::Adapter } else { Trainable::Full };
        self.model.set_trainable(what);
        self.model.without_dropout();
    }

    /// The checkpoints that steps of the run led to, oldest first.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Numbers that are trained.
    pub fn parameters(&self) -> usize {
        self.model.trainable_count()
    }

    /// What the gradients of all rows at a checkpoint depend on: settings, rows, base and weights.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn key(&self, at: usize) -> Result<String, EngineError> {
        let Checkpoint { path, state } = &self.kept[at].checkpoint;
        let weights = if self.spec.freezes() {
            tillage_generate::adapter_hash(path)?
        } else {
            tillage_generate::model_hash(path)?
        };
        let mut digest = Sha256::new();
        for part in [&state.spec_hash, &state.data_hash, &weights] {
            digest.update(part);
            digest.update("\n");
        }
        digest.update(self.base_hash.as_deref().unwrap_or_default());
        for file in &self.spec.data.train {
            let bytes = MappedFile::open(file).map_err(|e| EngineError::io(&e, file))?;
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(&*bytes);
        }
        Ok(hex(&digest.finalize()))
    }

    /// Takes the weights of a checkpoint.
    ///
    /// # Errors
    /// User errors of the checkpoint's files.
    pub fn go_to(&mut self, at: usize) -> Result<(), EngineError> {
        let path = self.kept[at].checkpoint.path.clone();
        self.model.set_trainable(Trainable::Nothing);
        if self.spec.freezes() {
            self.model.load_adapter(&path)?;
        } else {
            self.model = Model::load(&path)?;
            self.model.set_mixed(self.spec.dtype == Dtype::Bf16);
        }
        self.settle();
        Ok(())
    }

    /// What the optimiser multiplies each number of a gradient with at a checkpoint: see [`optimizer::factors`].
    ///
    /// # Errors
    /// `bad_checkpoint` when its states cannot be used.
    pub fn factors(&mut self, at: usize) -> Result<Option<Vec<f32>>, EngineError> {
        let path = self.kept[at].checkpoint.path.join("trainer/optimizer.safetensors");
        let ratio = self.spec.adapter.as_ref().and_then(|a| a.lora_plus).unwrap_or(1.0);
        optimizer::factors(&path, &mut self.model, &self.spec.train, ratio)
    }

    /// Reads the training rows, if they are not there yet.
    ///
    /// # Errors
    /// User errors of the rows; `data_changed` when they are not those that the run has learned.
    pub fn read_rows(&mut self) -> Result<(), EngineError> {
        if self.rows.is_none() {
            self.rows = Some(self.rows()?);
        }
        Ok(())
    }

    /// Whether the passes and the optimiser's factors fit the memory beside `held` bytes.
    ///
    /// # Errors
    /// `out_of_memory` with both sizes; `internal` before [`Examined::read_rows`].
    pub fn check_memory(&self, held: u64) -> Result<(), EngineError> {
        let longest = self.train()?.lengths().into_iter().max().unwrap_or(0);
        let planned = self.model.plan_bytes(longest) + 8 * self.parameters() + setup::PROCESS_BYTES;
        Machine::new().check(planned as u64 + held).map_err(|e| EngineError {
            remedy: "Ask for fewer `dims`, which are kept for every row, or close other programs.".into(),
            ..e
        })
    }

    fn rows(&self) -> Result<Rows, EngineError> {
        let Self { spec, method, run_dir, .. } = self;
        let splits = match sequence::answered(spec, run_dir)? {
            Some(splits) => splits,
            None => Splits::read(spec, method.rows())?,
        };
        let Checkpoint { path, state } = &self.kept[self.kept.len() - 1].checkpoint;
        let encoder = setup::encoder(spec, Arc::clone(&self.tokenizer), spec::loss_on(spec), state.clock)?;
        let prefix = prompt::prefix(spec)?;
        let encode = |rows: &[DataRow]| {
            Dataset::encode(rows, method, &encoder, spec.weight.is_some()).map(|d| d.with_prefix(&prefix))
        };
        let (mut train, valid) = (encode(&splits.train)?, encode(&splits.valid)?);
        let mut digest = Sha256::new();
        train.digest(&mut digest);
        valid.digest(&mut digest);
        let data_hash = hex(&digest.finalize());
        if data_hash != state.data_hash {
            return Err(changed("data_changed", "The dataset's rows are", path));
        }
        let (partners, _) = Partners::load(spec, method, &self.model, state.clock, run_dir)?;
        if method.needs_reference() {
            let texts = [train.examples.len(), valid.examples.len()];
            let of = (data_hash.as_str(), self.base_hash.as_deref());
            [train.reference, _] = reference::known(spec, run_dir, of, texts)?;
        }
        Ok(Rows { train, partners })
    }

    fn train(&self) -> Result<&Dataset, EngineError> {
        let rows = self.rows.as_ref();
        rows.map(|r| &r.train).ok_or_else(|| EngineError::internal("no_rows", "The rows are not read yet."))
    }

    /// The names of all training rows.
    ///
    /// # Errors
    /// `internal` before [`Examined::read_rows`].
    pub fn ids(&self) -> Result<&[String], EngineError> {
        Ok(&self.train()?.ids)
    }

    /// The rows that the run learns from.
    ///
    /// # Errors
    /// `internal` before [`Examined::read_rows`].
    pub fn learned(&self) -> Result<Vec<usize>, EngineError> {
        let lengths = self.train()?.lengths();
        Ok((0..lengths.len()).filter(|row| lengths[*row] > 0).collect())
    }

    /// Makes the gradients those of a row's own loss, with the weight that it has in its step, divided by `weight`; without
    /// dropout. Returns the row's loss.
    ///
    /// # Errors
    /// As a step's; `nan_loss` when the loss is no number.
    pub fn row_gradient(&mut self, row: usize, weight: f64) -> Result<Loss, EngineError> {
        let Self { model, method, rows, .. } = self;
        let Some(Rows { train, partners }) = rows else {
            return Err(EngineError::internal("no_rows", "The rows are not read yet."));
        };
        let around = Around { teacher: partners.teacher.as_ref(), round: None };
        model.zero_grad();
        let loss = method.forward_backward(model, train, &[row], weight, &around)?;
        finite(&loss.rows, &train.ids[row])
    }

    /// What a row weighs in its step: its labelled tokens or 1, times its own weight.
    ///
    /// # Errors
    /// `internal` before [`Examined::read_rows`].
    pub fn weight(&self, row: usize) -> Result<f64, EngineError> {
        Ok(self.method.weight(self.train()?, &[row]))
    }

    /// Turns something that the model said into tokens: the loss counts all of a text, a prompt's completion, the assistant's
    /// turns of a conversation.
    ///
    /// # Errors
    /// The text's own; `no_labels` when nothing of it is counted; `reward_output` when the run has trained a reward model.
    pub fn output(&self, id: &str, text: RowText) -> Result<Output, EngineError> {
        if self.spec.objective == Objective::Reward {
            return Err(EngineError::user(
                "reward_output",
                format!("The output {id} is a text, and a reward model says none."),
                "Name training rows by `row_id`.",
            ));
        }
        let rule = match &text {
            RowText::Text(_) => LossOn::All,
            RowText::PromptCompletion { .. } => LossOn::Completion,
            RowText::Messages { .. } => LossOn::Assistant,
        };
        let clock = self.kept[self.kept.len() - 1].checkpoint.state.clock;
        let encoder = setup::encoder(&self.spec, Arc::clone(&self.tokenizer), rule, clock)?;
        let row = DataRow { id: id.to_owned(), texts: vec![text], good: true, open: false, weight: 1.0 };
        let data = Dataset::encode(&[row], &Method::Tokens, &encoder, false).map_err(|mut e| {
            e.message = e.message.replacen("Row ", "Output ", 1);
            e
        })?;
        let data = data.with_prefix(&prompt::prefix(&self.spec)?);
        if data.lengths() == [0] {
            return Err(EngineError::user(
                "no_labels",
                format!("The output {id} has no token that the loss counts within `context`."),
                "Give it a completion, or a shorter prompt.",
            ));
        }
        Ok(Output(data))
    }

    /// Makes the gradients those of an output's mean loss. Returns that loss.
    ///
    /// # Errors
    /// As [`Examined::row_gradient`].
    pub fn output_gradient(&mut self, output: &Output) -> Result<Loss, EngineError> {
        let Output(data) = output;
        let weight = Method::Tokens.weight(data, &[0]);
        self.model.zero_grad();
        let loss =
            Method::Tokens.forward_backward(&mut self.model, data, &[0], weight, &Around::default())?;
        finite(&loss.rows, &data.ids[0])
    }

    /// The gradients, tensor by tensor, always in the same order.
    pub fn gradients(&self) -> Vec<&[f32]> {
        self.model.gradients()
    }
}

fn finite(rows: &[Loss], id: &str) -> Result<Loss, EngineError> {
    rows.first().copied().filter(|(loss, _)| loss.is_finite()).ok_or_else(|| {
        EngineError::user(
            "nan_loss",
            format!("The loss of {id} is not a number."),
            "Look at the checkpoint's weights and at the row.",
        )
    })
}

/// Refuses objectives whose loss is no sum of what each row adds by itself.
fn check_objective(objective: Objective) -> Result<(), EngineError> {
    let why = match objective {
        Objective::Grpo | Objective::Rloo | Objective::Ppo => {
            "learns from answers that the model draws, not from texts of its rows"
        }
        Objective::Kto => "measures its drift over whole batches, so that a row has no loss of its own",
        _ => return Ok(()),
    };
    Err(EngineError::user(
        "not_attributable",
        format!("The objective {objective:?} {why}: its rows cannot be ranked by gradients."),
        "Ask a run with another objective; rollouts.jsonl has the answers that a policy drew.",
    ))
}

/// Checkpoints that steps of this run led to, with the learning rates that `events.jsonl` tells.
fn kept(run_dir: &Path) -> Result<Vec<Kept>, EngineError> {
    let path = run_dir.join("events.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => no_checkpoint(run_dir),
        _ => EngineError::io(&e, &path),
    })?;
    let steps: Vec<(u64, f64)> = text
        .lines()
        .filter_map(|line| match serde_json::from_str(line) {
            Ok(Event::Step { step, lr, .. }) => Some((step, lr)),
            _ => None,
        })
        .collect();
    let (mut all, mut before) = (Vec::new(), 0);
    for checkpoint in checkpoint::all(run_dir)? {
        resume::check_version(&checkpoint)?;
        let step = checkpoint.state.step;
        let since: Vec<f64> =
            steps.iter().filter(|(s, _)| *s > before && *s <= step).map(|(_, lr)| *lr).collect();
        before = step;
        let lr = since.iter().sum::<f64>() / since.len().max(1) as f64;
        if lr > 0.0 {
            all.push(Kept { step, lr, checkpoint });
        }
    }
    Ok(all)
}

fn no_checkpoint(run_dir: &Path) -> EngineError {
    EngineError::user(
        "no_checkpoint",
        format!("The run in {} has no checkpoint behind a step of its own.", run_dir.display()),
        "Let it train until its first checkpoint, which `checkpoint_every` sets.",
    )
    .with_file(run_dir)
}

fn changed(code: &str, what: &str, path: &Path) -> EngineError {
    EngineError::user(
        code,
        format!("{what} not those that the run was trained with, so its rows have other gradients."),
        "Put the old files back, or start a new run.",
    )
    .with_file(path)
}
