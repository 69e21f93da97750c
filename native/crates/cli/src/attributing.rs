//! `attribute`.

use crate::args::AttributeArgs;
use crate::report;
use crate::watched::{watched, Progress};
use serde_json::Value;
use std::path::Path;
use tillage_protocol::attribute::{
    AskedOutput, AttributeParams, AttributeProgress, AttributeResult, Influence,
};
use tillage_protocol::EngineError;

/// Ranks a run's rows for a file's outputs. Progress goes to stderr, or as events to stdout with `json`; the last line there is the
/// result.
pub fn attribute(args: &AttributeArgs, json: bool) -> Result<(), EngineError> {
    let params = AttributeParams {
        run: args.run.clone(),
        outputs: read(&args.outputs)?,
        top: args.top,
        by: args.by.into(),
        dims: args.dims,
        seed: args.seed,
        only_last: args.only_last,
    };
    watched(json, "attributed", |watch| tillage_attribute::attribute(&params, watch), print)
}

impl Progress for AttributeProgress {
    fn text(&self) -> String {
        format!(
            "checkpoint {} of {} (step {}): {} of {} rows",
            self.checkpoint, self.checkpoints, self.step, self.rows, self.total
        )
    }

    fn complete(&self) -> bool {
        self.rows == self.total
    }
}

/// The outputs of a JSONL file: rows, or `row_id` of training rows; `id` names them, or the line does.
fn read(path: &Path) -> Result<Vec<AskedOutput>, EngineError> {
    let text = std::fs::read_to_string(path).map_err(|e| EngineError::io(&e, path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| output(line, i + 1).map_err(|e| e.with_file(path).with_line(i as u64 + 1)))
        .collect()
}

fn output(line: &str, number: usize) -> Result<AskedOutput, EngineError> {
    let bad = |why: String| {
        EngineError::user(
            "bad_output",
            format!("The output in line {number} cannot be read: {why}."),
            "Write one JSON object a line, with a `text`, a `prompt` and its `completion`, `messages`, or a `row_id`.",
        )
    };
    let value: Value = serde_json::from_str(line).map_err(|e| bad(e.to_string()))?;
    if !value.is_object() {
        return Err(bad("it is no object".into()));
    }
    let word = |name: &str| match &value[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(bad(format!("`{name}` is no text"))),
    };
    let (id, row_id) = (word("id")?.unwrap_or_else(|| number.to_string()), word("row_id")?);
    let row = match row_id {
        Some(_) => None,
        None => Some(serde_json::from_value(value.clone()).map_err(|_| bad("it is no row".into()))?),
    };
    Ok(AskedOutput { id, row, row_id })
}

fn print(r: &AttributeResult) -> Result<(), EngineError> {
    let steps: Vec<String> = r.checkpoints.iter().map(|c| c.step.to_string()).collect();
    let how = if r.preconditioned { "Adam's steps" } else { "plain gradients" };
    report::line(&format!(
        "{} rows, checkpoints of step {}, {how} of {} numbers in {}",
        r.rows,
        steps.join(", "),
        r.parameters,
        r.dims
    ))?;
    for output in &r.outputs {
        report::line(&format!(
            "\n{}: loss {:.4} over {} tokens; all rows {:.4} ± {:.4}",
            output.id, output.loss, output.tokens, output.mean, output.deviation
        ))?;
        report::line("    cosine          dot    loss  row")?;
        output.top.iter().try_for_each(line)?;
        report::line("  against it:")?;
        output.bottom.iter().try_for_each(line)?;
    }
    report::line(&format!("\n{:.1} s, {:.1} s of it for the rows' gradients", r.seconds, r.seconds_rows))
}

fn line(i: &Influence) -> Result<(), EngineError> {
    report::line(&format!("  {:>8.4} {:>12.4e} {:>7.4}  {}", i.cosine, i.dot, i.loss, i.row_id))
}
