//! Losses of preferences, judgements and rewards against those that TRL's trainers returned, with the gradients of every
//! tensor of the adapter.

use super::base::{stats, GRADIENT};
use super::golden::Golden;
use super::report::Report;
use crate::objective::{
    advantages, bradley_terry, kto, policy, Average, Generated, Judged, PairLoss, Pairs, PolicyLoss, Texts,
};
use crate::{Model, Packed, Trainable};
use tillage_protocol::EngineError;

/// Relative to the loss where that is above 1.
const LOSS: f64 = 1e-5;

/// Rows of ids under an attention mask; every token but the first is a label.
fn read_texts(golden: &mut Golden, prefix: &str) -> Option<Texts> {
    let mut ints = |name: &str| golden.ints(&format!("{prefix}{name}"));
    let (shape, ids) = ints("input_ids")?;
    let (_, mask) = ints("attention_mask")?;
    let (_, answer) = ints("completion_mask")?;
    let width = shape[1];
    let rows = ids.chunks(width).zip(mask.chunks(width)).zip(answer.chunks(width));
    let mut texts = Texts::default();
    for ((ids, mask), answer) in rows {
        let length = mask.iter().filter(|m| **m != 0).count();
        let ids: Vec<u32> = ids[..length].iter().map(|id| *id as u32).collect();
        texts.push(&ids, &answer[1..length].iter().map(|a| *a != 0).collect::<Vec<_>>(), true);
    }
    Some(texts)
}

/// Compares every method that the reference has.
pub(super) fn check(golden: &mut Golden, mut model: Model, report: &mut Report) -> Result<(), EngineError> {
    model.set_trainable(Trainable::Adapter);
    log_probabilities(golden, &mut model, report)?;
    let methods = golden.json["methods"].as_object().cloned().unwrap_or_default();
    for (name, json) in methods {
        let loss = if let Some(kind) = pair_loss(&name, &json) {
            Some(pairs(kind, golden, &mut model)?)
        } else if name == "kto" {
            Some(judgements(&json, golden, &mut model)?)
        } else if let Some(variant) = name.strip_prefix("grpo.") {
            Some(rewards(variant, golden, &mut model)?)
        } else {
            None
        };
        let Some(loss) = loss else { continue };
        compare(&name, &json, loss, golden, &mut model, report);
    }
    Ok(())
}

/// Compares a method's loss and the gradients that it left in the model.
fn compare(
    name: &str,
    json: &serde_json::Value,
    loss: f64,
    golden: &mut Golden,
    model: &mut Model,
    report: &mut Report,
) {
    let reference = json["loss"].as_f64().unwrap_or(f64::NAN);
    report.number("loss", name, loss, reference, LOSS * reference.abs().max(1.0), 0.0);
    let grads = model.adapter_gradients();
    for key in golden.names(&format!("{name}.grad.")) {
        let (_, reference) = golden.floats(&format!("{name}.grad.{key}")).unwrap_or_default();
        let ours = grads.iter().find(|(n, _)| *n == key).map_or(&[][..], |(_, g)| g);
        report.tensor(&format!("{name}_grads"), &key, ours, &reference, GRADIENT, GRADIENT);
    }
    stats(&format!("{name}_grad_norms"), &json["grad_stats"], &grads, report);
    model.zero_grad();
}

/// Compares the scores of pairs, and their loss.
pub(super) fn check_reward(
    golden: &mut Golden,
    mut model: Model,
    report: &mut Report,
) -> Result<(), EngineError> {
    model.set_trainable(Trainable::Adapter);
    let json = golden.json["methods"]["reward_bt"].clone();
    let texts = read_texts(golden, "pairs.").ok_or_else(|| absent("pairs"))?;
    let mut loss = 0.0;
    let mut scores = Vec::new();
    model.forward_backward_scores(&texts.pack, &mut |found| {
        scores = found.to_vec();
        let weighed = bradley_terry(&found.iter().map(|s| f64::from(*s)).collect::<Vec<_>>(), &[]);
        loss = weighed.loss;
        weighed.completion.iter().map(|s| *s as f32).collect()
    })?;
    let reference: Vec<f32> = ["reward_chosen", "reward_rejected"]
        .iter()
        .flat_map(|key| json[key].as_array().into_iter().flatten())
        .filter_map(|x| Some(x.as_f64()? as f32))
        .collect();
    report.logits("scores", &scores, &reference);
    let (_, head) = golden.floats("reward_bt.score.weight").unwrap_or_default();
    report.logits("score_weight", model.head_weights(), &head);
    compare("reward_bt", &json, loss, golden, &mut model, report);
    Ok(())
}

/// Log-probabilities of completions under the adapter and under the base.
fn log_probabilities(golden: &mut Golden, model: &mut Model, report: &mut Report) -> Result<(), EngineError> {
    let texts = read_texts(golden, "pairs.").ok_or_else(|| absent("pairs"))?;
    let sampled = samples(golden).ok_or_else(|| absent("grpo"))?;
    let policy = [model.token_losses(&texts.pack)?, model.token_losses(&sampled.pack)?];
    let base = [under_base(model, &texts.pack)?, under_base(model, &sampled.pack)?];
    for (which, [pairs, samples]) in [("policy", policy), ("ref", base)] {
        let sums: Vec<f32> = texts.sums(&pairs).into_iter().map(|x| x as f32).collect();
        let (_, reference) = golden.floats(&format!("pairs.{which}_logps")).unwrap_or_default();
        report.logits(&format!("{which}_logps"), &sums, &reference);
        let name = if which == "policy" { "grpo.per_token_logps" } else { "grpo.ref_per_token_logps" };
        let (shape, reference) = golden.floats(name).unwrap_or_default();
        let width = shape.last().copied().unwrap_or(1);
        for ([_, ours], reference) in sampled.split(&samples).into_iter().zip(reference.chunks(width)) {
            let ours: Vec<f32> = ours.into_iter().map(|x| x as f32).collect();
            report.logits(&format!("{which}_token_logps"), &ours, &reference[..ours.len()]);
        }
    }
    let rewards = golden.floats("grpo.rewards").map_or_else(Vec::new, |r| r.1);
    let ours: Vec<f32> = advantages(&rewards.iter().map(|r| f64::from(*r)).collect::<Vec<_>>())
        .iter()
        .map(|a| *a as f32)
        .collect();
    let (_, reference) = golden.floats("grpo.advantages").unwrap_or_default();
    report.logits("advantages", &ours, &reference);
    Ok(())
}

fn pair_loss(name: &str, json: &serde_json::Value) -> Option<PairLoss> {
    let beta = json["beta"].as_f64().unwrap_or(0.1);
    let number = |key: &str, absent: f64| json[key].as_f64().unwrap_or(absent);
    Some(match name {
        "dpo" => PairLoss::Dpo { beta, smoothing: 0.0 },
        "robust" => PairLoss::Dpo { beta, smoothing: number("label_smoothing", 0.1) },
        "ipo" => PairLoss::Ipo { beta },
        "hinge" => PairLoss::Hinge { beta },
        "apo_zero" => PairLoss::ApoZero { beta },
        "simpo" => PairLoss::SimPo { beta, gamma: number("simpo_gamma", 0.5) },
        "cpo" => PairLoss::Cpo { beta, alpha: number("cpo_alpha", 1.0) },
        "orpo" => PairLoss::Orpo { beta },
        _ => return None,
    })
}

/// Losses of a batch with the adapter switched off.
fn under_base(model: &mut Model, pack: &Packed) -> Result<Vec<f32>, EngineError> {
    model.set_adapter_enabled(false);
    let losses = model.token_losses(pack);
    model.set_adapter_enabled(true);
    losses
}

fn absent(what: &str) -> EngineError {
    EngineError::user("bad_golden", format!("The reference lacks {what}."), "Make the reference again.")
}

fn pairs(kind: PairLoss, golden: &mut Golden, model: &mut Model) -> Result<f64, EngineError> {
    let texts = read_texts(golden, "pairs.").ok_or_else(|| absent("pairs"))?;
    let base = under_base(model, &texts.pack)?;
    let mut value = 0.0;
    model.forward_backward_by(&texts.pack, &mut |losses| {
        let parts = texts.split(losses);
        let completion: Vec<f64> = parts.iter().map(|[_, c]| c.iter().sum()).collect();
        let tokens: Vec<usize> = parts.iter().map(|[_, c]| c.len()).collect();
        let prompt: Vec<(f64, usize)> = parts.iter().map(|[p, _]| (p.iter().sum(), p.len())).collect();
        let reference = if kind.needs_reference() { texts.sums(&base) } else { Vec::new() };
        let pairs = Pairs {
            completion: &completion,
            tokens: &tokens,
            prompt: &prompt,
            reference: &reference,
            weights: &[],
        };
        let weighed = pairs.loss(kind);
        value = weighed.loss;
        texts.slopes(&weighed.completion, &weighed.prompt)
    })?;
    Ok(value)
}

fn judgements(json: &serde_json::Value, golden: &mut Golden, model: &mut Model) -> Result<f64, EngineError> {
    let texts = read_texts(golden, "kto.").ok_or_else(|| absent("kto"))?;
    let unrelated = read_texts(golden, "kto.KL_").ok_or_else(|| absent("kto.KL_input_ids"))?;
    let good: Vec<bool> =
        golden.ints("kto.label").ok_or_else(|| absent("kto.label"))?.1.iter().map(|l| *l != 0).collect();
    let reference = texts.sums(&under_base(model, &texts.pack)?);
    let now = unrelated.sums(&model.token_losses(&unrelated.pack)?);
    let then = unrelated.sums(&under_base(model, &unrelated.pack)?);
    let unrelated: Vec<(f64, f64)> = now.into_iter().zip(then).collect();
    let mut value = 0.0;
    model.forward_backward_by(&texts.pack, &mut |losses| {
        let policy = texts.sums(losses);
        let batch = Judged { policy: &policy, reference: &reference, good: &good, unrelated: &unrelated };
        let weighed = kto(&batch, json["beta"].as_f64().unwrap_or(0.1), [1.0, 1.0]);
        value = weighed.loss;
        texts.slopes(&weighed.completion, &[])
    })?;
    Ok(value)
}

/// Prompts and the completions that were sampled for them.
fn samples(golden: &mut Golden) -> Option<Texts> {
    let (prompt_shape, prompts) = golden.ints("grpo.prompt_ids")?;
    let (shape, ids) = golden.ints("grpo.completion_ids")?;
    let (_, mask) = golden.ints("grpo.completion_mask")?;
    let mut texts = Texts::default();
    for (prompt, (ids, mask)) in
        prompts.chunks(prompt_shape[1]).zip(ids.chunks(shape[1]).zip(mask.chunks(shape[1])))
    {
        let length = mask.iter().filter(|m| **m != 0).count();
        let all: Vec<u32> = prompt.iter().chain(&ids[..length]).map(|id| *id as u32).collect();
        let flags: Vec<bool> = (1..all.len()).map(|at| at >= prompt.len()).collect();
        texts.push(&all, &flags, true);
    }
    Some(texts)
}

fn rewards(variant: &str, golden: &mut Golden, model: &mut Model) -> Result<f64, EngineError> {
    let texts = samples(golden).ok_or_else(|| absent("grpo"))?;
    let about = golden.json["grpo"].clone();
    let clip = about["epsilon"].as_f64().unwrap_or(0.2);
    let longest = about["max_completion_length"].as_u64().unwrap_or(0) as usize;
    let given: Vec<f64> =
        about["rewards"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
    let advantages = advantages(&given);
    let (shape, old) =
        golden.floats("grpo.old_per_token_logps").ok_or_else(|| absent("old log-probabilities"))?;
    let old: Vec<Vec<f64>> =
        old.chunks(shape[1]).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
    let reference: Vec<Vec<f64>> =
        texts.split(&under_base(model, &texts.pack)?).into_iter().map(|[_, c]| c).collect();
    let on_policy = variant.ends_with("onpolicy");
    let kind = PolicyLoss {
        average: if variant.starts_with("dapo") || variant == "bnpo" {
            Average::Tokens
        } else if variant == "dr_grpo" {
            Average::Longest(longest)
        } else {
            Average::Completions
        },
        clip,
        sequence_ratio: variant == "gspo",
        beta: if variant.contains("kl") { 0.04 } else { 0.0 },
        correct_divergence: variant.ends_with("_kl"),
    };
    let mut value = 0.0;
    model.forward_backward_by(&texts.pack, &mut |losses| {
        let now: Vec<Vec<f64>> = texts.split(losses).into_iter().map(|[_, c]| c).collect();
        let batch: Vec<Generated> = (0..now.len())
            .map(|i| Generated {
                policy: &now[i],
                old: if on_policy { &now[i] } else { &old[i][..now[i].len()] },
                reference: &reference[i],
                advantage: advantages[i],
            })
            .collect();
        let (loss, slopes) = policy(&batch, &kind);
        value = loss;
        texts.token_slopes(&slopes)
    })?;
    Ok(value)
}
