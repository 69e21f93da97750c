//! Rows of a dataset's Parquet shards.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillage_protocol::EngineError;
use tillage_text::RowText;

/// A row and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct DataRow {
    pub id: String,
    pub text: RowText,
}

/// The column that names rows.
const ROW_ID: &str = "_row_id";

#[derive(Debug, Clone, Copy)]
enum Shape {
    Messages,
    PromptCompletion,
    Text,
}

impl Shape {
    fn columns(self) -> &'static [&'static str] {
        match self {
            Shape::Messages => &["messages"],
            Shape::PromptCompletion => &["prompt", "completion"],
            Shape::Text => &["text"],
        }
    }
}

/// Reads all rows of all shards, in order.
///
/// # Errors
/// User errors that name the file: it is missing, cut short, or has not the columns of any shape.
pub fn read(files: &[PathBuf]) -> Result<Vec<DataRow>, EngineError> {
    let mut rows = Vec::new();
    for file in files {
        read_file(file, &mut rows)?;
    }
    Ok(rows)
}

fn read_file(path: &Path, rows: &mut Vec<DataRow>) -> Result<(), EngineError> {
    let broken = |e: parquet::errors::ParquetError| {
        EngineError::user(
            "bad_parquet",
            format!("{} is cut short or is no Parquet file: {e}.", path.display()),
            "Build the dataset again from its recipe.",
        )
        .with_file(path)
    };
    let file = File::open(path).map_err(|e| EngineError::io(&e, path))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema();
    let (projection, shape) = project(schema).map_err(|e| e.with_file(path))?;
    for (line, row) in reader.get_row_iter(Some(projection)).map_err(broken)?.enumerate() {
        let row = read_row(&row.map_err(broken)?, shape).map_err(|mut e| {
            e.message = format!("Row {} of {}: {}", line + 1, path.display(), e.message);
            e.with_file(path).with_line(line as u64 + 1)
        })?;
        rows.push(row);
    }
    Ok(())
}

/// Chooses the shape by the columns that are there: messages first, then prompt and completion, then text.
fn project(schema: &Type) -> Result<(Type, Shape), EngineError> {
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
    let shape = [Shape::Messages, Shape::PromptCompletion, Shape::Text]
        .into_iter()
        .find(|s| s.columns().iter().all(|c| find(c).is_some()))
        .ok_or_else(|| {
            EngineError::user(
                "no_text_column",
                format!(
                    "The dataset has none of: messages; prompt and completion; text. Its columns are {}.",
                    names()
                ),
                "Name the columns in the recipe's `select`, so that the dataset has one of these shapes.",
            )
        })?;
    let columns: Vec<Arc<Type>> =
        std::iter::once(row_id).chain(shape.columns().iter().filter_map(|c| find(c))).collect();
    let projection = Type::group_type_builder(schema.name())
        .with_fields(columns)
        .build()
        .map_err(|e| EngineError::internal("projection", e.to_string()))?;
    Ok((projection, shape))
}

fn read_row(row: &Row, shape: Shape) -> Result<DataRow, EngineError> {
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
    let text = match shape {
        Shape::Text => RowText::Text(text("text")?),
        Shape::PromptCompletion => {
            RowText::PromptCompletion { prompt: text("prompt")?, completion: text("completion")? }
        }
        Shape::Messages => RowText::from_messages_json(&text("messages")?)?,
    };
    Ok(DataRow { id, text })
}
