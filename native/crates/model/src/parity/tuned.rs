//! The model with an adapter: logits, loss, gradients, greedy tokens, and the adapter merged into the weights.

use super::base::{greedy, losses, stats, GRADIENT};
use super::golden::Golden;
use super::report::Report;
use crate::{Model, Packed, Trainable};
use std::path::Path;
use tillage_protocol::EngineError;

/// Compares everything whose name begins with `prefix`, with the adapter in `folder` on `model`.
pub(super) fn check(
    prefix: &str,
    folder: &Path,
    golden: &mut Golden,
    mut model: Model,
    report: &mut Report,
) -> Result<(), EngineError> {
    model.load_adapter(folder)?;
    let Some(batch) = golden.batch() else {
        report.skip(&format!("{prefix}.*"), "the reference has no input_ids, attention_mask and labels");
        return Ok(());
    };
    let row = first_example(&batch);
    if let Some((shape, reference)) = golden.floats(&format!("{prefix}.logits")) {
        let all: Vec<usize> = (0..row.tokens.len()).collect();
        let vocab = shape.last().copied().unwrap_or(1);
        report.logits(
            &format!("{prefix}_logits"),
            &model.logits(&row, &all),
            &reference[..row.tokens.len() * vocab],
        );
    }
    gradients(prefix, &batch, golden, &mut model, report)?;
    // Generation and merging were recorded for one adapter only.
    if prefix != "lora" {
        return Ok(());
    }
    if let (Some(prompt), Some(expected)) = (golden.tokens("gen.prompt"), golden.tokens("gen.lora")) {
        greedy("lora", &model, &prompt, &expected, report);
    }
    if let Some((_, reference)) = golden.floats("merged.logits_every8") {
        model.merge_adapter();
        let every8: Vec<usize> = (0..row.tokens.len()).step_by(8).collect();
        report.logits("merged_logits", &model.logits(&row, &every8), &reference);
    }
    Ok(())
}

fn first_example(batch: &Packed) -> Packed {
    Packed::texts([&batch.tokens[..batch.starts[1]]])
}

fn gradients(
    prefix: &str,
    batch: &Packed,
    golden: &mut Golden,
    model: &mut Model,
    report: &mut Report,
) -> Result<(), EngineError> {
    model.set_trainable(Trainable::Adapter);
    let loss = model.forward_backward(batch)?;
    let json = golden.json[prefix].clone();
    losses(&format!("{prefix}_loss"), &loss, &json, report);
    let grads: Vec<(String, Vec<f32>)> = model
        .adapter_gradients()
        .into_iter()
        // PEFT's file says `lora_magnitude_vector`, its module `lora_magnitude_vector.weight`.
        .map(|(name, grad)| (name.replace("lora_magnitude_vector", "lora_magnitude_vector.weight"), grad))
        .collect();
    model.set_trainable(Trainable::Nothing);
    for name in golden.names(&format!("{prefix}.grad.")) {
        let (_, reference) = golden.floats(&format!("{prefix}.grad.{name}")).unwrap_or_default();
        let ours = grads.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, g)| g);
        report.tensor(&format!("{prefix}_grads"), &name, ours, &reference, GRADIENT, GRADIENT);
    }
    stats(&format!("{prefix}_grad_norms"), &json["grad_stats"], &grads, report);
    Ok(())
}
