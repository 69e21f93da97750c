//! The run while it goes on: steps, validation, watch prompts, checkpoints.

use crate::best::Validations;
use crate::checkpoint::{self, RngState, State};
use crate::control::Control;
use crate::events::EventLog;
use crate::metrics::Metrics;
use crate::optimizer::Optimizer;
use crate::rollouts::Rollouts;
use crate::row_loss::RowLoss;
use crate::setup::Prepared;
use crate::{reference, step};
use std::path::PathBuf;
use std::time::Instant;
use tillage_generate::{Flow, Sampling};
use tillage_model::machine::Machine;
use tillage_protocol::course::{Best, ForkedFrom};
use tillage_protocol::{EngineError, Event, RunSpec};
use tillage_text::pack::plan_epoch;

/// A prepared run with its open files.
pub struct Trainer<'a> {
    /// The run's folder.
    pub run_dir: PathBuf,
    /// Its settings, paths resolved.
    pub spec: &'a RunSpec,
    /// Model and rows.
    pub prepared: Prepared,
    /// What takes the steps.
    pub optimizer: Optimizer,
    /// `events.jsonl`.
    pub log: &'a mut EventLog,
    /// `row_loss.parquet`.
    pub row_loss: RowLoss,
    /// The answers that a policy draws.
    pub rollouts: Option<Rollouts>,
    /// Tells how much memory the process takes.
    pub machine: Machine,
    /// When this attempt began.
    pub begun: Instant,
    /// SHA-256 of the settings that decide the result.
    pub spec_hash: String,
    /// Threads that it computes with.
    pub threads: usize,
    /// Steps done.
    pub done: &'a mut u64,
    /// Step of the newest checkpoint.
    pub saved: Option<u64>,
    /// What the validations so far say.
    pub validations: Validations,
    /// Where a forked run began.
    pub forked_from: Option<ForkedFrom>,
}

impl Trainer<'_> {
    /// Takes the steps that are left. True when the run has come to its end, false when it was asked to stop.
    ///
    /// # Errors
    /// The first one of a step, a validation or a checkpoint; what was written before it stays.
    pub fn run(&mut self, control: &Control) -> Result<bool, EngineError> {
        let total = self.prepared.plan.total();
        if self.prepared.method.needs_reference() && !reference::ensure(self, control)? {
            return Ok(false);
        }
        if self.forked_from.is_some() && self.saved.is_none() {
            // From here on the other run may remove its checkpoint.
            self.checkpoint()?;
        }
        if *self.done == 0 {
            if !self.spec.freezes() && self.saved.is_none() {
                self.checkpoint()?;
            }
            if self.spec.train.watch_every > 0 {
                self.watch()?;
            }
        }
        while *self.done < total && !self.exhausted() {
            if control.stopping(&self.run_dir) {
                if self.saved != Some(*self.done) {
                    self.checkpoint()?;
                }
                return Ok(false);
            }
            step::take(self)?;
            let done = *self.done;
            let due = |every: u64| every > 0 && done.is_multiple_of(every);
            let better =
                if due(self.spec.train.validate_every) || done == total { self.validate()? } else { false };
            let end = done == total || self.exhausted();
            if due(self.spec.train.watch_every) || (end && self.spec.train.watch_every > 0) {
                self.watch()?;
            }
            if due(self.spec.train.checkpoint_every) || better || end {
                self.checkpoint()?;
            }
        }
        Ok(true)
    }

    /// Whether early stopping ends the run here.
    pub fn exhausted(&self) -> bool {
        self.validations.exhausted(&self.spec.train)
    }

    /// The validation whose checkpoint is the run's result; `None` where that is the last one.
    pub fn best(&self) -> Option<Best> {
        self.validations.best().filter(|_| self.spec.train.tracks_best())
    }

    /// True when the run looks for its best checkpoint, and this would be it.
    fn validate(&mut self) -> Result<bool, EngineError> {
        let Prepared { method, model, valid, .. } = &self.prepared;
        let around = self.prepared.around(self.spec.train.seed, *self.done);
        let (mut sum, mut weight, mut tokens) = (0.0, 0.0, 0);
        let mut metrics = Metrics::default();
        for rows in plan_epoch(&valid.lengths(), self.spec.train.batch_tokens, 0, 0) {
            let loss = method.evaluate(model, valid, &rows, &around)?;
            sum += loss.sum;
            weight += method.weight(valid, &rows);
            tokens += loss.rows.iter().map(|(_, tokens)| *tokens as u64).sum::<u64>();
            metrics.merge(&loss.metrics);
        }
        if weight == 0.0 {
            return Ok(false);
        }
        let (step, loss) = (*self.done, sum / weight);
        if !loss.is_finite() {
            return Err(step::broken(&format!("The validation loss after step {step}")));
        }
        self.log.append(&Event::Validation { step, loss, tokens, metrics: metrics.means() })?;
        let config = &self.spec.train;
        Ok(config.tracks_best() && self.validations.take(step, loss, config))
    }

    fn watch(&mut self) -> Result<(), EngineError> {
        let sampling = Sampling { max_new: self.spec.watch_max_new, temperature: 0.0, seed: 0 };
        let Prepared { model, encoder, .. } = &self.prepared;
        let (prompts, width) = (&self.spec.watch, tillage_generate::WIDTH);
        let answers =
            tillage_generate::answers(model, encoder, prompts, &sampling, width, &mut |_, _| Flow::Go)?;
        for (prompt, answer) in prompts.iter().zip(answers) {
            self.log.append(&Event::Sample {
                step: *self.done,
                id: prompt.id.clone(),
                prompt: prompt.prompt.clone(),
                text: answer.text,
            })?;
        }
        Ok(())
    }

    /// Writes the rows' losses, then the checkpoint, then the event that announces it.
    fn checkpoint(&mut self) -> Result<(), EngineError> {
        let step = *self.done;
        if self.prepared.model.parameters_mut().iter().any(|p| p.value.iter().any(|x| !x.is_finite())) {
            return Err(step::broken(&format!("A weight after step {step}")));
        }
        self.log.sync()?;
        self.rollouts.as_ref().map_or(Ok(()), Rollouts::sync)?;
        self.row_loss.write(&self.prepared.train.ids)?;
        let state = State {
            version: checkpoint::STATE_VERSION,
            engine: env!("CARGO_PKG_VERSION").into(),
            step,
            rng: RngState { algorithm: "chacha8".into(), seed: self.spec.train.seed },
            position: self.prepared.plan.step(step).map(|s| s.position),
            events_bytes: self.log.len(),
            rollouts_bytes: self.rollouts.as_ref().map_or(0, Rollouts::len),
            threads: self.threads,
            spec_hash: self.spec_hash.clone(),
            data_hash: self.prepared.data_hash.clone(),
            base_hash: self.prepared.base_hash.clone(),
            clock: self.prepared.clock,
            first_step: self.prepared.plan.first(),
            forked_from: self.forked_from.clone(),
            validations: self.validations.clone(),
        };
        let Prepared { model, base_name, encoder, .. } = &self.prepared;
        checkpoint::write(&self.run_dir, model, base_name, encoder.tokenizer(), &self.optimizer, &state)?;
        self.saved = Some(step);
        self.log.append(&Event::Checkpoint { step, path: checkpoint::relative(step) })?;
        self.log.sync()?;
        checkpoint::prune(&self.run_dir, self.best().map(|b| b.step))
    }
}
