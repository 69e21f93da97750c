//! Checks of the settings that belong to an objective.

use crate::method::Method;
use crate::reward;
use crate::spec::bad;
use tillage_protocol::run::{DistillConfig, Objective, PolicyAverage, PpoConfig, SequenceConfig};
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
    let needed = matches!(spec.objective, Objective::Grpo | Objective::Rloo | Objective::Ppo);
    let policy = match &spec.policy {
        None if needed => return bad("policy", "is absent, and the objective needs rewards".into()),
        Some(_) if !needed => return bad("policy", "is set, and the objective does not use it".into()),
        None => return Ok(()),
        Some(policy) => policy,
    };
    let ppo = spec.objective == Objective::Ppo;
    if policy.group == 0 {
        return bad("policy.group", "is 0, and must be 1 or more".into());
    }
    if policy.group < 2 && !ppo {
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
    if ppo && policy.beta > 0.0 {
        return bad(
            "policy.beta",
            "is set, and ppo fines the divergence in its rewards: use `policy.ppo.kl`".into(),
        );
    }
    for (name, count) in [("epochs", policy.epochs), ("minibatches", policy.minibatches)] {
        if count == Some(0) {
            return bad(&format!("policy.{name}"), "is 0, and must be 1 or more".into());
        }
    }
    if policy.epsilon.is_some_and(|e| !(e > 0.0 && e < 1.0)) {
        return bad("policy.epsilon", "must be above 0 and below 1".into());
    }
    let once = policy.epochs.unwrap_or(1) == 1 && policy.minibatches.unwrap_or(1) == 1;
    if policy.epsilon.is_some() && once && !ppo {
        let why = "is set, and the ratio is 1 where answers are learned from once: set `policy.epochs`";
        return bad("policy.epsilon", why.into());
    }
    match &policy.ppo {
        Some(_) if !ppo => return bad("policy.ppo", "is set, and only the objective ppo uses it".into()),
        Some(config) => check_ppo(config)?,
        None => {}
    }
    if spec.objective != Objective::Grpo && policy.average != PolicyAverage::default() {
        let why = "is set, and only grpo uses it: rloo sums over each answer, and ppo takes the mean over all tokens";
        return bad("policy.average", why.into());
    }
    if ppo && spec.adapter.is_none() {
        return bad("adapter", "is absent, and ppo trains an adapter and a value head beside it".into());
    }
    reward::check(&policy.rewards)
}

fn check_ppo(config: &PpoConfig) -> Result<(), EngineError> {
    let bad = |name: &str, value: f64, what: &str| {
        bad(&format!("policy.ppo.{name}"), format!("is {value}, and must be {what}"))
    };
    for (name, value) in [("gamma", config.gamma), ("lambda", config.lambda)] {
        if !(0.0..=1.0).contains(&value) {
            return bad(name, value, "between 0 and 1");
        }
    }
    for (name, value) in
        [("kl", config.kl), ("value_weight", config.value_weight), ("cut_penalty", config.cut_penalty)]
    {
        if !(value.is_finite() && value >= 0.0) {
            return bad(name, value, "0 or more");
        }
    }
    if !(config.value_clip.is_finite() && config.value_clip > 0.0) {
        return bad("value_clip", config.value_clip, "above 0");
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
        (Some(d), true) => d.sequence.as_ref().map_or(Ok(()), |s| check_sequence(d, s, spec)),
        _ => Ok(()),
    }
}

fn check_sequence(d: &DistillConfig, s: &SequenceConfig, spec: &RunSpec) -> Result<(), EngineError> {
    if d.temperature != 1.0 || d.alpha != 1.0 {
        let name = if d.alpha == 1.0 { "distill.temperature" } else { "distill.alpha" };
        return bad(name, "is set, and a student of answers sees no distribution".into());
    }
    if s.max_new == 0 || s.max_new >= spec.train.context {
        let why = format!("is {}, and must be above 0 and below `context`", s.max_new);
        return bad("distill.sequence.max_new", why);
    }
    if !(s.temperature.is_finite() && s.temperature >= 0.0) {
        let why = format!("is {}, and must be 0 or more", s.temperature);
        return bad("distill.sequence.temperature", why);
    }
    Ok(())
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
