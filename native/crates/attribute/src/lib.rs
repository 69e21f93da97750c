//! Training rows ranked by their influence on an output: whose gradients point where the output's does.
//!
//! TracIn (Pruthi et al. 2020) sums learning rate times product of the gradients over checkpoints; LESS (Xia et al. 2024) takes the
//! gradients of an adapter, Adam's step in the place of the row's gradient, a random projection, and the cosine. Here:
//!
//! - A row's gradient is that of its own loss as it counts in a step (the sum over its labelled tokens, times its weight), from the
//!   engine's own backward pass, a row at a time and without dropout; an output's is that of its mean loss.
//! - The row's is multiplied by 1 / (√v̂ + ε) with Adam's second moments at the checkpoint. LESS mixes the first moments in as
//!   well; they belong to no row, so they are left out, and the gradients of rows add up to that of their batch.
//! - All trained numbers count, under full training too: the projection ([`projection`]) costs about as much as reading the gradient.
//! - Every checkpoint that the run has kept counts, with the mean learning rate of the steps that led to it.

pub mod known;
pub mod projection;
mod rank;

pub use known::RowGradients;

use projection::Projection;
use rank::Scores;
use std::path::Path;
use std::time::Instant;
use tillage_protocol::attribute::{
    AskedOutput, AttributeParams, AttributeProgress, AttributeResult, AttributedCheckpoint, Attribution,
};
use tillage_protocol::EngineError;
use tillage_text::texts_of;
use tillage_train::examine::{Loss, Output};
use tillage_train::{files, lock, Examined};

/// What an output is.
enum Asked {
    Said(Output),
    /// A training row.
    Row(String),
}

/// Ranks the training rows of a run for each output. `watch` hears how far it is, and says whether to go on.
///
/// # Errors
/// User errors of the run, its rows and the outputs; `not_attributable` for objectives whose rows have no gradient of their own;
/// `cancelled`; the machine's.
pub fn attribute(
    params: &AttributeParams,
    watch: &mut dyn FnMut(&AttributeProgress) -> bool,
) -> Result<AttributeResult, EngineError> {
    check(params)?;
    let begun = Instant::now();
    let mut run = Examined::open(&params.run)?;
    let asked: Vec<Asked> =
        params.outputs.iter().map(|output| ask(&run, output)).collect::<Result<_, _>>()?;
    let steps: Vec<(u64, f64)> = run.kept().iter().map(|k| (k.step, k.lr)).collect();
    let first = if params.only_last { steps.len() - 1 } else { 0 };
    let whole: f64 = steps[first..].iter().map(|(_, lr)| lr).sum();
    let folder = params.run.join(known::FOLDER);
    std::fs::create_dir_all(&folder).map_err(|e| EngineError::io(&e, &folder))?;
    let _lock = lock::acquire(&folder)?;
    files::sweep(&folder)?;
    let mut work = Work { params, begun, watch, seconds_rows: 0.0 };
    let (mut checkpoints, mut scores, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for (at, (step, lr)) in steps.iter().enumerate().skip(first) {
        run.go_to(at)?;
        let projection = Projection::new(run.parameters(), params.dims, params.seed);
        let place = AttributeProgress {
            step: *step,
            checkpoint: (at - first + 1) as u64,
            checkpoints: (steps.len() - first) as u64,
            rows: 0,
            total: 0,
            seconds: 0.0,
        };
        let (rows, known) = work.rows(&mut run, at, &projection, place)?;
        if scores.is_empty() {
            scores = vec![Scores::new(rows.ids.len()); asked.len()];
        }
        losses.clear();
        for (scores, asked) in scores.iter_mut().zip(&asked) {
            let loss = output_gradient(&mut run, asked)?;
            losses.push(loss);
            scores.add(&projection.project(&run.gradients(), None), &rows, *lr, lr / whole);
        }
        checkpoints.push(AttributedCheckpoint { step: *step, lr: *lr, known });
        last = Some((rows, projection));
    }
    known::prune(&params.run, &steps.iter().map(|(step, _)| *step).collect::<Vec<_>>())?;
    let (rows, projection) =
        last.ok_or_else(|| EngineError::internal("no_checkpoint", "None was looked at."))?;
    let named = params.outputs.iter().zip(scores).zip(losses);
    let outputs = named.map(|((output, scores), (loss, tokens))| Attribution {
        id: output.id.clone(),
        loss,
        tokens: tokens as u64,
        ..scores.ranked(params.by, params.top, &rows)
    });
    Ok(AttributeResult {
        outputs: outputs.collect(),
        rows: rows.ids.len() as u64,
        left_out: rows.left_out,
        checkpoints,
        parameters: run.parameters() as u64,
        dims: projection.dims() as u64,
        preconditioned: rows.preconditioned,
        by: params.by,
        seconds: begun.elapsed().as_secs_f64(),
        seconds_rows: work.seconds_rows,
    })
}

/// The work on rows, and who hears of it.
struct Work<'a> {
    params: &'a AttributeParams,
    begun: Instant,
    watch: &'a mut dyn FnMut(&AttributeProgress) -> bool,
    seconds_rows: f64,
}

impl Work<'_> {
    /// The rows' gradients at a checkpoint, whose weights the run has; and whether they were known.
    fn rows(
        &mut self,
        run: &mut Examined,
        at: usize,
        projection: &Projection,
        mut progress: AttributeProgress,
    ) -> Result<(RowGradients, bool), EngineError> {
        let begun = Instant::now();
        let (params, dims) = (self.params, projection.dims());
        let key = format!("{} {} {dims} {}", run.key(at)?, known::VERSION, params.seed);
        let path = known::path(&params.run, progress.step);
        if let Some(rows) = RowGradients::read(&path, &key, dims) {
            (progress.rows, progress.total) = (rows.ids.len() as u64, rows.ids.len() as u64);
            self.tell(&mut progress)?;
            return Ok((rows, true));
        }
        run.read_rows()?;
        let learned = run.learned()?;
        let all = run.ids()?;
        let mut rows = RowGradients {
            ids: learned.iter().map(|row| all[*row].clone()).collect(),
            left_out: (all.len() - learned.len()) as u64,
            ..RowGradients::default()
        };
        // Twice, since they are written as a whole.
        run.check_memory(2 * 4 * (dims * learned.len()) as u64)?;
        let factors = run.factors(at)?;
        rows.preconditioned = factors.is_some();
        rows.gradients.reserve_exact(learned.len() * dims);
        progress.total = learned.len() as u64;
        for row in learned {
            self.tell(&mut progress)?;
            let (loss, tokens) = run.row_gradient(row, 1.0)?;
            rows.losses.push(loss);
            rows.tokens.push(tokens as u64);
            rows.gradients.extend(projection.project(&run.gradients(), factors.as_deref()));
            progress.rows += 1;
        }
        self.tell(&mut progress)?;
        rows.write(&path, &key)?;
        self.seconds_rows += begun.elapsed().as_secs_f64();
        Ok((rows, false))
    }

    fn tell(&mut self, progress: &mut AttributeProgress) -> Result<(), EngineError> {
        progress.seconds = self.begun.elapsed().as_secs_f64();
        if (self.watch)(progress) {
            Ok(())
        } else {
            Err(cancelled())
        }
    }
}

fn ask(run: &Examined, output: &AskedOutput) -> Result<Asked, EngineError> {
    let id = &output.id;
    let bad = |what: &str| {
        EngineError::user(
            "bad_output",
            format!("The output {id} {what}."),
            "Give each output a `text`, a `prompt` with its `completion`, `messages`, or the `row_id` of a training row.",
        )
    };
    match (&output.row, &output.row_id) {
        (Some(_), Some(_)) => Err(bad("is a row and names one")),
        (None, None) => Err(bad("is no row and names none")),
        (None, Some(row)) => Ok(Asked::Row(row.clone())),
        (Some(row), None) => {
            let (mut texts, label) = texts_of(row);
            match (texts.pop(), texts.is_empty(), label) {
                (Some(text), true, None) => Ok(Asked::Said(run.output(id, text)?)),
                _ => Err(bad("is a pair or a judgement, and not something that the model says")),
            }
        }
    }
}

/// Makes the gradients those of an output's loss.
fn output_gradient(run: &mut Examined, asked: &Asked) -> Result<Loss, EngineError> {
    match asked {
        Asked::Said(output) => run.output_gradient(output),
        Asked::Row(id) => {
            run.read_rows()?;
            let row = run.ids()?.iter().position(|known| known == id).ok_or_else(|| {
                EngineError::user(
                    "no_such_row",
                    format!("The run has no training row {id}."),
                    "Look the row's `_row_id` up in the dataset that the run was trained on.",
                )
            })?;
            if !run.learned()?.contains(&row) {
                return Err(EngineError::user(
                    "row_left_out",
                    format!("The run does not learn from the row {id}, so it has no gradient."),
                    "Name another row: this one has no label, no weight, or is longer than `context`.",
                ));
            }
            let weight = run.weight(row)?;
            run.row_gradient(row, weight)
        }
    }
}

fn check(params: &AttributeParams) -> Result<(), EngineError> {
    let bad = |what: String, remedy: &str| Err(EngineError::user("bad_setting", what, remedy));
    if !(params.dims.is_power_of_two() && (64..=1 << 17).contains(&params.dims)) {
        let what = format!("A gradient cannot be projected to {} numbers.", params.dims);
        return bad(what, "Use a power of two from 64 to 131072.");
    }
    if params.top == 0 {
        return bad("A list of no row says nothing.".into(), "Ask for at least one row.");
    }
    if params.outputs.is_empty() {
        return bad("There is no output to ask about.".into(), "Name at least one.");
    }
    if !Path::new(&params.run).is_dir() {
        return Err(EngineError::user(
            "no_run_folder",
            format!("{} is no folder.", params.run.display()),
            "Give the folder that holds run.json.",
        )
        .with_file(&params.run));
    }
    Ok(())
}

/// The error of work that was taken back.
pub fn cancelled() -> EngineError {
    EngineError::user(
        "cancelled",
        "The question was cancelled; gradients of checkpoints that were done are kept.",
        "Ask it again.",
    )
}
