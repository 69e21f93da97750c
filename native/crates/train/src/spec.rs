//! Reading `run.json`.

use crate::{course, objective, prompt};
use std::path::{Component, Path, PathBuf};
use tillage_protocol::run::{Dtype, LossOn, ModelSource, Objective, TokenizerSource};
use tillage_protocol::{EngineError, RunSpec};

/// Reads and checks the folder's `run.json`; relative paths become paths under the folder.
///
/// # Errors
/// User errors with the file, and the line where there is one.
pub fn load(run_dir: &Path) -> Result<RunSpec, EngineError> {
    let path = run_dir.join("run.json");
    let text = std::fs::read_to_string(&path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::NotFound {
            EngineError::user(
                "no_run_json",
                format!("{} has no run.json.", run_dir.display()),
                "Start the run from its *.run.yaml, which writes run.json, or check the folder's path.",
            )
            .with_file(run_dir)
        } else {
            EngineError::io(&e, &path)
        }
    })?;
    let mut spec: RunSpec = serde_json::from_str(&text).map_err(|e| {
        EngineError::user(
            "bad_run_json",
            format!("run.json cannot be read: {e}."),
            "Start the run again from its *.run.yaml, which writes a new run.json.",
        )
        .with_file(&path)
        .with_line(e.line() as u64)
    })?;
    resolve(&mut spec, run_dir);
    check(&spec).map_err(|e| e.with_file(&path))?;
    Ok(spec)
}

/// Makes the spec's paths absolute, or relative to where the process is, instead of relative to the run's folder.
pub fn resolve(spec: &mut RunSpec, run_dir: &Path) {
    let fix = |p: &mut PathBuf| *p = plain(&run_dir.join(&*p));
    match &mut spec.model {
        ModelSource::Folder { path, adapter } => {
            fix(path);
            adapter.iter_mut().for_each(fix);
        }
        ModelSource::Init { tokenizer: TokenizerSource::Folder { path }, .. } => fix(path),
        ModelSource::Init { .. } => {}
    }
    spec.data.train.iter_mut().chain(&mut spec.data.valid).for_each(fix);
    if let Some(distill) = &mut spec.distill {
        fix(&mut distill.teacher);
        distill.adapter.iter_mut().for_each(fix);
    }
    let rewards = spec.policy.iter_mut().flat_map(|p| &mut p.rewards);
    rewards.flat_map(|r| r.kind.paths_mut()).for_each(fix);
    spec.fork.iter_mut().for_each(|f| fix(&mut f.checkpoint));
}

/// The path without `.` and `x/..`, as whoever wrote it relative to the folder counted: by names, not by links.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Epochs at most: every one of them is planned before the first step.
const MOST_EPOCHS: f64 = 1e6;

/// Checks what the types cannot say.
///
/// # Errors
/// `bad_setting` naming the setting and what it may be.
pub fn check(spec: &RunSpec) -> Result<(), EngineError> {
    let t = &spec.train;
    if spec.version != 1 {
        return bad("version", format!("is {}, and this engine reads version 1", spec.version));
    }
    if !(t.epochs > 0.0 && t.epochs <= MOST_EPOCHS) {
        return bad("epochs", format!("is {}, and must be above 0 and {MOST_EPOCHS} at most", t.epochs));
    }
    if !(t.lr.is_finite() && t.lr > 0.0) {
        return bad("lr", format!("is {}, and must be above 0", t.lr));
    }
    for (name, value) in [("beta1", t.beta1), ("beta2", t.beta2)] {
        if !(0.0..1.0).contains(&value) {
            return bad(name, format!("is {value}, and must be at least 0 and below 1"));
        }
    }
    for (name, value) in
        [("weight_decay", t.weight_decay), ("adam_eps", t.adam_eps), ("clip_norm", t.clip_norm)]
    {
        if !(value.is_finite() && value >= 0.0) {
            return bad(name, format!("is {value}, and must be 0 or more"));
        }
    }
    if t.context < 2 {
        return bad("context", format!("is {}, and must be 2 or more", t.context));
    }
    if t.batch_tokens < 2 {
        return bad("batch_tokens", format!("is {}, and must be 2 or more", t.batch_tokens));
    }
    if t.grad_accumulation == 0 {
        return bad("grad_accumulation", "is 0, and must be 1 or more".into());
    }
    if t.max_steps == Some(0) {
        return bad("max_steps", "is 0, and must be 1 or more".into());
    }
    if spec.data.train.is_empty() {
        return bad("data.train", "names no file".into());
    }
    objective::check(spec)?;
    if let ModelSource::Init { shape, .. } = &spec.model {
        if !matches!(spec.objective, Objective::Pretrain | Objective::Sft | Objective::Distill) {
            return bad(
                "objective",
                "learns preferences, which a model with random weights has nothing to express with".into(),
            );
        }
        if spec.adapter.is_some() {
            return bad("adapter", "is set, but a model with random weights is trained in full".into());
        }
        if t.context > shape.max_position_embeddings {
            return bad(
                "context",
                format!("is {}, above max_position_embeddings {}", t.context, shape.max_position_embeddings),
            );
        }
    }
    if spec.objective == Objective::Reward && spec.adapter.is_none() {
        return bad(
            "adapter",
            "is absent, and a reward model is trained as an adapter with a scalar head".into(),
        );
    }
    prompt::check(spec)?;
    if matches!(&spec.model, ModelSource::Folder { adapter: Some(_), .. }) && !spec.freezes() {
        return bad("adapter", "is absent, but the model is an adapter that the run goes on training".into());
    }
    if !spec.freezes() && !matches!(spec.dtype, Dtype::F32 | Dtype::Bf16) {
        let why = format!(
            "is {}, and full training takes f32, or bf16 for mixed precision: only an adapter's run has frozen weights",
            spec.dtype.name()
        );
        return bad("dtype", why);
    }
    if let Some(lora) = &spec.adapter {
        if lora.r == 0 {
            return bad("adapter.r", "is 0, and must be 1 or more".into());
        }
        if !(lora.alpha.is_finite() && lora.alpha > 0.0) {
            return bad("adapter.alpha", format!("is {}, and must be above 0", lora.alpha));
        }
        if lora.lora_plus.is_some_and(|ratio| !(ratio.is_finite() && ratio > 0.0)) {
            return bad("adapter.lora_plus", "must be above 0".into());
        }
        if !(0.0..1.0).contains(&lora.dropout) {
            return bad(
                "adapter.dropout",
                format!("is {}, and must be at least 0 and below 1", lora.dropout),
            );
        }
    }
    course::check(spec)
}

/// A setting that cannot be, and why.
pub(crate) fn bad<T>(what: &str, why: String) -> Result<T, EngineError> {
    Err(EngineError::user(
        "bad_setting",
        format!("`{what}` {why}."),
        format!("Change `{what}` in the run file."),
    ))
}

/// Which tokens carry a label: pretraining takes them all.
pub fn loss_on(spec: &RunSpec) -> LossOn {
    match spec.objective {
        Objective::Pretrain => LossOn::All,
        Objective::Sft | Objective::Distill => spec.loss_on,
        // An answer is what follows its prompt, in a conversation the last turn.
        _ => LossOn::Completion,
    }
}
