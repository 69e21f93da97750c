//! Rows of a Parquet or JSONL file, read block by block, so that a large file needs no large memory.

use crate::content::{Content, Shape};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Number, Value};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillage_protocol::{guard, EngineError};

/// The column that names rows; a row without it goes by its number, counted from 1.
pub const ROW_ID: &str = "_row_id";

/// A row with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// Of [`ROW_ID`], or its number.
    pub id: String,
    /// What is scored.
    pub content: Content,
}

/// A file's rows, in order.
pub struct Source {
    path: PathBuf,
    shape: Shape,
    total: u64,
    read: u64,
    rows: Rows,
}

/// A row as it stands in the file, and its line.
type Line = (u64, Map<String, Value>);

enum Rows {
    Parquet(Box<RowIter<'static>>),
    /// The lines, and the number of the one read last.
    Lines(std::io::Lines<BufReader<File>>, u64),
}

/// The kind of a file, by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Columns.
    Parquet,
    /// An object a line.
    JsonLines,
}

impl FileKind {
    /// # Errors
    /// `bad_file_kind` for another ending.
    pub fn of(path: &Path) -> Result<FileKind, EngineError> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("parquet") => Ok(FileKind::Parquet),
            Some("jsonl" | "ndjson") => Ok(FileKind::JsonLines),
            _ => Err(EngineError::user(
                "bad_file_kind",
                format!("{} is neither a .parquet nor a .jsonl file.", path.display()),
                "Name a file that ends in .parquet or .jsonl.",
            )
            .with_file(path)),
        }
    }
}

impl Source {
    /// Opens a file and finds the shape of its rows.
    ///
    /// # Errors
    /// User errors that name the file: it is missing, of no known kind, broken, without a row, or has the columns of no
    /// shape.
    pub fn open(path: &Path) -> Result<Source, EngineError> {
        let (shape, total, rows) = match FileKind::of(path)? {
            FileKind::Parquet => {
                guard::caught(|| open_parquet(path)).unwrap_or_else(|why| Err(broken(path, &why)))?
            }
            FileKind::JsonLines => open_lines(path)?,
        };
        if total == 0 {
            return Err(no_rows(path));
        }
        Ok(Source { path: path.to_owned(), shape, total, read: 0, rows })
    }

    /// The shape of its rows.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Rows of the whole file.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The next rows, `most` at most; none at the end.
    ///
    /// # Errors
    /// The first bad row's, with its line.
    pub fn block(&mut self, most: usize) -> Result<Vec<SourceRow>, EngineError> {
        let mut block = Vec::new();
        while block.len() < most {
            let Some((line, row)) = self.next_row()? else { break };
            self.read += 1;
            let content = self.shape.read(&row).map_err(|mut e| {
                e.message = format!("Row {} of {}: {}", self.read, self.path.display(), e.message);
                e.with_file(&self.path).with_line(line)
            })?;
            let id = match row.get(ROW_ID) {
                Some(Value::String(id)) => id.clone(),
                None | Some(Value::Null) => self.read.to_string(),
                Some(other) => other.to_string(),
            };
            block.push(SourceRow { id, content });
        }
        Ok(block)
    }

    fn next_row(&mut self) -> Result<Option<Line>, EngineError> {
        match &mut self.rows {
            Rows::Parquet(rows) => {
                match guard::caught(|| rows.next()).map_err(|why| broken(&self.path, &why))? {
                    None => Ok(None),
                    Some(row) => {
                        let row = row.map_err(|e| broken(&self.path, &e))?;
                        Ok(Some((self.read + 1, object(&row))))
                    }
                }
            }
            Rows::Lines(lines, number) => loop {
                let Some(line) = lines.next() else { return Ok(None) };
                *number += 1;
                let line = line.map_err(|e| EngineError::io(&e, &self.path).with_line(*number))?;
                if line.trim().is_empty() {
                    continue;
                }
                return parse(&line, &self.path, *number).map(|row| Some((*number, row)));
            },
        }
    }
}

fn open_parquet(path: &Path) -> Result<(Shape, u64, Rows), EngineError> {
    let file = File::open(path).map_err(|e| EngineError::io(&e, path))?;
    let reader = SerializedFileReader::new(file).map_err(|e| broken(path, &e))?;
    let meta = reader.metadata().file_metadata();
    let (schema, total) = (meta.schema(), meta.num_rows().max(0) as u64);
    let names: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
    let shape = Shape::of(&names).map_err(|e| e.with_file(path))?;
    let wanted =
        |name: &str| name == ROW_ID || shape.optional() == Some(name) || shape.columns().contains(&name);
    let fields: Vec<Arc<Type>> = schema.get_fields().iter().filter(|f| wanted(f.name())).cloned().collect();
    let projection = Type::group_type_builder(schema.name())
        .with_fields(fields)
        .build()
        .map_err(|e| EngineError::internal("projection", e.to_string()))?;
    let rows = RowIter::from_file_into(Box::new(reader)).project(Some(projection));
    let rows = rows.map_err(|e| broken(path, &e))?;
    Ok((shape, total, Rows::Parquet(Box::new(rows))))
}

fn open_lines(path: &Path) -> Result<(Shape, u64, Rows), EngineError> {
    let lines = || File::open(path).map(|f| BufReader::new(f).lines()).map_err(|e| EngineError::io(&e, path));
    let (mut first, mut total) = (None, 0);
    for (i, line) in lines()?.enumerate() {
        let number = i as u64 + 1;
        let line = line.map_err(|e| EngineError::io(&e, path).with_line(number))?;
        if !line.trim().is_empty() {
            total += 1;
            first.get_or_insert((line, number));
        }
    }
    let Some((line, number)) = first else { return Err(no_rows(path)) };
    let row = parse(&line, path, number)?;
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let shape = Shape::of(&names).map_err(|e| e.with_file(path).with_line(number))?;
    Ok((shape, total, Rows::Lines(lines()?, 0)))
}

fn parse(line: &str, path: &Path, number: u64) -> Result<Map<String, Value>, EngineError> {
    serde_json::from_str(line).map_err(|e| {
        EngineError::user(
            "bad_json",
            format!("Line {number} of {} is no JSON object: {e}.", path.display()),
            "Write one object a line.",
        )
        .with_file(path)
        .with_line(number)
    })
}

fn object(row: &Row) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(x) => (*x).into(),
        Field::Byte(x) => (*x).into(),
        Field::Short(x) => (*x).into(),
        Field::Int(x) => (*x).into(),
        Field::Long(x) => (*x).into(),
        Field::UByte(x) => (*x).into(),
        Field::UShort(x) => (*x).into(),
        Field::UInt(x) => (*x).into(),
        Field::ULong(x) => (*x).into(),
        Field::Double(x) => Number::from_f64(*x).map_or(Value::Null, Value::Number),
        Field::Str(x) => x.as_str().into(),
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => other.to_string().into(),
    }
}

/// A file that the library cannot read, or at which it panics.
fn broken(path: &Path, e: &dyn std::fmt::Display) -> EngineError {
    EngineError::user(
        "bad_parquet",
        format!("{} is cut short or is no Parquet file: {e}.", path.display()),
        "Write the file again.",
    )
    .with_file(path)
}

fn no_rows(path: &Path) -> EngineError {
    EngineError::user("no_rows", format!("{} holds no row.", path.display()), "Name a file with rows.")
        .with_file(path)
}
