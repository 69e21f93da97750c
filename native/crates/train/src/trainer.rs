//! The run while it goes on: steps, validation, watch prompts, checkpoints.

use crate::checkpoint::{self, RngState, State};
use crate::control::Control;
use crate::events::EventLog;
use crate::machine::Machine;
use crate::method::Metrics;
use crate::optimizer::Optimizer;
use crate::row_loss::RowLoss;
use crate::setup::Prepared;
use crate::{reference, step};
use std::path::PathBuf;
use std::time::Instant;
use tillage_generate::{Flow, Sampling};
use tillage_protocol::{EngineError, Event, RunSpec};
use tillage_text::pack::plan_epoch;

/// A prepared run with its open files.
pub struct Trainer<'a> {
    pub run_dir: PathBuf,
    pub spec: &'a RunSpec,
    pub prepared: Prepared,
    pub optimizer: Optimizer,
    pub log: &'a mut EventLog,
    pub row_loss: RowLoss,
    pub machine: Machine,
    pub begun: Instant,
    pub spec_hash: String,
    pub threads: usize,
    /// Steps done.
    pub done: &'a mut u64,
    /// Step of the newest checkpoint.
    pub saved: Option<u64>,
}

impl Trainer<'_> {
    /// Takes the steps that are left. True when all are done, false when the run was asked to stop.
    pub fn run(&mut self, control: &Control) -> Result<bool, EngineError> {
        let total = self.prepared.plan.total();
        if self.prepared.method.needs_reference() && !reference::ensure(self, control)? {
            return Ok(false);
        }
        if *self.done == 0 {
            if self.spec.adapter.is_none() && self.saved.is_none() {
                self.checkpoint()?;
            }
            if self.spec.train.watch_every > 0 {
                self.watch()?;
            }
        }
        while *self.done < total {
            if control.stopping(&self.run_dir) {
                if self.saved != Some(*self.done) {
                    self.checkpoint()?;
                }
                return Ok(false);
            }
            step::take(self)?;
            let done = *self.done;
            let due = |every: u64| every > 0 && done.is_multiple_of(every);
            if due(self.spec.train.validate_every) || done == total {
                self.validate()?;
            }
            if due(self.spec.train.watch_every) || (done == total && self.spec.train.watch_every > 0) {
                self.watch()?;
            }
            if due(self.spec.train.checkpoint_every) || done == total {
                self.checkpoint()?;
            }
        }
        Ok(true)
    }

    fn validate(&mut self) -> Result<(), EngineError> {
        let Prepared { method, model, valid, .. } = &self.prepared;
        let around = self.prepared.around(self.spec.train.seed, *self.done);
        let (mut sum, mut weight, mut tokens) = (0.0, 0, 0);
        let mut metrics = Metrics::default();
        for rows in plan_epoch(&valid.lengths(), self.spec.train.batch_tokens, 0, 0) {
            let loss = method.evaluate(model, valid, &rows, &around)?;
            sum += loss.sum;
            weight += method.weight(valid, &rows);
            tokens += loss.rows.iter().map(|(_, tokens)| *tokens as u64).sum::<u64>();
            metrics.merge(&loss.metrics);
        }
        if tokens > 0 {
            let (loss, metrics) = (sum / weight as f64, metrics.means());
            self.log.append(&Event::Validation { step: *self.done, loss, tokens, metrics })?;
        }
        Ok(())
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
        self.log.sync()?;
        self.row_loss.write(&self.prepared.train.ids)?;
        let state = State {
            version: checkpoint::STATE_VERSION,
            engine: env!("CARGO_PKG_VERSION").into(),
            step,
            rng: RngState { algorithm: "chacha8".into(), seed: self.spec.train.seed },
            position: self.prepared.plan.step(step).map(|s| s.position),
            events_bytes: self.log.len(),
            threads: self.threads,
            spec_hash: self.spec_hash.clone(),
            data_hash: self.prepared.data_hash.clone(),
            base_hash: self.prepared.base_hash.clone(),
            clock: self.prepared.clock,
        };
        let Prepared { model, base_name, encoder, .. } = &self.prepared;
        checkpoint::write(&self.run_dir, model, base_name, encoder.tokenizer(), &self.optimizer, &state)?;
        self.saved = Some(step);
        self.log.append(&Event::Checkpoint { step, path: checkpoint::relative(step) })?;
        self.log.sync()?;
        checkpoint::prune(&self.run_dir)
    }
}
