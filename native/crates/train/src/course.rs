//! Checks of the settings that decide a run's course: optimiser, schedule, end.

use crate::spec::bad;
use tillage_protocol::course::OptimizerKind;
use tillage_protocol::run::Schedule;
use tillage_protocol::{EngineError, RunSpec};

/// Checks what the types cannot say.
///
/// # Errors
/// `bad_setting` naming the setting and what it may be.
pub fn check(spec: &RunSpec) -> Result<(), EngineError> {
    let t = &spec.train;
    for (name, value) in [("min_lr", t.min_lr), ("decay_share", t.decay_share)] {
        if !(0.0..=1.0).contains(&value) {
            return bad(name, format!("is {value}, and must be 0 to 1"));
        }
    }
    if t.min_lr > 0.0 && t.schedule == Schedule::Constant {
        return bad("min_lr", "is set, but a constant learning rate does not fall".into());
    }
    if t.optimizer == OptimizerKind::Muon && spec.freezes() {
        return bad(
            "optimizer",
            "is muon, which is for full training; an adapter is trained by adamw".into(),
        );
    }
    let wish = if t.early_stopping.is_some() { "early_stopping" } else { "keep_best" };
    if t.tracks_best() && t.validate_every == 0 {
        return bad("validate_every", format!("is 0, but `{wish}` needs validations on the way"));
    }
    if t.tracks_best() && spec.data.valid.is_empty() {
        return bad(wish, "needs validation rows, and the dataset has none".into());
    }
    if let Some(early) = &t.early_stopping {
        if early.patience == 0 {
            return bad("early_stopping.patience", "is 0, and must be 1 or more".into());
        }
        if !(early.min_delta.is_finite() && early.min_delta >= 0.0) {
            return bad("early_stopping.min_delta", format!("is {}, and must be 0 or more", early.min_delta));
        }
    }
    Ok(())
}
