//! A scalar head for reward models: the last norm's output at each text's last token, times one row of weights.

use crate::adapter::{Adapter, PEFT_PREFIX};
use crate::attention::Context;
use crate::model::no_adapter;
use crate::norms;
use crate::weights::{stream, Tensor};
use crate::workspace::{Keep, Workspace};
use crate::{Model, Packed, Trainable};
use rand_distr::{Distribution, Normal};
use tillage_kernels::cpu;
use tillage_protocol::EngineError;

/// The head's key in PEFT's files, `[1, hidden]`.
pub(crate) fn key() -> String {
    format!("{PEFT_PREFIX}score.weight")
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

    /// Whether the adapter has a scalar head: it is a reward model's.
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

    /// The last token of each text.
    fn check_scores(&self, batch: &Packed) -> Result<Vec<usize>, EngineError> {
        batch.check(self.config.vocab_size)?;
        if !self.has_score() {
            return Err(EngineError::internal("no_score", "The model has no scalar head."));
        }
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
