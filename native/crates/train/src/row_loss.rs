//! `row_loss.parquet`: what each training row's loss was, each time it was seen.

use crate::files;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RowAccessor;
use parquet::schema::parser::parse_message_type;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillage_protocol::{guard, EngineError};

const SCHEMA: &str = "message row_loss {
  REQUIRED BYTE_ARRAY row_id (UTF8);
  REQUIRED INT64 step;
  REQUIRED DOUBLE epoch;
  REQUIRED DOUBLE loss;
  REQUIRED INT32 tokens;
}";

/// One sight of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Number of the row in the training split.
    pub row: u32,
    /// Number of the step that saw it, from 1.
    pub step: i64,
    /// Epochs that were over after the step.
    pub epoch: f64,
    /// Mean over the row's labelled tokens, nats.
    pub loss: f64,
    /// Its labelled tokens.
    pub tokens: i32,
}

/// All sights so far; written as a whole at each checkpoint.
#[derive(Debug)]
pub struct RowLoss {
    path: PathBuf,
    seen: Vec<Seen>,
}

impl RowLoss {
    /// An empty table for a fresh run.
    pub fn new(run_dir: &Path) -> Self {
        Self { path: run_dir.join("row_loss.parquet"), seen: Vec::new() }
    }

    /// The table of a run that goes on after `step`: later sights, which will be repeated, are dropped.
    ///
    /// # Errors
    /// `bad_parquet` when the table is broken.
    pub fn reopen(run_dir: &Path, step: u64, ids: &[String]) -> Result<Self, EngineError> {
        let mut this = Self::new(run_dir);
        if !this.path.exists() {
            return Ok(this);
        }
        // Whatever a damaged file makes of the library that reads it, it is the file's fault.
        let path = this.path.clone();
        this.seen = guard::caught(|| read(&path, step, ids)).unwrap_or_else(|why| Err(broken(&path, why)))?;
        Ok(this)
    }

    /// Adds a sight.
    pub fn push(&mut self, seen: Seen) {
        self.seen.push(seen);
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The machine's, `disk_full` among them; the old file stays.
    pub fn write(&self, ids: &[String]) -> Result<(), EngineError> {
        let path = &self.path;
        files::write_atomic(path, |out| write_table(out, &self.seen, ids).map_err(|e| explain(e, path)))
    }
}

fn broken(path: &Path, why: impl std::fmt::Display) -> EngineError {
    EngineError::environment(
        "bad_parquet",
        format!("{} cannot be read: {why}.", path.display()),
        "Delete the file and resume: only the losses of the rows seen so far are lost.",
    )
    .with_file(path)
}

/// The sights of a table up to a step.
fn read(path: &Path, step: u64, ids: &[String]) -> Result<Vec<Seen>, EngineError> {
    let broken = |e: ParquetError| broken(path, e);
    let rows: HashMap<&str, u32> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i as u32)).collect();
    let file = File::open(path).map_err(|e| EngineError::io(&e, path))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let mut seen = Vec::new();
    for row in reader.get_row_iter(None).map_err(broken)? {
        let row = row.map_err(broken)?;
        let at = row.get_long(1).map_err(broken)?;
        let number = rows.get(row.get_string(0).map_err(broken)?.as_str());
        if let (true, Some(&number)) = (at as u64 <= step, number) {
            seen.push(Seen {
                row: number,
                step: at,
                epoch: row.get_double(2).map_err(broken)?,
                loss: row.get_double(3).map_err(broken)?,
                tokens: row.get_int(4).map_err(broken)?,
            });
        }
    }
    Ok(seen)
}

/// An I/O error inside the library's own is the machine's.
fn explain(error: ParquetError, path: &Path) -> EngineError {
    if let ParquetError::External(inner) = &error {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return EngineError::io(io, path);
        }
    }
    EngineError::environment(
        "io",
        format!("{}: {error}.", path.display()),
        "Check that the disk is there and healthy.",
    )
    .with_file(path)
}

/// Counts what goes through, and hands a plain writer to the library, which wants a sized and sendable one.
fn write_table(out: &mut dyn std::io::Write, seen: &[Seen], ids: &[String]) -> Result<(), ParquetError> {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    let mut buffer = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut buffer, Arc::new(parse_message_type(SCHEMA)?), Arc::new(properties))?;
    for chunk in seen.chunks(1 << 20) {
        let mut group = writer.next_row_group()?;
        let mut index = 0;
        while let Some(mut column) = group.next_column()? {
            match (index, column.untyped()) {
                (0, ColumnWriter::ByteArrayColumnWriter(w)) => {
                    let values: Vec<ByteArray> =
                        chunk.iter().map(|s| ids[s.row as usize].as_str().into()).collect();
                    w.write_batch(&values, None, None)?;
                }
                (1, ColumnWriter::Int64ColumnWriter(w)) => {
                    w.write_batch(&chunk.iter().map(|s| s.step).collect::<Vec<_>>(), None, None)?;
                }
                (2, ColumnWriter::DoubleColumnWriter(w)) => {
                    w.write_batch(&chunk.iter().map(|s| s.epoch).collect::<Vec<_>>(), None, None)?;
                }
                (3, ColumnWriter::DoubleColumnWriter(w)) => {
                    w.write_batch(&chunk.iter().map(|s| s.loss).collect::<Vec<_>>(), None, None)?;
                }
                (4, ColumnWriter::Int32ColumnWriter(w)) => {
                    w.write_batch(&chunk.iter().map(|s| s.tokens).collect::<Vec<_>>(), None, None)?;
                }
                (i, _) => {
                    return Err(ParquetError::General(format!("column {i} is not what the schema says")))
                }
            }
            column.close()?;
            index += 1;
        }
        group.close()?;
    }
    writer.close()?;
    out.write_all(&buffer).map_err(|e| ParquetError::External(Box::new(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_back_up_to_a_step() {
        let dir = tempfile::tempdir().unwrap();
        let ids = ["a".to_owned(), "ü".to_owned()];
        let mut table = RowLoss::new(dir.path());
        let seen =
            |row, step| Seen { row, step, epoch: step as f64 / 2.0, loss: 0.5 + f64::from(row), tokens: 7 };
        table.push(seen(0, 1));
        table.push(seen(1, 1));
        table.push(seen(0, 2));
        table.write(&ids).unwrap();
        let again = RowLoss::reopen(dir.path(), 1, &ids).unwrap();
        assert_eq!(again.seen, [seen(0, 1), seen(1, 1)]);
    }
}
