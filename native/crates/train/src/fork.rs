//! A run that begins behind another run's checkpoint: its weights, optimiser states, place in the data and random numbers.

use crate::checkpoint::{self, Checkpoint};
use crate::plan::Plan;
use crate::setup::Prepared;
use crate::{resume, spec};
use tillage_model::spec::DecoderSpec;
use tillage_model::ModelConfig;
use tillage_protocol::course::ForkedFrom;
use tillage_protocol::run::ModelSource;
use tillage_protocol::{EngineError, RunSpec};

/// The checkpoint that a run forks from, and the run that wrote it.
#[derive(Debug)]
pub struct Origin {
    /// The checkpoint, at which the new run's steps begin.
    pub checkpoint: Checkpoint,
    run: RunSpec,
}

impl Origin {
    /// Reads what `fork` names; `None` when the run is no fork.
    ///
    /// # Errors
    /// `no_fork_checkpoint` when it is no checkpoint of a run; `fork_mismatch` when that run trains something else, or otherwise.
    pub fn load(spec: &RunSpec) -> Result<Option<Self>, EngineError> {
        let Some(path) = spec.fork.as_ref().map(|f| &f.checkpoint) else { return Ok(None) };
        let run_dir = path.parent().and_then(|checkpoints| checkpoints.parent());
        let run_dir = run_dir.filter(|_| path.join("trainer/state.json").is_file()).ok_or_else(|| {
            EngineError::user(
                "no_fork_checkpoint",
                format!("{} is not a checkpoint of a run.", path.display()),
                "Name a checkpoint that is there: a run keeps the newest three, its best and, under full training, step 0.",
            )
            .with_file(path)
        })?;
        let origin = Self { checkpoint: checkpoint::read(path.clone())?, run: spec::load(run_dir)? };
        resume::check_version(&origin.checkpoint)?;
        origin.check(spec)?;
        Ok(Some(origin))
    }

    /// What events say of it.
    pub fn told(&self) -> ForkedFrom {
        ForkedFrom { run: self.run.id.clone(), step: self.checkpoint.state.step }
    }

    fn check(&self, spec: &RunSpec) -> Result<(), EngineError> {
        let before = &self.run;
        if before.objective != spec.objective {
            return Err(self.mismatch("objective"));
        }
        if before.adapter != spec.adapter {
            return Err(self.mismatch("adapter"));
        }
        if before.prompt != spec.prompt {
            return Err(self.mismatch("prompt"));
        }
        if before.train.optimizer != spec.train.optimizer {
            return Err(self.mismatch("optimizer"));
        }
        let same = match (&before.model, &spec.model) {
            (ModelSource::Init { shape: a, .. }, ModelSource::Init { shape: b, .. }) => a == b,
            // Under an adapter the base's hash is compared as well, when it has been read.
            (
                ModelSource::Folder { path: a, adapter: begun },
                ModelSource::Folder { path: b, adapter: begins },
            ) if begun.is_some() == begins.is_some() => {
                let trained = if spec.freezes() { a } else { &self.checkpoint.path };
                DecoderSpec::of(&ModelConfig::from_dir(trained)?)
                    == DecoderSpec::of(&ModelConfig::from_dir(b)?)
            }
            _ => false,
        };
        if same {
            Ok(())
        } else {
            Err(self.mismatch("model"))
        }
    }

    fn mismatch(&self, what: &str) -> EngineError {
        EngineError::user(
            "fork_mismatch",
            format!("The run forks from {}, whose `{what}` is another.", self.run.id),
            format!("Take that run's `{what}`, or start from its weights alone with `model: run:NAME@STEP`."),
        )
        .with_file(&self.checkpoint.path)
    }

    /// Finds the run's place in the data: where the other run was when the rows of its steps are still the same, otherwise the
    /// beginning. Returns what the user should know of that.
    ///
    /// # Errors
    /// `fork_mismatch` when an adapter's base has changed; `fork_past_end` when no step would be left.
    pub fn place(&self, spec: &RunSpec, prepared: &mut Prepared) -> Result<Option<String>, EngineError> {
        let state = &self.checkpoint.state;
        if state.base_hash != prepared.base_hash {
            return Err(self.mismatch("model"));
        }
        let goes_on = state.data_hash == prepared.data_hash && self.same_batches(prepared);
        if !goes_on {
            prepared.plan = Plan::new(prepared.train.lengths(), &spec.train, state.step);
        }
        if prepared.plan.total() <= state.step {
            return Err(EngineError::user(
                "fork_past_end",
                format!(
                    "The checkpoint is at step {}, and the run would end at step {}.",
                    state.step,
                    prepared.plan.total()
                ),
                "Raise `epochs` or `max_steps`, which count from the other run's beginning.",
            )
            .with_file(&self.checkpoint.path));
        }
        Ok((!goes_on).then(|| {
            format!(
                "The rows or their batches are not those of {}: the data begins again at epoch 0, behind step {}.",
                self.run.id, state.step
            )
        }))
    }

    /// Whether the step that was taken last has the same batches in both plans.
    fn same_batches(&self, prepared: &mut Prepared) -> bool {
        let state = &self.checkpoint.state;
        let Some(last) = state.step.checked_sub(1).filter(|last| *last >= state.first_step) else {
            return true;
        };
        let mut before = Plan::new(prepared.train.lengths(), &self.run.train, state.first_step);
        before.step(last) == prepared.plan.step(last)
    }
}
