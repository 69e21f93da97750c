//! What one attempt at a run finds in its folder, and what it tells before its first step and after its last.

use crate::checkpoint::{self, Checkpoint};
use crate::dataset::Counts;
use crate::events::EventLog;
use crate::files;
use std::path::Path;
use tillage_protocol::event::Outcome;
use tillage_protocol::{EngineError, Event};

/// Adds the last good checkpoint to what the user is told.
pub fn with_checkpoint(mut error: EngineError, run_dir: &Path, done: u64) -> (EngineError, Option<String>) {
    let broken = error.code == "nan_loss";
    let before = match error.code.as_str() {
        // Weights that lead to no number are no good, be they saved or not.
        "nan_loss" => Some(done),
        "bad_checkpoint" | "checkpoint_version" => checkpoint::newest_step(run_dir),
        _ => None,
    };
    let checkpoint = checkpoint::newest_relative(run_dir, before);
    if let Some(c) = &checkpoint {
        let use_of_it = if broken { "; a new run can fork from it" } else { "" };
        error.remedy = format!("{} The last good checkpoint is {c}{use_of_it}.", error.remedy);
    }
    (error, checkpoint)
}

/// Whether the log says that the run was completed.
pub fn finished(run_dir: &Path) -> bool {
    let text = std::fs::read_to_string(run_dir.join("events.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .any(|event| matches!(event, Event::Finished { outcome: Outcome::Completed, .. }))
}

/// Cuts the log back to the checkpoint (or to the beginning), and announces the checkpoint if the kill came before that.
///
/// # Errors
/// The machine's.
pub fn rewind(
    run_dir: &Path,
    log: &mut EventLog,
    checkpoint: Option<&Checkpoint>,
) -> Result<(), EngineError> {
    let Some(c) = checkpoint else {
        files::remove(&run_dir.join("row_loss.parquet"))?;
        return log.rewind(0);
    };
    let event = Event::Checkpoint { step: c.state.step, path: checkpoint::relative(c.state.step) };
    log.rewind_to(c.state.events_bytes, &event)
}

/// Warns of what differs from the attempt before, and in a fresh run of what the rows lose.
///
/// # Errors
/// The machine's.
pub fn warn(
    log: &mut EventLog,
    step: u64,
    counts: &Counts,
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
    if counts.dropped_rows > 0 {
        warn(
            "rows_dropped",
            format!(
                "{} of {} rows are longer than the context and are left out.",
                counts.dropped_rows, counts.rows
            ),
        )?;
    } else if counts.long_rows > 0 {
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
                "{} of {} rows have no token that the loss counts, or leave no room for an answer, and are left out.",
                counts.masked_rows, counts.rows
            ),
        )?;
    }
    if counts.weightless_rows > 0 {
        warn(
            "rows_weightless",
            format!("{} of {} rows have the weight 0 and are left out.", counts.weightless_rows, counts.rows),
        )?;
    }
    Ok(())
}
