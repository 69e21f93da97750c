//! A model in bf16, and one in mixed precision, against the reference in f32: as close as transformers in bf16, and in
//! torch's autocast to it, comes to that.

use super::golden::Golden;
use super::report::{Distance, Report};
use super::Options;
use crate::{Model, Packed, Trainable};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;

pub(super) fn check(golden: &mut Golden, options: &Options, report: &mut Report) -> Result<(), EngineError> {
    let bounds = golden.json["bf16_vs_f64"].clone();
    let (Some(batch), Some((shape, reference))) = (golden.batch(), golden.floats("logits")) else {
        report.skip("logits", "the reference has no logits of input_ids");
        return Ok(());
    };
    let model = Model::load_as(&options.model, Dtype::Bf16)?;
    let all: Vec<usize> = (0..batch.tokens.len()).collect();
    let kept = super::base::unpadded(&reference, &batch, &shape);
    let ours = model.logits(&batch, &all);
    if model.config().layers.iter().any(|l| l.experts) {
        // A rounded score can choose another expert, after which a token's logits have little to do with the
        // reference's: most tokens must be close, not all.
        let bound = bounds["max_abs"].as_f64().unwrap_or(f64::NAN);
        let rows = ours.chunks_exact(shape[2]).zip(kept.chunks_exact(shape[2]));
        let close = rows.filter(|(a, b)| Distance::between(a, b).max_abs <= bound).count();
        let share = close as f64 / all.len() as f64;
        report.number("bf16_logits", "share of tokens that are close", share, 1.0, 0.5, 0.0);
        return Ok(());
    }
    let distance = Distance::between(&ours, &kept);
    for (name, ours, room) in [("max_abs", distance.max_abs, FARTHEST), ("rel_l2", distance.relative_l2, 1.0)]
    {
        let bound = room * bounds[name].as_f64().unwrap_or(f64::NAN);
        report.number("bf16_logits", name, ours, 0.0, bound, 0.0);
    }
    mixed(golden, &batch, options, report)
}

/// The farthest of thousands of logits is one draw of what rounding does, for transformers as for us: it may be so much farther than
/// theirs, while all of them together may not.
const FARTHEST: f64 = 1.25;
/// A tensor's gradient in autocast, relative L2: at most 3.5 % from that in f32 in these dense models (torch 2.15).
const GRADIENT: f64 = 0.035;
/// The mean loss, over its value: at most 0.063 % there, with attention in bf16 too (`sdpa`, which is what transformers takes).
const LOSS: f64 = 6.4e-4;

fn mixed(
    golden: &mut Golden,
    batch: &Packed,
    options: &Options,
    report: &mut Report,
) -> Result<(), EngineError> {
    let mut model = Model::load(&options.model)?;
    model.set_mixed(true);
    model.set_trainable(Trainable::Full);
    let loss = model.forward_backward(batch)?;
    report.number(
        "mixed_loss",
        "mean",
        loss.mean(),
        golden.json["loss"].as_f64().unwrap_or(f64::NAN),
        0.0,
        LOSS,
    );
    let grads: Vec<(String, Vec<f32>)> =
        model.parameters_mut().into_iter().map(|p| (p.name.to_owned(), p.grad_as_stored())).collect();
    for name in golden.names("grad.") {
        let (_, reference) = golden.floats(&format!("grad.{name}")).unwrap_or_default();
        let ours = grads.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, g)| g);
        let seen = &ours[..reference.len().min(ours.len())];
        report.tensor("mixed_grads", &name, seen, &reference, GRADIENT, f64::INFINITY);
    }
    Ok(())
}
