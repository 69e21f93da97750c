//! A whole run, from its folder to its folder.

use crate::attempt::{finished, rewind, warn, with_checkpoint};
use crate::checkpoint;
use crate::control::{stop_file, Control};
use crate::events::{now, EventLog};
use crate::fork::Origin;
use crate::optimizer::Optimizer;
use crate::rollouts::Rollouts;
use crate::row_loss::RowLoss;
use crate::sequence::{self, Asked};
use crate::trainer::Trainer;
use crate::{files, lock, resume, setup, spec};
use std::path::Path;
use std::time::Instant;
use tillage_model::machine::Machine;
use tillage_protocol::course::Recompute;
use tillage_protocol::event::Outcome;
use tillage_protocol::{guard, EngineError, Event, RunSpec};

/// How a run is executed; nothing here changes its result but the number of threads.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where it can be stopped from.
    pub control: Control,
    /// Threads that the process computes with.
    pub threads: usize,
    /// Write events to stdout too.
    pub mirror: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every step was taken, or early stopping ended the run.
    Completed,
    /// It was stopped on request, behind a checkpoint.
    Stopped,
    /// It had been completed before; nothing was done.
    AlreadyComplete,
}

/// Trains the run of a folder, from its last checkpoint when there is one.
///
/// # Errors
/// Whatever ended it; the same error stands in `events.jsonl` as `failed`, unless another process holds the folder.
pub fn train(run_dir: &Path, options: &Options) -> Result<Ended, EngineError> {
    setup::check_folder(run_dir)?;
    let _lock = lock::acquire(run_dir)?;
    let mut log = EventLog::open(run_dir, options.mirror)?;
    let mut done = 0;
    let result = guard::guarded(|| run(run_dir, options, &mut log, &mut done));
    result.map_err(|error| {
        let (error, checkpoint) = with_checkpoint(error, run_dir, done);
        let failed = Event::Failed { time: now(), step: done, error: error.clone(), checkpoint };
        // On a full disk even this line may find no room; the error is returned in any case.
        let _ = log.append(&failed).and_then(|()| log.sync());
        error
    })
}

fn run(run_dir: &Path, options: &Options, log: &mut EventLog, done: &mut u64) -> Result<Ended, EngineError> {
    let begun = Instant::now();
    let spec = spec::load(run_dir)?;
    files::sweep(run_dir)?;
    files::sweep(&run_dir.join("checkpoints"))?;
    files::remove(&stop_file(run_dir))?;
    let spec_hash = setup::spec_hash(&spec);
    let checkpoint = checkpoint::newest(run_dir)?;
    if let Some(c) = &checkpoint {
        resume::check_spec(c, &spec_hash)?;
        *done = c.state.step;
        let at_end = c.state.position.is_none() || c.state.validations.exhausted(&spec.train);
        if at_end && run_dir.join(output(&spec)).is_dir() && finished(run_dir) {
            return Ok(Ended::AlreadyComplete);
        }
    }
    // Once a fork has a checkpoint of its own, it does not need the other run any more.
    let origin = if checkpoint.is_some() { None } else { Origin::load(&spec)? };
    let begin = checkpoint.as_ref().or(origin.as_ref().map(|o| &o.checkpoint));
    // What a teacher tells while it answers stays in the log of a run that begins.
    let answers = checkpoint.is_none() && sequence::wanted(&spec).is_some();
    if answers {
        rewind(run_dir, log, None)?;
    }
    let (given, asked_bytes) = match sequence::ensure(&spec, run_dir, begin, log, &options.control)? {
        Asked::Nobody => (None, 0),
        Asked::All(splits, bytes) => (Some(splits), bytes),
        Asked::Stopped => return stopped(run_dir, log, *done, begun),
    };
    let mut prepared = setup::prepare(&spec, begin, run_dir, given)?;
    let mut optimizer = Optimizer::new(&mut prepared.model, spec.train.optimizer)
        .with_b_ratio(spec.adapter.as_ref().and_then(|a| a.lora_plus).unwrap_or(1.0));
    let (mut moved, mut forked_from) = (None, checkpoint.as_ref().and_then(|c| c.state.forked_from.clone()));
    if let Some(origin) = &origin {
        moved = origin.place(&spec, &mut prepared)?;
        forked_from = Some(origin.told());
        *done = origin.checkpoint.state.step;
    }
    if let Some(c) = &checkpoint {
        resume::check_inputs(c, &mut prepared)?;
    }
    if let Some(c) = begin {
        optimizer.load(&c.path.join("trainer/optimizer.safetensors"), c.state.step)?;
    }
    let row_loss = match &checkpoint {
        Some(c) => RowLoss::reopen(run_dir, c.state.step, &prepared.train.ids)?,
        None => RowLoss::new(run_dir),
    };
    let draws = spec.policy.is_some();
    let kept = checkpoint.as_ref().map_or(0, |c| c.state.rollouts_bytes);
    let rollouts = draws.then(|| Rollouts::open(run_dir, kept)).transpose()?;
    if !answers {
        rewind(run_dir, log, checkpoint.as_ref())?;
    }
    let machine = Machine::new();
    let (planned_bytes, recompute) = setup::plan_memory(&mut prepared, &spec.train, machine.available());
    machine.check(planned_bytes)?;
    log.append(&Event::Started {
        time: now(),
        pid: std::process::id(),
        engine: env!("CARGO_PKG_VERSION").into(),
        device: "cpu".into(),
        threads: options.threads,
        step: *done,
        total_steps: prepared.plan.total(),
        parameters: prepared.model.parameter_count() as u64,
        trainable: prepared.model.trainable_count() as u64,
        train_rows: prepared.counts.rows,
        train_tokens: prepared.counts.tokens,
        valid_rows: prepared.valid.ids.len() as u64,
        planned_bytes: planned_bytes.max(asked_bytes),
        forked_from: forked_from.clone(),
    })?;
    if let Some(message) = moved {
        log.append(&Event::Warning { step: *done, code: "position_restarted".into(), message })?;
    }
    if recompute && spec.train.recompute == Recompute::Auto {
        let message = "Too little memory is free to keep every layer's activations: they are computed again in the backward \
                       pass. The result is the same; steps take about a third longer.";
        log.append(&Event::Warning { step: *done, code: "recompute".into(), message: message.into() })?;
    }
    warn(log, *done, &prepared.counts, checkpoint.as_ref(), options.threads)?;
    let mut trainer = Trainer {
        run_dir: run_dir.to_owned(),
        spec: &spec,
        prepared,
        optimizer,
        log,
        row_loss,
        rollouts,
        machine,
        begun,
        spec_hash,
        threads: options.threads,
        done,
        saved: checkpoint.as_ref().map(|c| c.state.step),
        validations: checkpoint.map(|c| c.state.validations).unwrap_or_default(),
        forked_from,
    };
    let completed = trainer.run(&options.control)?;
    if completed {
        files::write_folder(&run_dir.join(output(&spec)), |dir| match trainer.best() {
            Some(best) => checkpoint::copy_result(run_dir, best.step, dir, keeps_value_head(&spec)),
            None => {
                let p = &trainer.prepared;
                checkpoint::save_result(dir, &p.model, &p.base_name, p.encoder.tokenizer())?;
                if keeps_value_head(&spec) {
                    p.model.save_score(&dir.join(checkpoint::KEPT_VALUE_HEAD))?;
                }
                Ok(())
            }
        })?;
    }
    files::remove(&stop_file(run_dir))?;
    let (step, best) = (*trainer.done, trainer.best().filter(|_| completed));
    let early = completed && step < trainer.prepared.plan.total();
    log.append(&Event::Finished {
        time: now(),
        step,
        outcome: if completed { Outcome::Completed } else { Outcome::Stopped },
        seconds: begun.elapsed().as_secs_f64(),
        output: completed.then(|| output(&spec).to_owned()),
        best,
        early,
    })?;
    log.sync()?;
    Ok(if completed { Ended::Completed } else { Ended::Stopped })
}

/// The end of a run that was asked to stop before it had begun to learn.
fn stopped(run_dir: &Path, log: &mut EventLog, step: u64, begun: Instant) -> Result<Ended, EngineError> {
    files::remove(&stop_file(run_dir))?;
    let (outcome, seconds) = (Outcome::Stopped, begun.elapsed().as_secs_f64());
    log.append(&Event::Finished {
        time: now(),
        step,
        outcome,
        seconds,
        output: None,
        best: None,
        early: false,
    })?;
    log.sync()?;
    Ok(Ended::Stopped)
}

/// Whether the result has the policy's value head beside it.
fn keeps_value_head(spec: &RunSpec) -> bool {
    spec.policy.as_ref().and_then(|p| p.ppo.as_ref()).is_some_and(|p| p.keep_value_head)
}

/// Name of the result's folder.
fn output(spec: &RunSpec) -> &'static str {
    if spec.freezes() {
        "adapter"
    } else {
        "model"
    }
}
