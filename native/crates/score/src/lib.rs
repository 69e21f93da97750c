//! Scoring: losses, log-probabilities, choices and embeddings of the rows of a file, at the speed of full batches.
//!
//! Rows are read in blocks; the texts of a block are packed into batches by tokens, without padding, and what comes out is
//! written in the order of the rows. A pack is block-diagonal, so a row's numbers are those of the row alone.

mod columns;
pub mod content;
mod encode;
mod outcome;
mod sink;
pub mod source;
mod summary;

use encode::{Encoder, Item};
use outcome::{Read, RowScore};
use rayon::prelude::*;
use source::{Source, SourceRow};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use summary::Summary;
use tillage_model::{Mix, Model};
use tillage_protocol::score::{Embed, ScoreParams, ScoreProgress, ScoreResult};
use tillage_protocol::EngineError;
use tillage_text::{pack, Tokenizer};

/// Rows that are read and packed together.
const BLOCK: usize = 2048;

/// What a model is, by its files' hashes: the base's and the adapter's.
pub type Hashes = (String, Option<String>);

/// Scores the rows of a file and writes one line a row, with a mixture of adapters that the model holds or, without one, with its
/// own. `watch` hears of every batch, and ends the work by returning
/// false; then nothing is written.
///
/// # Errors
/// User errors of the file, its rows and the settings, each with its place; `cancelled`; the machine's when the output
/// cannot be written.
pub fn score(
    (model, mix): (&Model, Option<&Mix>),
    tokenizer: &Arc<Tokenizer>,
    hashes: Hashes,
    params: &ScoreParams,
    watch: &mut dyn FnMut(&ScoreProgress) -> bool,
) -> Result<ScoreResult, EngineError> {
    let prefix = model.prefix(mix);
    check(model, params, prefix.len())?;
    let mut source = Source::open(&params.rows)?;
    let shape = source.shape();
    let embed = params.embed != Embed::None;
    if embed && shape == content::Shape::Choices {
        return Err(EngineError::user(
            "embed_choices",
            "Rows of choices have no one text to embed.",
            "Leave the embedding out, or give the file a column `text`.",
        ));
    }
    let context = params.context.unwrap_or(model.config().max_position_embeddings);
    let encoder = Encoder::new(tokenizer, &params.template, params.loss_on, (context, prefix), shape)?;
    let mut sink = sink::Sink::create(&params.out, columns::columns(shape, embed))?;
    let begun = Instant::now();
    let mut summary = Summary::default();
    let mut progress = ScoreProgress { rows: 0, total: source.total(), tokens: 0, seconds: 0.0 };
    loop {
        let rows = source.block(BLOCK)?;
        if rows.is_empty() {
            break;
        }
        let mut tell = |rows: u64, tokens: usize| {
            progress.rows += rows;
            progress.tokens += tokens as u64;
            progress.seconds = begun.elapsed().as_secs_f64();
            watch(&progress)
        };
        for row in block((model, mix), &encoder, &rows, params, &mut tell)? {
            summary.add(&row);
            sink.push(row)?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    sink.finish()?;
    Ok(summary.result(progress.tokens, seconds, hashes))
}

/// Scores some rows. `tell` hears how many rows a batch finished, and its tokens.
fn block(
    (model, mix): (&Model, Option<&Mix>),
    encoder: &Encoder,
    rows: &[SourceRow],
    params: &ScoreParams,
    tell: &mut dyn FnMut(u64, usize) -> bool,
) -> Result<Vec<RowScore>, EngineError> {
    let items: Vec<Result<Vec<Item>, EngineError>> = rows.par_iter().map(|row| encoder.items(row)).collect();
    let items: Vec<Vec<Item>> = items.into_iter().collect::<Result<_, _>>()?;
    let pool = params.embed != Embed::None;
    let places: Vec<(usize, usize)> =
        items.iter().enumerate().flat_map(|(row, list)| (0..list.len()).map(move |n| (row, n))).collect();
    // What has nothing to say takes no room: it is left out of the plan.
    let wanted = |&(row, n): &(usize, usize)| {
        let item = &items[row][n];
        if item.labels() > 0 || (pool && n == 0) {
            item.tokens.len()
        } else {
            0
        }
    };
    let lengths: Vec<usize> = places.iter().map(wanted).collect();
    let mut reads: Vec<Vec<Read>> = items.iter().map(|list| vec![Read::default(); list.len()]).collect();
    let mut open: Vec<usize> = vec![0; rows.len()];
    places.iter().zip(&lengths).filter(|(_, length)| **length > 0).for_each(|(place, _)| open[place.0] += 1);
    let idle = open.iter().filter(|n| **n == 0).count() as u64;
    if !tell(idle, 0) {
        return Err(cancelled());
    }
    for batch in pack::plan_epoch(&lengths, params.batch_tokens, 0, 0) {
        let batch: Vec<(usize, usize)> = batch.into_iter().map(|at| places[at]).collect();
        let texts: Vec<&Item> = batch.iter().map(|&(row, n)| &items[row][n]).collect();
        let packed = encode::pack(texts.iter().copied());
        let reading = model.read(&packed, pool, mix)?;
        let mut losses = &reading.losses[..];
        let mut pooled = reading.pooled.chunks_exact(model.config().hidden_size);
        let mut done = 0;
        for (&(row, n), text) in batch.iter().zip(&texts) {
            let (own, rest) = losses.split_at(text.labels());
            losses = rest;
            let vector = pooled.next().map(|v| embedding(v, params.embed)).unwrap_or_default();
            reads[row][n] = Read::of(text, own, vector);
            open[row] -= 1;
            done += u64::from(open[row] == 0);
        }
        if !tell(done, packed.tokens.len()) {
            return Err(cancelled());
        }
    }
    let parts = rows.iter().zip(&items).zip(reads);
    parts.map(|((row, items), reads)| RowScore::of(&row.id, &row.content, items, reads)).collect()
}

fn embedding(vector: &[f32], embed: Embed) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let scale = if embed == Embed::Normalized && length > 0.0 { 1.0 / length } else { 1.0 };
    vector.iter().map(|x| (f64::from(*x) * scale) as f32).collect()
}

/// The error of work that was taken back.
pub fn cancelled() -> EngineError {
    EngineError::user("cancelled", "The scoring was cancelled; nothing was written.", "Start it again.")
}

/// `prefix`: tokens of a tuned prompt, which take their room in the context.
fn check(model: &Model, params: &ScoreParams, prefix: usize) -> Result<(), EngineError> {
    let most = model.config().max_position_embeddings;
    let (least, context) = (prefix + 2, params.context.unwrap_or(most));
    if !(least..=most).contains(&context) {
        return Err(EngineError::user(
            "bad_context",
            format!("A context of {context} tokens is outside {least} to {most}, which the model takes."),
            "Leave the context out, or make it fit.",
        ));
    }
    if params.batch_tokens == 0 {
        return Err(EngineError::user(
            "bad_batch_tokens",
            "A batch of no token computes nothing.",
            "Give a batch at least one token.",
        ));
    }
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(&params.rows).is_some_and(|rows| real(&params.out) == Some(rows)) {
        return Err(EngineError::user(
            "output_is_input",
            format!("{} would be replaced by its own scores.", params.rows.display()),
            "Name another file for the output.",
        )
        .with_file(&params.out));
    }
    Ok(())
}
