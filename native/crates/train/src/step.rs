//! One optimiser step and its evidence.

use crate::method::BatchLoss;
use crate::metrics::Metrics;
use crate::optimizer::Optimizer;
use crate::plan::PlannedStep;
use crate::row_loss::Seen;
use crate::schedule::learning_rate;
use crate::setup::{self, Prepared};
use crate::trainer::Trainer;
use std::time::Instant;
use tillage_protocol::{EngineError, Event};

/// Takes the next step: gradients over its batches, clipping, AdamW, and the events.
///
/// The loss of a step is the mean over all labelled tokens, or all rows, of its batches, weighed by the rows' weights, however they
/// are split.
///
/// # Errors
/// `nan_loss` naming the rows; the weights are still those of the step before.
pub fn take(trainer: &mut Trainer<'_>) -> Result<(), EngineError> {
    let begun = Instant::now();
    let number = *trainer.done;
    let config = &trainer.spec.train;
    let prepared = &mut trainer.prepared;
    let Some(planned) = prepared.plan.step(number) else {
        return Err(EngineError::internal("no_step", "The plan has no further step."));
    };
    let Prepared { method, model, train, teacher, rewards, encoder, .. } = prepared;
    let around = setup::around(encoder, teacher.as_ref(), rewards.as_ref(), config.seed, number);
    let weight: f64 = planned.batches.iter().map(|rows| method.weight(train, rows)).sum();
    let processed: usize = planned.batches.iter().flatten().map(|row| train.tokens(*row)).sum();
    model.zero_grad();
    let mut losses = Vec::with_capacity(planned.batches.len());
    for (i, rows) in planned.batches.iter().enumerate() {
        model.set_dropout_key(dropout_key(config.seed, number, i as u64));
        losses.push(method.forward_backward(model, train, rows, weight, &around)?);
    }
    let ids = &prepared.train.ids;
    check_finite(&planned, &losses, ids, number + 1)?;
    let norm = Optimizer::grad_norm(&mut prepared.model);
    if !norm.is_finite() {
        let rows = planned.batches.concat();
        return Err(not_a_number("gradient", rows.iter().map(|r| ids[*r].as_str()), number + 1));
    }
    let lr = learning_rate(config, number, prepared.plan.total());
    trainer.optimizer.apply(&mut prepared.model, config, lr, norm);
    *trainer.done += 1;

    let step = *trainer.done;
    for (rows, loss) in planned.batches.iter().zip(&losses) {
        for (row, (loss, tokens)) in rows.iter().zip(&loss.rows) {
            let (row, tokens) = (*row as u32, *tokens as i32);
            let seen = Seen { row, step: step as i64, epoch: planned.epoch, loss: *loss, tokens };
            trainer.row_loss.push(seen);
        }
    }
    let loss = losses.iter().map(|l| l.sum).sum::<f64>() / weight;
    let labelled: usize = losses.iter().flat_map(|l| &l.rows).map(|(_, tokens)| tokens).sum();
    let mut metrics = Metrics::default();
    losses.iter().for_each(|l| metrics.merge(&l.metrics));
    trainer.log.append(&Event::Step {
        step,
        epoch: planned.epoch,
        loss,
        lr,
        grad_norm: norm,
        tokens: labelled as u64,
        tokens_per_second: processed.max(labelled) as f64 / begun.elapsed().as_secs_f64(),
        memory_bytes: trainer.machine.resident(),
        seconds: trainer.begun.elapsed().as_secs_f64(),
        rows: planned.batches.iter().flatten().map(|r| ids[*r].clone()).collect(),
        metrics: metrics.means(),
    })
}

/// A number for each micro-step that a resumed run finds again (SplitMix64's finaliser, Steele et al. 2014).
fn dropout_key(seed: u64, step: u64, batch: u64) -> u64 {
    let mut z = seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ batch.rotate_left(48);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A loss that is no number stops the run, with the rows that made it.
fn check_finite(
    planned: &PlannedStep,
    losses: &[BatchLoss],
    ids: &[String],
    step: u64,
) -> Result<(), EngineError> {
    if losses.iter().all(|l| l.sum.is_finite()) {
        return Ok(());
    }
    let each = planned.batches.iter().zip(losses).flat_map(|(rows, loss)| rows.iter().zip(&loss.rows));
    let mut bad: Vec<&str> =
        each.filter(|(_, (loss, _))| !loss.is_finite()).map(|(row, _)| ids[*row].as_str()).collect();
    if bad.is_empty() {
        bad = planned.batches.iter().flatten().map(|row| ids[*row].as_str()).collect();
    }
    Err(not_a_number("loss", bad.into_iter(), step))
}

fn not_a_number<'a>(what: &str, rows: impl Iterator<Item = &'a str>, step: u64) -> EngineError {
    let rows: Vec<&str> = rows.collect();
    let shown = rows.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    let more = rows.len().saturating_sub(20);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    broken_by(&format!("The {what} of step {step}"), &format!(" Rows of the batch: {shown}{tail}."))
}

/// The error of numbers that have become none, where no single batch is to blame.
pub fn broken(what: &str) -> EngineError {
    broken_by(what, "")
}

fn broken_by(what: &str, rows: &str) -> EngineError {
    EngineError::user(
        "nan_loss",
        format!("{what} is not a number.{rows}"),
        "Lower the learning rate or add warm-up steps, and look at the rows of the last steps.",
    )
}

#[cfg(test)]
mod tests {
    use super::dropout_key;

    #[test]
    fn every_seed_step_and_batch_has_a_dropout_mask_of_its_own() {
        let each = |n: u64| (0..n).flat_map(move |a| (0..n).map(move |b| (a, b)));
        let mut keys: Vec<u64> =
            each(20).flat_map(|(step, batch)| [4, 5].map(|seed| dropout_key(seed, step, batch))).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 800);
    }
}
