//! Is a checkpoint still a checkpoint of this run?

use crate::checkpoint::{Checkpoint, STATE_VERSION};
use crate::setup::Prepared;
use tillage_protocol::EngineError;

/// Whether this engine can read the checkpoint.
///
/// # Errors
/// `checkpoint_version` when another engine wrote it in another form.
pub fn check_version(checkpoint: &Checkpoint) -> Result<(), EngineError> {
    if checkpoint.state.version == STATE_VERSION {
        return Ok(());
    }
    Err(EngineError::user(
        "checkpoint_version",
        format!(
            "The checkpoint has version {}, and this engine reads {STATE_VERSION}.",
            checkpoint.state.version
        ),
        "Go on with the version of Tillage that began the run.",
    )
    .with_file(&checkpoint.path))
}

/// Checks before the rows are read.
///
/// # Errors
/// As [`check_version`]; `run_changed` when the settings are not those of the checkpoint.
pub fn check_spec(checkpoint: &Checkpoint, spec_hash: &str) -> Result<(), EngineError> {
    check_version(checkpoint)?;
    if checkpoint.state.spec_hash == spec_hash {
        return Ok(());
    }
    Err(changed("run_changed", "run.json has other settings than the run that wrote the checkpoint")
        .with_file(&checkpoint.path))
}

/// Checks of what was read.
///
/// # Errors
/// `data_changed` or `base_changed`: a resumed run would not be the run that was begun.
pub fn check_inputs(checkpoint: &Checkpoint, prepared: &mut Prepared) -> Result<(), EngineError> {
    let state = &checkpoint.state;
    let position = prepared.plan.step(state.step).map(|s| s.position);
    let error = if state.data_hash != prepared.data_hash || state.position != position {
        changed("data_changed", "The dataset's rows are not those that the run was begun with")
    } else if state.base_hash != prepared.base_hash {
        changed("base_changed", "The base model's weights are not those that the run was begun with")
    } else {
        return Ok(());
    };
    Err(error.with_file(&checkpoint.path))
}

fn changed(code: &str, what: &str) -> EngineError {
    EngineError::user(
        code,
        format!("{what}, so it cannot go on exactly."),
        "Start a new run, which may fork from the checkpoint, or put the old files back.",
    )
}
