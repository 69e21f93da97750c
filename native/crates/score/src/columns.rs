//! The columns of the output, the same in Parquet and JSONL.

use crate::content::Shape;
use crate::outcome::{Choices, RowScore};

/// One value of a row. A missing value is null.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Int(Option<i64>),
    Real(Option<f64>),
    Flag(Option<bool>),
    Ints(Vec<i64>),
    Reals(Vec<f64>),
    Floats(Vec<f32>),
}

/// A column's name, and how a row fills it.
pub struct Column {
    /// As in the file.
    pub name: &'static str,
    /// What a row has in it.
    pub of: fn(&RowScore) -> Cell,
}

const fn column(name: &'static str, of: fn(&RowScore) -> Cell) -> Column {
    Column { name, of }
}

const COMMON: [Column; 7] = [
    column("_row_id", |r| Cell::Text(r.row_id.clone())),
    column("tokens", |r| Cell::Int(Some(r.tokens))),
    column("cut", |r| Cell::Int(Some(r.cut))),
    column("labels", |r| Cell::Int(Some(r.labels))),
    column("loss_sum", |r| Cell::Real(r.loss_sum)),
    column("loss", |r| Cell::Real(r.loss())),
    column("perplexity", |r| Cell::Real(r.loss().map(f64::exp))),
];

const COMPLETION: Column = column("completion_logprob", |r| Cell::Real(r.completion_logprob));

const PAIR: [Column; 4] = [
    column("chosen_logprob", |r| Cell::Real(r.chosen.map(|c| c.0))),
    column("rejected_logprob", |r| Cell::Real(r.rejected.map(|c| c.0))),
    column("chosen_labels", |r| Cell::Int(r.chosen.map(|c| c.1))),
    column("rejected_labels", |r| Cell::Int(r.rejected.map(|c| c.1))),
];

const CHOICES: [Column; 12] = [
    column("choice_logprobs", |r| Cell::Reals(choices(r, |c| c.logprobs.clone()))),
    column("choice_logprobs_per_token", |r| Cell::Reals(choices(r, Choices::per_token))),
    column("choice_logprobs_per_byte", |r| Cell::Reals(choices(r, Choices::per_byte))),
    column("choice_labels", |r| Cell::Ints(choices(r, |c| c.labels.clone()))),
    column("choice_bytes", |r| Cell::Ints(choices(r, |c| c.bytes.clone()))),
    column("choice", |r| Cell::Int(Some(best(r)))),
    column("choice_per_token", |r| Cell::Int(Some(best_per_token(r)))),
    column("choice_per_byte", |r| Cell::Int(Some(best_per_byte(r)))),
    column("answer", |r| Cell::Int(r.answer)),
    column("correct", |r| Cell::Flag(r.answer.map(|a| a == best(r)))),
    column("correct_per_token", |r| Cell::Flag(r.answer.map(|a| a == best_per_token(r)))),
    column("correct_per_byte", |r| Cell::Flag(r.answer.map(|a| a == best_per_byte(r)))),
];

const EMBEDDING: Column = column("embedding", |r| Cell::Floats(r.embedding.clone()));

/// The columns for rows of a shape.
pub fn columns(shape: Shape, embedding: bool) -> Vec<Column> {
    let mut columns: Vec<Column> = COMMON.into();
    if shape != Shape::Text {
        columns.push(COMPLETION);
    }
    match shape {
        Shape::Pair | Shape::PairOfMessages => columns.extend(PAIR),
        Shape::Choices => columns.extend(CHOICES),
        _ => {}
    }
    if embedding {
        columns.push(EMBEDDING);
    }
    columns
}

fn choices<T>(row: &RowScore, of: impl Fn(&Choices) -> Vec<T>) -> Vec<T> {
    row.choices.as_ref().map(of).unwrap_or_default()
}

/// The chosen index by plain log-likelihood.
pub fn best(row: &RowScore) -> i64 {
    Choices::best(&choices(row, |c| c.logprobs.clone()))
}

/// The chosen index by log-likelihood per token.
pub fn best_per_token(row: &RowScore) -> i64 {
    Choices::best(&choices(row, Choices::per_token))
}

/// The chosen index by log-likelihood per byte.
pub fn best_per_byte(row: &RowScore) -> i64 {
    Choices::best(&choices(row, Choices::per_byte))
}
