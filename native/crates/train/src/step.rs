//! One optimiser step and its evidence.

use crate::dataset::Dataset;
use crate::method::{Around, BatchLoss, Method};
use crate::metrics::Metrics;
use crate::optimizer::Optimizer;
use crate::plan::PlannedStep;
use crate::policy;
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
/// `nan_loss` naming the rows; the weights are still those of the step before, or of a round's update before.
pub fn take(trainer: &mut Trainer<'_>) -> Result<(), EngineError> {
    let begun = Instant::now();
    let number = *trainer.done;
    let config = &trainer.spec.train;
    let prepared = &mut trainer.prepared;
    let Some(planned) = prepared.plan.step(number) else {
        return Err(EngineError::internal("no_step", "The plan has no further step."));
    };
    let Prepared { method, model, train, partners, encoder, .. } = prepared;
    let around = setup::around(encoder, partners, config.seed, number);
    let processed: usize = planned.batches.iter().flatten().map(|row| train.tokens(*row)).sum();
    let lr = learning_rate(config, number, prepared.plan.total());
    let optimizer = &mut trainer.optimizer;
    let taken = match (&*method, &around.round) {
        (Method::Policy(settings), Some(round)) => {
            let pass = policy::Pass { model, optimizer, config, lr };
            policy::take(settings, pass, train, &planned.batches, round)?
        }
        _ => {
            let pass = policy::Pass { model, optimizer, config, lr };
            learn(method, pass, train, &planned, number, &around)?
        }
    };
    *trainer.done += 1;
    if let Some(rollouts) = &mut trainer.rollouts {
        rollouts.append(&taken.rollouts)?;
    }

    let step = *trainer.done;
    for (rows, loss) in planned.batches.iter().zip(&taken.batches) {
        for (row, (loss, tokens)) in rows.iter().zip(&loss.rows) {
            let (row, tokens) = (*row as u32, *tokens as i32);
            let seen = Seen { row, step: step as i64, epoch: planned.epoch, loss: *loss, tokens };
            trainer.row_loss.push(seen);
        }
    }
    let labelled: usize = taken.batches.iter().flat_map(|l| &l.rows).map(|(_, tokens)| tokens).sum();
    let ids = &prepared.train.ids;
    trainer.log.append(&Event::Step {
        step,
        epoch: planned.epoch,
        loss: taken.loss,
        lr,
        grad_norm: taken.norm,
        tokens: labelled as u64,
        tokens_per_second: processed.max(labelled) as f64 / begun.elapsed().as_secs_f64(),
        memory_bytes: trainer.machine.resident(),
        seconds: trainer.begun.elapsed().as_secs_f64(),
        rows: planned.batches.iter().flatten().map(|r| ids[*r].clone()).collect(),
        metrics: taken.metrics.means(),
    })
}

/// One update from rows.
fn learn(
    method: &Method,
    pass: policy::Pass,
    data: &Dataset,
    planned: &PlannedStep,
    number: u64,
    around: &Around,
) -> Result<policy::Taken, EngineError> {
    let policy::Pass { model, optimizer, config, lr } = pass;
    let weight: f64 = planned.batches.iter().map(|rows| method.weight(data, rows)).sum();
    model.zero_grad();
    let mut batches = Vec::with_capacity(planned.batches.len());
    for (i, rows) in planned.batches.iter().enumerate() {
        model.set_dropout_key(dropout_key(config.seed, number, i as u64));
        batches.push(method.forward_backward(model, data, rows, weight, around)?);
    }
    check_finite(planned, &batches, &data.ids, number + 1)?;
    let norm = Optimizer::grad_norm(model);
    if !norm.is_finite() {
        return Err(not_a_number_of(&planned.batches, &data.ids, number + 1)("gradient"));
    }
    optimizer.apply(model, config, lr, norm);
    let loss = batches.iter().map(|l| l.sum).sum::<f64>() / weight;
    let mut metrics = Metrics::default();
    batches.iter().for_each(|l| metrics.merge(&l.metrics));
    Ok(policy::Taken { loss, norm, batches, metrics, rollouts: Vec::new() })
}

/// A number for each micro-step that a resumed run finds again (SplitMix64's finaliser, Steele et al. 2014).
pub fn dropout_key(seed: u64, step: u64, batch: u64) -> u64 {
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

/// The error of a number that has become none, and to which all rows of a step may have led.
pub fn not_a_number_of<'a>(
    batches: &'a [Vec<usize>],
    ids: &'a [String],
    step: u64,
) -> impl Fn(&str) -> EngineError + 'a {
    move |what| not_a_number(what, batches.iter().flatten().map(|row| ids[*row].as_str()), step)
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
