//! References of models with experts: transformers 5 keeps all experts of a layer in two tensors, the hub's files each
//! expert in its own.

use super::base::LOSS;
use super::golden::Golden;
use super::report::Report;
use crate::{Model, Packed};
use std::collections::BTreeMap;

/// Adds to gradients by the hub's names those of the fused tensors and of the router, by the names of transformers 5.
pub(super) fn with_fused(mut grads: Vec<(String, Vec<f32>)>) -> Vec<(String, Vec<f32>)> {
    let mut fused: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut routers = Vec::new();
    for (name, grad) in &grads {
        let name = name.replace(".block_sparse_moe.", ".mlp.");
        if let Some((layer, rest)) = name.split_once(".experts.") {
            // The tensors come by expert, each gate before its up: appending them is the fused order.
            let which =
                if rest.contains("w2") || rest.contains("down_proj") { "down_proj" } else { "gate_up_proj" };
            fused.entry(format!("{layer}.experts.{which}")).or_default().extend(grad);
        } else if name.ends_with(".mlp.gate.weight") {
            routers.push((name, grad.clone()));
        }
    }
    routers.retain(|(name, _)| grads.iter().all(|(known, _)| known != name));
    grads.extend(routers);
    grads.extend(fused);
    grads
}

/// The router's scores of every layer, and the load-balancing loss of Shazeer et al. (2017) over all layers and tokens
/// as transformers computes it.
pub(super) fn router(golden: &mut Golden, model: &Model, batch: &Packed, report: &mut Report) {
    let Some((shape, reference)) = golden.floats("moe.router_logits") else { return };
    let Some(experts) = model.config().experts else { return };
    let (positions, count) = (shape[1], shape[2]);
    let ours = model.router_logits(batch);
    // The reference's rows are padded to the longest.
    let width = positions / batch.examples();
    let rows: Vec<usize> = batch
        .starts
        .windows(2)
        .enumerate()
        .flat_map(|(row, span)| (0..span[1] - span[0]).map(move |token| row * width + token))
        .collect();
    for (layer, ours) in ours.iter().enumerate() {
        let kept: Vec<f32> = rows
            .iter()
            .flat_map(|row| &reference[(layer * positions + row) * count..][..count])
            .copied()
            .collect();
        report.logits("router_logits", ours, &kept);
    }
    let loss = experts.balance_loss(&ours);
    let reference = golden.json["moe"]["aux_loss"].as_f64().unwrap_or(f64::NAN);
    report.number("router_balance", "", loss, reference, LOSS, 0.0);
}
