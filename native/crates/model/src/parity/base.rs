//! The base model: logits, loss, gradients of all weights, greedy tokens, packing.

use super::golden::Golden;
use super::report::Report;
use crate::{Model, Packed, Trainable};
use tillage_kernels::cpu::log_softmax_at;
use tillage_protocol::EngineError;

/// Tolerance of any gradient: relative L2, and the largest difference over the largest value.
pub(super) const GRADIENT: f64 = 2e-5;
/// Absolute tolerance of a loss.
pub(super) const LOSS: f64 = 1e-5;

pub(super) fn check(golden: &mut Golden, model: &mut Model, report: &mut Report) -> Result<(), EngineError> {
    if let Some(batch) = golden.batch() {
        logits(golden, model, &batch, report);
        super::experts::router(golden, model, &batch, report);
        gradients(golden, model, &batch, report)?;
    }
    if let (Some(prompt), Some(expected)) = (golden.tokens("gen.prompt"), golden.tokens("gen.base")) {
        greedy("base", model, &prompt, &expected, report);
    }
    packed(golden, model, report);
    Ok(())
}

fn logits(golden: &mut Golden, model: &Model, batch: &Packed, report: &mut Report) {
    let Some((shape, reference)) = golden.floats("logits") else { return };
    let all: Vec<usize> = (0..batch.tokens.len()).collect();
    report.logits("logits", &model.logits(batch, &all), &unpadded(&reference, batch, &shape));
}

/// Logits `[rows, width, vocab]` of the tokens of each row: padding has no reference.
pub(super) fn unpadded(reference: &[f32], batch: &Packed, shape: &[usize]) -> Vec<f32> {
    let (width, vocab) = (shape[1], shape[2]);
    let rows = batch.starts.windows(2).enumerate();
    rows.flat_map(|(row, span)| &reference[row * width * vocab..(row * width + span[1] - span[0]) * vocab])
        .copied()
        .collect()
}

/// Compares a batch's losses with the JSON's, and with `per_example_loss` where it is given.
pub(super) fn losses(group: &str, loss: &crate::StepLoss, json: &serde_json::Value, report: &mut Report) {
    if let Some(reference) = json["loss"].as_f64() {
        report.number(group, "batch", loss.mean(), reference, LOSS, 0.0);
    }
    for (i, reference) in json["per_example_loss"].as_array().into_iter().flatten().enumerate() {
        let (sum, tokens) = loss.per_example[i];
        report.number(
            group,
            &format!("example {i}"),
            sum / tokens as f64,
            reference.as_f64().unwrap_or(f64::NAN),
            LOSS,
            0.0,
        );
    }
}

/// Compares norm and largest value of every gradient with `grad_stats`.
pub(super) fn stats(
    group: &str,
    json: &serde_json::Value,
    grads: &[(String, Vec<f32>)],
    report: &mut Report,
) {
    for (name, reference) in json.as_object().into_iter().flatten() {
        let Some((_, grad)) = grads.iter().find(|(n, _)| n == name) else {
            report.number(group, name, f64::NAN, 0.0, 0.0, 0.0);
            continue;
        };
        let norm = grad.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
        let largest = grad.iter().fold(0.0f64, |m, &g| m.max(f64::from(g.abs())));
        let number = |key: &str| reference[key].as_f64().unwrap_or(f64::NAN);
        report.number(group, name, norm, number("l2"), 0.0, GRADIENT);
        report.number(group, &format!("{name} (largest)"), largest, number("max_abs"), 0.0, GRADIENT);
    }
}

fn gradients(
    golden: &mut Golden,
    model: &mut Model,
    batch: &Packed,
    report: &mut Report,
) -> Result<(), EngineError> {
    model.set_trainable(Trainable::Full);
    let loss = model.forward_backward(batch)?;
    losses("loss", &loss, &golden.json.clone(), report);
    if let Some((_, reference)) = golden.floats("per_example_loss") {
        let ours: Vec<f64> = loss.per_example.iter().map(|(sum, n)| sum / *n as f64).collect();
        for (i, (ours, reference)) in ours.iter().zip(reference).enumerate() {
            report.number("per_example_loss", &i.to_string(), *ours, f64::from(reference), LOSS, 0.0);
        }
    }
    let grads: Vec<(String, Vec<f32>)> =
        model.parameters_mut().into_iter().map(|p| (p.name.to_owned(), p.grad_as_stored())).collect();
    let grads = super::experts::with_fused(grads);
    model.set_trainable(Trainable::Nothing);
    let ours = |name: &str| grads.iter().find(|(n, _)| n == name).map_or(&[][..], |(_, g)| g);
    for name in golden.names("grad.") {
        let (_, reference) = golden.floats(&format!("grad.{name}")).unwrap_or_default();
        // Of learned positions the reference has those that occur; the gradient of the others is zero.
        let ours = ours(&name);
        let (seen, rest) = ours.split_at(reference.len().min(ours.len()));
        report.tensor("grads", &name, seen, &reference, GRADIENT, GRADIENT);
        report.exact("grads_beyond", &name, rest, &vec![0.0; rest.len()]);
    }
    let rows = golden.ints("grad_vocab_rows").unwrap_or_default().1;
    for name in golden.names("grad_rows.") {
        let (shape, reference) = golden.floats(&format!("grad_rows.{name}")).unwrap_or_default();
        let width = shape.last().copied().unwrap_or(1);
        let whole = ours(&name);
        let picked: Vec<f32> =
            rows.iter().filter_map(|&r| whole.chunks(width).nth(r as usize)).flatten().copied().collect();
        report.tensor("grads", &format!("{name} (rows)"), &picked, &reference, GRADIENT, GRADIENT);
    }
    stats("grad_norms", &golden.json["grad_stats"].clone(), &grads, report);
    Ok(())
}

/// Greedy continuation, once with a cache and once with the whole sequence computed again for every token.
pub(super) fn greedy(name: &str, model: &Model, prompt: &[u32], expected: &[u32], report: &mut Report) {
    let mut cache = model.new_cache(prompt.len() + expected.len());
    let mut logits = model.decode(prompt, &mut cache);
    let mut cached = Vec::new();
    while cached.len() < expected.len() {
        let next = argmax(&logits);
        cached.push(next);
        logits = model.decode(&[next], &mut cache);
    }
    report.exact("greedy", &format!("{name}, cached"), &cached, expected);
    let mut whole = prompt.to_vec();
    while whole.len() < prompt.len() + expected.len() {
        let pack = Packed::texts([whole.as_slice()]);
        whole.push(argmax(&model.logits(&pack, &[whole.len() - 1])));
    }
    report.exact("greedy", &format!("{name}, computed again"), &whole[prompt.len()..], expected);
}

/// First of the largest.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, &x) in logits.iter().enumerate() {
        if x > logits[best] {
            best = i;
        }
    }
    best as u32
}

fn packed(golden: &mut Golden, model: &Model, report: &mut Report) {
    let Some(tokens) = golden.tokens("pack.input_ids") else { return };
    let Some((_, sequence)) = golden.ints("pack.sequence_id") else { return };
    let examples: Vec<&[u32]> = {
        let mut rest = tokens.as_slice();
        let runs = sequence.chunk_by(|a, b| a == b).map(|run| {
            let (head, tail) = rest.split_at(run.len());
            rest = tail;
            head
        });
        runs.collect()
    };
    let pack = Packed::texts(examples);
    if let Some((_, positions)) = golden.ints("pack.position_ids") {
        let restarted: Vec<i64> = pack.starts.windows(2).flat_map(|w| 0..(w[1] - w[0]) as i64).collect();
        report.exact("packed_positions", "", &restarted, &positions);
    }
    let all: Vec<usize> = (0..tokens.len()).collect();
    let logits = model.logits(&pack, &all);
    let vocab = model.config().vocab_size;
    if let Some((_, reference)) = golden.floats("pack.logits_every4") {
        let every4: Vec<f32> = logits.chunks(vocab).step_by(4).flatten().copied().collect();
        report.logits("packed_logits", &every4, &reference);
    }
    if let Some((_, reference)) = golden.floats("pack.next_token_logp") {
        let logp =
            |(row, &label): (&[f32], &i64)| if label < 0 { 0.0 } else { log_softmax_at(row, label as usize) };
        let ours: Vec<f32> = logits.chunks(vocab).zip(&pack.labels).map(logp).collect();
        report.logits("packed_logp", &ours, &reference);
    }
}
