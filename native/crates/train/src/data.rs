//! Rows of a dataset's Parquet shards.

use crate::weights;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillage_protocol::{guard, EngineError, RunSpec};
use tillage_text::RowText;

/// A row and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct DataRow {
    /// `_row_id`.
    pub id: String,
    /// One text; the chosen and the rejected one of a pair; an answer and an unrelated one of a judgement.
    pub texts: Vec<RowText>,
    /// A judgement's verdict.
    pub good: bool,
    /// The text would go on: nobody says that it ends where it does.
    pub open: bool,
    /// What it weighs; 1 where the run names no column.
    pub weight: f32,
}

/// What an objective reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// One text each.
    Texts,
    /// A chosen and a rejected answer each.
    Pairs,
    /// An answer each, and whether it is good.
    Judged,
    /// A prompt each, with the answer that is wanted.
    Prompts,
    /// A prompt each, which somebody else answers.
    Questions,
}

/// The rows of a run.
#[derive(Debug)]
pub struct Splits {
    /// Rows that are learned from, in the order of the shards.
    pub train: Vec<DataRow>,
    /// Rows whose loss is told only; empty where the run has none.
    pub valid: Vec<DataRow>,
}

impl Splits {
    /// # Errors
    /// As [`read`].
    pub fn read(spec: &RunSpec, what: Rows) -> Result<Self, EngineError> {
        let weight = spec.weight.as_deref();
        Ok(Self {
            train: read(&spec.data.train, what, weight)?,
            valid: read(&spec.data.valid, what, weight)?,
        })
    }
}

/// The column that names rows.
const ROW_ID: &str = "_row_id";

/// The column of the tools that a conversation is offered, JSON text.
const TOOLS: &str = "tools";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Messages,
    PromptCompletion,
    Prompt,
    Text,
    Pair,
    PairOfMessages,
    JudgedPair,
    JudgedMessages,
}

impl Shape {
    /// The shapes that hold such rows, the first that fits is taken.
    fn of(rows: Rows) -> &'static [Shape] {
        match rows {
            Rows::Texts => &[Shape::Messages, Shape::PromptCompletion, Shape::Text],
            Rows::Pairs => &[Shape::Pair, Shape::PairOfMessages],
            Rows::Judged => &[Shape::JudgedMessages, Shape::JudgedPair],
            Rows::Prompts => &[Shape::PromptCompletion],
            Rows::Questions => &[Shape::Prompt],
        }
    }

    fn has_messages(self) -> bool {
        matches!(self, Shape::Messages | Shape::PairOfMessages | Shape::JudgedMessages)
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            Shape::Messages => &["messages"],
            Shape::PromptCompletion => &["prompt", "completion"],
            Shape::Prompt => &["prompt"],
            Shape::Text => &["text"],
            Shape::Pair => &["prompt", "chosen", "rejected"],
            Shape::PairOfMessages => &["chosen", "rejected"],
            Shape::JudgedMessages => &["messages", "label"],
            Shape::JudgedPair => &["prompt", "completion", "label"],
        }
    }
}

/// Reads all rows of all shards, in order, and what they weigh from the column `weight`.
///
/// # Errors
/// User errors that name the file: it is missing, cut short, or has not the columns of any shape; `bad_weight` naming the row.
pub fn read(files: &[PathBuf], what: Rows, weight: Option<&str>) -> Result<Vec<DataRow>, EngineError> {
    let mut rows = Vec::new();
    for file in files {
        read_file(file, what, weight, &mut rows)?;
    }
    if what == Rows::Judged {
        add_unrelated(&mut rows)?;
    }
    Ok(rows)
}

/// Gives every judged row a second text: its prompt with the answer of the row behind it, from which KTO learns how far the
/// policy has moved.
fn add_unrelated(rows: &mut [DataRow]) -> Result<(), EngineError> {
    let answers: Vec<RowText> = rows.iter().map(|row| row.texts[0].clone()).collect();
    for (i, row) in rows.iter_mut().enumerate() {
        let other = &answers[(i + 1) % answers.len()];
        let unrelated = row.texts[0].with_answer_of(other).map_err(|mut e| {
            e.message = format!("Row {}: {}", row.id, e.message);
            e
        })?;
        row.texts.push(unrelated);
    }
    Ok(())
}

/// Whatever a damaged file makes of the library that reads it, it is the file's fault.
fn read_file(
    path: &Path,
    what: Rows,
    weight: Option<&str>,
    rows: &mut Vec<DataRow>,
) -> Result<(), EngineError> {
    guard::caught(|| read_shard(path, what, weight, rows)).unwrap_or_else(|why| Err(bad_parquet(path, why)))
}

fn bad_parquet(path: &Path, why: impl std::fmt::Display) -> EngineError {
    EngineError::user(
        "bad_parquet",
        format!("{} is cut short or is no Parquet file: {why}.", path.display()),
        "Build the dataset again from its recipe.",
    )
    .with_file(path)
}

fn read_shard(
    path: &Path,
    what: Rows,
    weight: Option<&str>,
    rows: &mut Vec<DataRow>,
) -> Result<(), EngineError> {
    let broken = |e: parquet::errors::ParquetError| bad_parquet(path, e);
    let file = File::open(path).map_err(|e| EngineError::io(&e, path))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema();
    let (projection, shape) = project(schema, what, weight).map_err(|e| e.with_file(path))?;
    for (line, row) in reader.get_row_iter(Some(projection)).map_err(broken)?.enumerate() {
        let row = read_row(&row.map_err(broken)?, shape, weight).map_err(|mut e| {
            e.message = format!("Row {} of {}: {}", line + 1, path.display(), e.message);
            e.with_file(path).with_line(line as u64 + 1)
        })?;
        rows.push(row);
    }
    Ok(())
}

/// Chooses the shape by the columns that are there.
fn project(schema: &Type, what: Rows, weight: Option<&str>) -> Result<(Type, Shape), EngineError> {
    let fields = schema.get_fields();
    let find = |name: &str| fields.iter().find(|f| f.name() == name).cloned();
    let names = || fields.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ");
    let row_id = find(ROW_ID).ok_or_else(|| {
        EngineError::user(
            "no_row_id",
            format!("The dataset has no column {ROW_ID}; its columns are {}.", names()),
            "Build the dataset from a recipe, which names every row.",
        )
    })?;
    let shape = Shape::of(what)
        .iter()
        .find(|s| s.columns().iter().all(|c| find(c).is_some()))
        .copied()
        .ok_or_else(|| no_shape(what, &names()))?;
    let mut columns: Vec<Arc<Type>> =
        std::iter::once(row_id).chain(shape.columns().iter().filter_map(|c| find(c))).collect();
    if let Some(name) = weight {
        let column = find(name).ok_or_else(|| weights::no_column(name, &names()))?;
        if !shape.columns().contains(&name) {
            columns.push(column);
        }
    }
    if shape.has_messages() && weight != Some(TOOLS) {
        columns.extend(find(TOOLS));
    }
    let projection = Type::group_type_builder(schema.name())
        .with_fields(columns)
        .build()
        .map_err(|e| EngineError::internal("projection", e.to_string()))?;
    Ok((projection, shape))
}

fn no_shape(what: Rows, columns: &str) -> EngineError {
    let (code, wanted, remedy) = match what {
        Rows::Texts => (
            "no_text_column",
            "none of: messages; prompt and completion; text",
            "Name the columns in the recipe's `map`, so that the dataset has one of these shapes.",
        ),
        Rows::Pairs => (
            "no_pairs",
            "no pairs: prompt, chosen and rejected; or chosen and rejected as messages",
            "Build a dataset of preferences, or choose an objective that learns from single answers.",
        ),
        Rows::Prompts => (
            "no_prompts",
            "no prompts with their answers: prompt and completion",
            "Name the columns in the recipe's `map`: the completion is the answer that is rewarded.",
        ),
        Rows::Questions => (
            "no_prompts",
            "no prompts for the teacher: prompt",
            "Name the column of the questions in the recipe's `map`.",
        ),
        Rows::Judged => (
            "no_judgements",
            "no judgements: label, with prompt and completion or with messages",
            "Build a dataset of judged answers, or choose an objective that learns from pairs.",
        ),
    };
    EngineError::user(code, format!("The dataset has {wanted}. Its columns are {columns}."), remedy)
}

fn read_row(row: &Row, shape: Shape, weight: Option<&str>) -> Result<DataRow, EngineError> {
    let field = |name: &str| row.get_column_iter().find(|(n, _)| n.as_str() == name).map(|(_, f)| f);
    let text = |name: &str| match field(name) {
        Some(Field::Str(s)) => Ok(s.clone()),
        Some(Field::Null) | None => Err(EngineError::user(
            "null_text",
            format!("`{name}` is null."),
            "Filter rows without text out in the recipe.",
        )),
        Some(_) => Err(EngineError::user(
            "not_text",
            format!("`{name}` is not text."),
            "Cast the column to text in the recipe.",
        )),
    };
    let id = match field(ROW_ID) {
        Some(Field::Str(s)) => s.clone(),
        Some(Field::Null) | None => {
            return Err(EngineError::user(
                "null_row_id",
                "its _row_id is null.",
                "Build the dataset again from its recipe.",
            ))
        }
        Some(other) => other.to_string(),
    };
    let prompted = |answer: &str| {
        Ok::<_, EngineError>(RowText::PromptCompletion { prompt: text("prompt")?, completion: text(answer)? })
    };
    let messages = |column: &str| {
        let talk = RowText::from_messages_json(&text(column)?)?;
        match field(TOOLS) {
            Some(Field::Null) | None => Ok(talk),
            Some(_) => talk.with_tools_json(&text(TOOLS)?),
        }
    };
    let texts = match shape {
        Shape::Text => vec![RowText::Text(text("text")?)],
        Shape::Prompt => {
            vec![RowText::PromptCompletion { prompt: text("prompt")?, completion: String::new() }]
        }
        Shape::PromptCompletion | Shape::JudgedPair => vec![prompted("completion")?],
        Shape::Messages | Shape::JudgedMessages => vec![messages("messages")?],
        Shape::Pair => vec![prompted("chosen")?, prompted("rejected")?],
        Shape::PairOfMessages => vec![messages("chosen")?, messages("rejected")?],
    };
    let good = match (shape, field("label")) {
        (Shape::JudgedPair | Shape::JudgedMessages, Some(Field::Bool(good))) => *good,
        (Shape::JudgedPair | Shape::JudgedMessages, _) => {
            return Err(EngineError::user(
                "bad_label",
                "`label` is neither true nor false.",
                "Give the column the type boolean, and every row a value.",
            ))
        }
        _ => false,
    };
    let weight = match weight {
        Some(name) => weights::of(field(name), name, &id)?,
        None => 1.0,
    };
    Ok(DataRow { id, texts, good, open: false, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_judged_row_gets_the_answer_of_the_next() {
        let pair = |i: usize, answer: usize| RowText::PromptCompletion {
            prompt: format!("q{i}"),
            completion: format!("a{answer}"),
        };
        let row = |i: usize| DataRow {
            id: i.to_string(),
            texts: vec![pair(i, i)],
            good: true,
            open: false,
            weight: 1.0,
        };
        let mut rows: Vec<DataRow> = (0..3).map(row).collect();
        add_unrelated(&mut rows).unwrap();
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(row.texts, [pair(i, i), pair(i, (i + 1) % 3)]);
        }
        rows[1].texts = vec![RowText::Text("no answer".into())];
        let error = add_unrelated(&mut rows[..2]).unwrap_err();
        assert!(error.code == "no_answer" && error.message.contains("Row 0"), "{error:?}");
    }
}
