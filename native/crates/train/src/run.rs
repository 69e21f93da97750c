//! A whole run, from its folder to its folder.

use crate::checkpoint::{self, Checkpoint};
use crate::control::{stop_file, Control};
use crate::events::{now, EventLog};
use crate::machine::Machine;
use crate::optimizer::Optimizer;
use crate::row_loss::RowLoss;
use crate::trainer::Trainer;
use crate::{files, guard, lock, resume, setup, spec};
use std::path::Path;
use std::time::Instant;
use tillage_protocol::event::Outcome;
use tillage_protocol::{EngineError, Event, RunSpec};

/// How a run is executed; nothing here changes its result but the number of threads.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub control: Control,
    /// Threads that the process computes with.
    pub threads: usize,
    /// Write events to stdout too.
    pub mirror: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Completed,
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
    if let Err(error) = &result {
        let failed = Event::Failed {
            time: now(),
            step: done,
            error: error.clone(),
            checkpoint: checkpoint::newest_relative(run_dir),
        };
        // On a full disk even this line may find no room; the error is returned in any case.
        let _ = log.append(&failed).and_then(|()| log.sync());
    }
    result
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
        if c.state.position.is_none() && run_dir.join(output(&spec)).is_dir() && finished(run_dir) {
            return Ok(Ended::AlreadyComplete);
        }
    }
    let mut prepared = setup::prepare(&spec, checkpoint.as_ref())?;
    let mut optimizer = Optimizer::new(&mut prepared.model);
    let row_loss = match &checkpoint {
        Some(c) => {
            resume::check_inputs(c, &mut prepared)?;
            optimizer.load(&c.path.join("trainer/optimizer.safetensors"), c.state.step)?;
            RowLoss::reopen(run_dir, c.state.step, &prepared.train.ids)?
        }
        None => RowLoss::new(run_dir),
    };
    rewind(run_dir, log, checkpoint.as_ref())?;
    let planned_bytes = setup::planned_bytes(&prepared);
    let machine = Machine::new();
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
        planned_bytes,
    })?;
    warn(log, *done, &prepared.counts, checkpoint.as_ref(), options.threads)?;
    let mut trainer = Trainer {
        run_dir: run_dir.to_owned(),
        spec: &spec,
        prepared,
        optimizer,
        log,
        row_loss,
        machine,
        begun,
        spec_hash,
        threads: options.threads,
        done,
        saved: checkpoint.as_ref().map(|c| c.state.step),
    };
    let completed = trainer.run(&options.control)?;
    if completed {
        files::write_folder(&run_dir.join(output(&spec)), |dir| {
            let p = &trainer.prepared;
            checkpoint::save_result(dir, &p.model, &p.base_name, p.encoder.tokenizer())
        })?;
    }
    files::remove(&stop_file(run_dir))?;
    let step = *trainer.done;
    log.append(&Event::Finished {
        time: now(),
        step,
        outcome: if completed { Outcome::Completed } else { Outcome::Stopped },
        seconds: begun.elapsed().as_secs_f64(),
        output: completed.then(|| output(&spec).to_owned()),
    })?;
    log.sync()?;
    Ok(if completed { Ended::Completed } else { Ended::Stopped })
}

/// Name of the result's folder.
fn output(spec: &RunSpec) -> &'static str {
    if spec.adapter.is_some() {
        "adapter"
    } else {
        "model"
    }
}

/// Whether the log says that the run was completed.
fn finished(run_dir: &Path) -> bool {
    let text = std::fs::read_to_string(run_dir.join("events.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .any(|event| matches!(event, Event::Finished { outcome: Outcome::Completed, .. }))
}

/// Cuts the log back to the checkpoint (or to the beginning), and announces the checkpoint if the kill came before that.
fn rewind(run_dir: &Path, log: &mut EventLog, checkpoint: Option<&Checkpoint>) -> Result<(), EngineError> {
    let Some(c) = checkpoint else {
        files::remove(&run_dir.join("row_loss.parquet"))?;
        return log.rewind(0);
    };
    let event = Event::Checkpoint { step: c.state.step, path: checkpoint::relative(c.state.step) };
    log.rewind_to(c.state.events_bytes, &event)
}

fn warn(
    log: &mut EventLog,
    step: u64,
    counts: &crate::dataset::Counts,
    checkpoint: Option<&Checkpoint>,
    threads: usize,
) -> Result<(), EngineError> {
    let mut warn =
        |code: &str, message: String| log.append(&Event::Warning { step, code: code.into(), message });
    if let Some(before) = checkpoint.map(|c| &c.state.engine).filter(|v| *v != env!("CARGO_PKG_VERSION")) {
        warn(
            "engine_changed",
            format!("The run was begun with engine {before}: its losses may differ in the last digits from an unbroken run's."),
        )?;
    }
    if let Some(before) = checkpoint.map(|c| c.state.threads).filter(|before| *before != threads) {
        warn(
            "threads_changed",
            format!("The run was begun with {before} threads and goes on with {threads}: the last digits of its losses may differ from an unbroken run's."),
        )?;
    }
    if checkpoint.is_some() {
        return Ok(());
    }
    if counts.long_rows > 0 {
        warn(
            "rows_cut",
            format!(
                "{} of {} rows are longer than the context; {} tokens are cut.",
                counts.long_rows, counts.rows, counts.cut_tokens
            ),
        )?;
    }
    if counts.masked_rows > 0 {
        warn(
            "rows_masked",
            format!(
                "{} of {} rows have no token that the loss counts, and are left out.",
                counts.masked_rows, counts.rows
            ),
        )?;
    }
    Ok(())
}
