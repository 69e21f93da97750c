//! What a run would need, found before step 1. Nothing is written.

use crate::fork::Origin;
use crate::method::Method;
use crate::setup::Prepared;
use crate::{policy, sequence, setup, spec};
use std::path::Path;
use std::time::Instant;
use tillage_model::machine::Machine;
use tillage_protocol::rpc::PreflightResult;
use tillage_protocol::{EngineError, RunSpec};

/// Reads and checks the spec's inputs, and measures one forward and backward pass of the longest batch.
///
/// `run_dir` is what relative paths are relative to.
///
/// # Errors
/// The same user errors that a start would give.
pub fn preflight(spec: &RunSpec, run_dir: &Path) -> Result<PreflightResult, EngineError> {
    let mut spec = spec.clone();
    spec::resolve(&mut spec, run_dir);
    spec::check(&spec)?;
    let origin = Origin::load(&spec)?;
    let (given, answering) = sequence::foresee(&spec)?;
    let mut prepared = setup::prepare(&spec, origin.as_ref().map(|o| &o.checkpoint), run_dir, given)?;
    if let Some(origin) = &origin {
        origin.place(&spec, &mut prepared)?;
    }
    let first = origin.map_or(0, |o| o.checkpoint.state.step);
    let free_bytes = Machine::new().available();
    let (planned_bytes, recompute) = setup::plan_memory(&mut prepared, &spec.train, free_bytes);
    let planned_bytes = planned_bytes.max(answering.bytes);
    let total_steps = prepared.plan.total();
    let mut longest: (usize, Vec<usize>) = (0, Vec::new());
    let mut batches = 0;
    let mut epoch = None;
    let first_epoch = (first..total_steps).map_while(|s| {
        let step = prepared.plan.step(s)?;
        (*epoch.get_or_insert(step.position.0) == step.position.0).then_some(step)
    });
    let mut steps_seen = 0;
    for planned in first_epoch.collect::<Vec<_>>() {
        steps_seen += 1;
        for rows in planned.batches {
            batches += 1;
            let tokens = rows.iter().map(|r| prepared.train.tokens(*r)).sum();
            if tokens > longest.0 {
                longest = (tokens, rows);
            }
        }
    }
    let (mut seconds, mut before) = (0.0, 0.0);
    if free_bytes == 0 || planned_bytes <= free_bytes {
        let Prepared { method, model, train, partners, encoder, .. } = &mut prepared;
        let around = setup::around(encoder, partners, 0, 0);
        let rows = &longest.1;
        let weight = method.weight(train, rows);
        if method.needs_reference() {
            // What the reference thinks does not change how long a step takes.
            train.reference = vec![0.0; train.examples.len()];
            let begun = Instant::now();
            method.evaluate(model, train, rows, &around)?;
            before = begun.elapsed().as_secs_f64() * f64::from(batches);
        }
        let batch = if let (Method::Policy(settings), Some(round)) = (&*method, &around.round) {
            policy::measure(settings, model, train, rows, round)?
        } else {
            // The first pass also makes the buffers; the second is what a step takes.
            method.forward_backward(model, train, rows, weight, &around)?;
            let begun = Instant::now();
            method.forward_backward(model, train, rows, weight, &around)?;
            begun.elapsed().as_secs_f64()
        };
        seconds = batch * f64::from(batches) / f64::from(steps_seen.max(1));
    }
    let counts = prepared.counts;
    Ok(PreflightResult {
        parameters: prepared.model.parameter_count() as u64,
        trainable: prepared.model.trainable_count() as u64,
        train_rows: counts.rows,
        train_tokens: counts.tokens,
        total_steps,
        long_rows: counts.long_rows,
        cut_tokens: counts.cut_tokens,
        masked_rows: counts.masked_rows,
        planned_bytes,
        recompute,
        free_bytes,
        seconds_per_step: seconds,
        seconds_total: answering.seconds + before + seconds * (total_steps - first) as f64,
    })
}
