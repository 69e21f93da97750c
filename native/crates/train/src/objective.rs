//! Checks of the settings that belong to an objective.

use crate::method::Method;
use crate::spec::bad;
use tillage_protocol::run::{ModelSource, Objective};
use tillage_protocol::{EngineError, RunSpec};

/// Checks what the types cannot say.
///
/// # Errors
/// `bad_setting` naming the setting and what it may be.
pub fn check(spec: &RunSpec) -> Result<(), EngineError> {
    check_preference(spec)?;
    check_distill(spec)?;
    check_policy(spec)?;
    crate::weights::check(spec)
}

/// A policy objective has rewards, and nothing else has.
fn check_policy(spec: &RunSpec) -> Result<(), EngineError> {
    let needed = matches!(spec.objective, Objective::Grpo | Objective::Rloo);
    let policy = match &spec.policy {
        None if needed => return bad("policy", "is absent, and the objective needs rewards".into()),
        Some(_) if !needed => return bad("policy", "is set, and the objective does not use it".into()),
        None => return Ok(()),
        Some(policy) => policy,
    };
    if policy.group < 2 {
        return bad("policy.group", format!("is {}, and answers are held against each other", policy.group));
    }
    if policy.max_new == 0 || policy.max_new >= spec.train.context {
        return bad(
            "policy.max_new",
            format!("is {}, and must be above 0 and below `context`", policy.max_new),
        );
    }
    if !(policy.temperature.is_finite() && policy.temperature > 0.0) {
        return bad("policy.temperature", format!("is {}, and must be above 0", policy.temperature));
    }
    if !(policy.beta.is_finite() && policy.beta >= 0.0) {
        return bad("policy.beta", format!("is {}, and must be 0 or more", policy.beta));
    }
    let new_adapter =
        spec.adapter.is_some() && matches!(spec.model, ModelSource::Folder { adapter: None, .. });
    if policy.beta > 0.0 && !new_adapter {
        return bad("policy.beta", "needs a new adapter, without which the model is the reference".into());
    }
    Ok(())
}

/// A distillation has a teacher, and nothing else has.
fn check_distill(spec: &RunSpec) -> Result<(), EngineError> {
    match (&spec.distill, spec.objective == Objective::Distill) {
        (None, true) => bad("distill", "is absent, and the objective needs a teacher".into()),
        (Some(_), false) => bad("distill", "is set, and the objective does not use it".into()),
        (Some(d), true) if !(d.temperature.is_finite() && d.temperature > 0.0) => {
            bad("distill.temperature", format!("is {}, and must be above 0", d.temperature))
        }
        (Some(d), true) if !(0.0..=1.0).contains(&d.alpha) => {
            bad("distill.alpha", format!("is {}, and must be between 0 and 1", d.alpha))
        }
        _ => Ok(()),
    }
}

/// Checks the settings of an objective on preferences.
fn check_preference(spec: &RunSpec) -> Result<(), EngineError> {
    let Some(p) = &spec.preference else { return Ok(()) };
    let bad = |name: &str, why: String| bad(&format!("preference.{name}"), why);
    if let Some(name) = Method::unused(spec.objective, p) {
        return bad(name, "is set, and the objective does not use it".into());
    }
    let positive = [
        ("beta", p.beta),
        ("desirable_weight", p.desirable_weight),
        ("undesirable_weight", p.undesirable_weight),
    ];
    for (name, value) in positive.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        if !(value.is_finite() && value > 0.0) {
            return bad(name, format!("is {value}, and must be above 0"));
        }
    }
    for (name, value) in [("gamma", p.gamma), ("alpha", p.alpha)] {
        if value.is_some_and(|v| !(v.is_finite() && v >= 0.0)) {
            return bad(name, format!("is {}, and must be 0 or more", value.unwrap_or_default()));
        }
    }
    match p.label_smoothing {
        Some(share) if !(0.0..0.5).contains(&share) => {
            bad("label_smoothing", format!("is {share}, and must be at least 0 and below 0.5"))
        }
        _ => Ok(()),
    }
}
