//! A scalar head: the last norm's output times one row of weights. For reward models at each text's last token; for values of a
//! policy's texts at every labelled position.

use crate::adapter::{Adapter, PEFT_PREFIX};
use crate::attention::Context;
use crate::head::labelled;
use crate::model::no_adapter;
use crate::weights::{stream, Tensor};
use crate::workspace::{head_chunk, Keep, Workspace};
use crate::{norms, store};
use crate::{Model, Packed, Trainable};
use rand_distr::{Distribution, Normal};
use std::path::Path;
use tillage_kernels::cpu;
use tillage_protocol::EngineError;

/// The head's key in PEFT's files, `[1, hidden]`.
pub(crate) fn key() -> String {
    format!("{PEFT_PREFIX}score.weight")
}

/// Slopes of a loss in the token losses and in the values of the labelled positions.
pub type Slopes = (Vec<f32>, Vec<f32>);

/// The head's key in a file of its own.
const FILE_KEY: &str = "value_head.weight";

fn no_score() -> EngineError {
    EngineError::internal("no_score", "The model has no scalar head.")
}

impl Adapter {
    /// Adds the head.
    pub fn push_score(&mut self, value: Vec<f32>) {
        self.score = Some(self.tensors.len());
        self.tensors.push(Tensor::single(key(), vec![1, value.len()], value));
    }
}

impl Model {
    /// Gives the adapter a new scalar head, N(0, `initializer_range`) as transformers begins one; one that is there stays.
    ///
    /// # Errors
    /// `internal` without an adapter.
    pub fn attach_score(&mut self, seed: u64) -> Result<(), EngineError> {
        let (width, range) = (self.config.hidden_size, self.config.initializer_range as f32);
        let trained = self.trainable() == Trainable::Adapter;
        let adapter = self.adapter.as_mut().ok_or_else(no_adapter)?;
        if adapter.score.is_none() {
            let normal = Normal::new(0.0, range).map_err(|e| {
                EngineError::internal("initializer_range", format!("{range} is no standard deviation: {e}."))
            })?;
            let mut rng = stream(seed, u64::MAX);
            adapter.push_score((0..width).map(|_| normal.sample(&mut rng)).collect());
            adapter.tensors.iter_mut().for_each(|t| t.set_trainable(trained));
        }
        Ok(())
    }

    /// As [`Model::attach_score`]; the head is saved apart from the adapter.
    ///
    /// # Errors
    /// As [`Model::attach_score`].
    pub fn attach_values(&mut self, seed: u64) -> Result<(), EngineError> {
        self.attach_score(seed)?;
        self.adapter.iter_mut().for_each(|a| a.score_apart = true);
        Ok(())
    }

    /// Whether the scalar head gives a policy's values.
    pub fn has_values(&self) -> bool {
        self.has_score() && self.adapter.as_ref().is_some_and(|a| a.score_apart)
    }

    /// Whether the adapter has a scalar head: it is a reward model's or gives values.
    pub fn has_score(&self) -> bool {
        self.adapter.as_ref().is_some_and(|a| a.score.is_some())
    }

    /// The score of each text of a pack, from its last token.
    ///
    /// # Errors
    /// As [`Packed::check`]; `internal` without a head, or when a text has no token.
    pub fn scores(&self, batch: &Packed) -> Result<Vec<f32>, EngineError> {
        let rows = self.check_scores(batch)?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, Keep::Nothing);
        let scores = self.score(&rows, &mut ws);
        self.give_back(ws);
        Ok(scores)
    }

    /// Adds the gradients of any loss of the scores. `weigh` gets the scores of all texts, and gives the slope of its loss
    /// in each.
    ///
    /// # Errors
    /// As [`Model::scores`] and [`Model::forward_backward`].
    pub fn forward_backward_scores(
        &mut self,
        batch: &Packed,
        weigh: &mut dyn FnMut(&[f32]) -> Vec<f32>,
    ) -> Result<(), EngineError> {
        let rows = self.check_scores(batch)?;
        self.check_trainable()?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, self.keeping());
        let slopes = weigh(&self.score(&rows, &mut ws));
        ws.dx.fill(0.0);
        self.score_backward(&rows, &slopes, &mut ws);
        self.backward_layers(&batch.tokens, &batch.starts, &mut ws);
        self.give_back(ws);
        Ok(())
    }

    /// The loss of every labelled position, and the head's value of the text up to it, both in order.
    ///
    /// # Errors
    /// As [`Packed::check`]; `internal` without a head.
    pub fn token_losses_and_values(&self, batch: &Packed) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        self.check_head(batch)?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, Keep::Nothing);
        let found = self.losses_and_values(batch, &mut ws);
        self.give_back(ws);
        Ok(found)
    }

    /// As [`Model::forward_backward_by`], of any loss of the log-probabilities and of the head's values at the labelled
    /// positions: `weigh` gets both, and gives the slopes of its loss in the token losses and in the values.
    ///
    /// # Errors
    /// As [`Model::token_losses_and_values`] and [`Model::forward_backward`].
    pub fn forward_backward_valued(
        &mut self,
        batch: &Packed,
        weigh: &mut dyn FnMut(&[f32], &[f32]) -> Slopes,
    ) -> Result<(), EngineError> {
        self.check_head(batch)?;
        self.check_trainable()?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, self.keeping());
        let (losses, values) = self.losses_and_values(batch, &mut ws);
        let (slopes, value_slopes) = weigh(&losses, &values);
        let mut targets = labelled(batch);
        let rows: Vec<usize> = targets.iter().map(|l| l.row).collect();
        for (label, slope) in targets.iter_mut().zip(slopes) {
            label.target.grad = slope;
        }
        // This fills the residual stream's gradient, to which the values' is added.
        self.loss_of(targets, batch, &mut ws, true);
        let chunk = head_chunk(&self.config);
        for (rows, slopes) in rows.chunks(chunk).zip(value_slopes.chunks(chunk)) {
            self.score(rows, &mut ws);
            self.score_backward(rows, slopes, &mut ws);
        }
        if !rows.is_empty() {
            self.backward_layers(&batch.tokens, &batch.starts, &mut ws);
        }
        self.give_back(ws);
        Ok(())
    }

    /// Of the residual stream in `ws.x`; in chunks, so that the head's buffers stay small.
    fn losses_and_values(&self, batch: &Packed, ws: &mut Workspace) -> (Vec<f32>, Vec<f32>) {
        let mut losses = Vec::with_capacity(batch.labelled());
        self.loss_value(batch, ws, &mut |nll| losses.extend_from_slice(nll));
        let rows: Vec<usize> = labelled(batch).iter().map(|l| l.row).collect();
        let chunks = rows.chunks(head_chunk(&self.config));
        let values = chunks.flat_map(|rows| self.score(rows, ws)).collect();
        (losses, values)
    }

    /// Writes the head in a file of its own, `[1, hidden]`.
    ///
    /// # Errors
    /// `internal` without a head; `environment` when the disk does not take it.
    pub fn save_score(&self, path: &Path) -> Result<(), EngineError> {
        let head = self.head_weights();
        if head.is_empty() {
            return Err(no_score());
        }
        let shape = [1, head.len()];
        store::write_file(path, [(FILE_KEY, &shape[..], head)])
    }

    /// Reads back what [`Model::save_score`] wrote, into the head that is there.
    ///
    /// # Errors
    /// `user`, naming the file, when it is broken or of another width; `internal` without a head.
    pub fn load_score(&mut self, path: &Path) -> Result<(), EngineError> {
        let mut tensors = store::read_file(path)?;
        let (shape, value) = tensors.remove(FILE_KEY).ok_or_else(|| store::missing(FILE_KEY, path))?;
        let wanted = [1, self.config.hidden_size];
        if shape != wanted {
            return Err(store::wrong_shape(FILE_KEY, &shape, &wanted, path));
        }
        let adapter = self.adapter.as_mut().ok_or_else(no_adapter)?;
        let place = adapter.score.ok_or_else(no_score)?;
        adapter.tensors[place].value = value;
        Ok(())
    }

    fn check_head(&self, batch: &Packed) -> Result<(), EngineError> {
        batch.check(self.config.vocab_size)?;
        if self.has_score() {
            Ok(())
        } else {
            Err(no_score())
        }
    }

    /// The last token of each text.
    fn check_scores(&self, batch: &Packed) -> Result<Vec<usize>, EngineError> {
        self.check_head(batch)?;
        if batch.starts.windows(2).any(|w| w[0] == w[1]) {
            return Err(EngineError::internal("empty_text", "A text without a token has no score."));
        }
        Ok(batch.starts[1..].iter().map(|end| end - 1).collect())
    }

    pub(crate) fn head_weights(&self) -> &[f32] {
        let adapter = self.adapter.as_ref();
        adapter.and_then(|a| Some(&a.tensors[a.score?].value[..])).unwrap_or_default()
    }

    fn score(&self, rows: &[usize], ws: &mut Workspace) -> Vec<f32> {
        self.head_norm(rows, ws);
        let weights = self.head_weights();
        let dot = |x: &[f32]| x.iter().zip(weights).map(|(x, w)| x * w).sum();
        ws.head.norm.chunks_exact(self.config.hidden_size).map(dot).collect()
    }

    fn score_backward(&mut self, rows: &[usize], slopes: &[f32], ws: &mut Workspace) {
        let width = self.config.hidden_size;
        let head = &mut ws.head;
        head.dnorm.clear();
        for slope in slopes {
            head.dnorm.extend(self.head_weights().iter().map(|w| slope * w));
        }
        if let Some(adapter) = &mut self.adapter {
            let place = adapter.score.unwrap_or_default();
            if let Some(d) = adapter.tensors[place].grad_mut() {
                for (x, slope) in head.norm.chunks_exact(width).zip(slopes) {
                    d.iter_mut().zip(x).for_each(|(d, x)| *d += slope * x);
                }
            }
        }
        head.dx.clear();
        head.dx.resize(rows.len() * width, 0.0);
        let Model { config, weights, .. } = self;
        let ids = &weights.final_norm;
        norms::backward(config, &mut weights.tensors, ids, &mut head.dx, &head.dnorm, &head.x, &head.stats);
        cpu::scatter_add_rows(&mut ws.dx, &head.dx, rows, width);
    }
}
