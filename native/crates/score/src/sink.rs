//! The output: a temporary file beside its place, which gets its name when it is whole.

use crate::columns::{Cell, Column};
use crate::outcome::RowScore;
use crate::source::FileKind;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;
use tillage_protocol::EngineError;

/// Rows of a Parquet row group.
const GROUP: usize = 1 << 14;

/// Takes rows' lines; nothing is at the file's place before [`Sink::finish`].
pub struct Sink {
    path: PathBuf,
    draft: NamedTempFile,
    columns: Vec<Column>,
    waiting: Vec<RowScore>,
    format: Format,
}

enum Format {
    Parquet(Box<SerializedFileWriter<File>>),
    Lines(BufWriter<File>),
}

impl Sink {
    /// Begins a file. `like` has the kinds of values that the columns hold.
    ///
    /// # Errors
    /// `bad_file_kind`; `environment` when the folder takes no file.
    pub fn create(path: &Path, columns: Vec<Column>) -> Result<Sink, EngineError> {
        let kind = FileKind::of(path)?;
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(|e| EngineError::io(&e, parent))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmp-score-");
        // As readable as any other new file; a temporary one is private otherwise.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let draft = builder.tempfile_in(parent).map_err(|e| EngineError::io(&e, path))?;
        let file = draft.reopen().map_err(|e| EngineError::io(&e, path))?;
        let format = match kind {
            FileKind::JsonLines => Format::Lines(BufWriter::new(file)),
            FileKind::Parquet => {
                let writer = parquet_writer(file, &columns).map_err(|e| explain(e, path))?;
                Format::Parquet(Box::new(writer))
            }
        };
        Ok(Sink { path: path.to_owned(), draft, columns, waiting: Vec::new(), format })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The machine's, `disk_full` among them.
    pub fn push(&mut self, row: RowScore) -> Result<(), EngineError> {
        self.waiting.push(row);
        if self.waiting.len() >= GROUP {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is left and puts the file in its place.
    ///
    /// # Errors
    /// The machine's; then nothing is left of the file, and one that was there before stays.
    pub fn finish(mut self) -> Result<(), EngineError> {
        self.flush()?;
        let path = self.path;
        let io = |e: std::io::Error| EngineError::io(&e, &path);
        let file = match self.format {
            Format::Parquet(writer) => writer.into_inner().map_err(|e| explain(e, &path))?,
            Format::Lines(out) => out.into_inner().map_err(|e| io(e.into_error()))?,
        };
        file.sync_all().map_err(io)?;
        self.draft.persist(&path).map_err(|e| EngineError::io(&e.error, &path))?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.waiting);
        match &mut self.format {
            Format::Lines(out) => write_lines(out, &rows, &self.columns),
            Format::Parquet(writer) => {
                return write_group(writer, &rows, &self.columns).map_err(|e| explain(e, &self.path))
            }
        }
        .map_err(|e| EngineError::io(&e, &self.path))
    }
}

fn write_lines(out: &mut impl Write, rows: &[RowScore], columns: &[Column]) -> std::io::Result<()> {
    for row in rows {
        let values = columns.iter().map(|c| (c.name.to_owned(), json((c.of)(row))));
        serde_json::to_writer(&mut *out, &values.collect::<Map<_, _>>())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn json(cell: Cell) -> Value {
    match cell {
        Cell::Text(x) => x.into(),
        Cell::Int(x) => x.into(),
        Cell::Real(x) => x.into(),
        Cell::Flag(x) => x.into(),
        Cell::Ints(x) => x.into(),
        Cell::Reals(x) => x.into(),
        Cell::Floats(x) => x.into(),
    }
}

fn parquet_writer(file: File, columns: &[Column]) -> Result<SerializedFileWriter<File>, ParquetError> {
    let field = |column: &Column| {
        let name = column.name;
        let list = |kind: &str| {
            format!("REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED {kind} element; }} }}")
        };
        match (column.of)(&RowScore::default()) {
            Cell::Text(_) => format!("REQUIRED BYTE_ARRAY {name} (UTF8);"),
            Cell::Int(_) => format!("OPTIONAL INT64 {name};"),
            Cell::Real(_) => format!("OPTIONAL DOUBLE {name};"),
            Cell::Flag(_) => format!("OPTIONAL BOOLEAN {name};"),
            Cell::Ints(_) => list("INT64"),
            Cell::Reals(_) => list("DOUBLE"),
            Cell::Floats(_) => list("FLOAT"),
        }
    };
    let fields: String = columns.iter().map(field).collect();
    let schema = parse_message_type(&format!("message scores {{ {fields} }}"))?;
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
}

fn write_group(
    writer: &mut SerializedFileWriter<File>,
    rows: &[RowScore],
    columns: &[Column],
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in columns {
        let Some(mut open) = group.next_column()? else {
            return Err(ParquetError::General(format!("there is no column {}", column.name)));
        };
        let cells: Vec<Cell> = rows.iter().map(column.of).collect();
        match open.untyped() {
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let texts: Vec<ByteArray> = cells
                    .iter()
                    .filter_map(|c| if let Cell::Text(x) = c { Some(x.as_str().into()) } else { None })
                    .collect();
                w.write_batch(&texts, None, None)?;
            }
            ColumnWriter::BoolColumnWriter(w) => {
                options(w, cells.iter().map(|c| if let Cell::Flag(x) = c { *x } else { None }))?;
            }
            ColumnWriter::Int64ColumnWriter(w) => match cells.first() {
                Some(Cell::Ints(_)) => {
                    lists(w, cells.iter().map(|c| if let Cell::Ints(x) = c { &x[..] } else { &[] }))?
                }
                _ => options(w, cells.iter().map(|c| if let Cell::Int(x) = c { *x } else { None }))?,
            },
            ColumnWriter::DoubleColumnWriter(w) => match cells.first() {
                Some(Cell::Reals(_)) => {
                    lists(w, cells.iter().map(|c| if let Cell::Reals(x) = c { &x[..] } else { &[] }))?
                }
                _ => options(w, cells.iter().map(|c| if let Cell::Real(x) = c { *x } else { None }))?,
            },
            ColumnWriter::FloatColumnWriter(w) => {
                lists(w, cells.iter().map(|c| if let Cell::Floats(x) = c { &x[..] } else { &[] }))?
            }
            _ => return Err(ParquetError::General(format!("{} has an unknown type", column.name))),
        }
        open.close()?;
    }
    group.close()?;
    Ok(())
}

/// A column of values that may be null: definition level 1 where one is there.
fn options<D: DataType>(
    writer: &mut ColumnWriterImpl<'_, D>,
    values: impl Iterator<Item = Option<D::T>>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<D::T>> = values.collect();
    let there: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
    let values: Vec<D::T> = values.into_iter().flatten().collect();
    writer.write_batch(&values, Some(&there), None)?;
    Ok(())
}

/// A column of lists: definition level 0 for an empty one, repetition level 1 from a list's second value on.
fn lists<'a, D: DataType>(
    writer: &mut ColumnWriterImpl<'_, D>,
    values: impl Iterator<Item = &'a [D::T]>,
) -> Result<(), ParquetError>
where
    D::T: 'a,
{
    let (mut all, mut there, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for list in values {
        all.extend_from_slice(list);
        there.extend(if list.is_empty() { vec![0] } else { vec![1; list.len()] });
        repeated.extend((0..list.len().max(1)).map(|i| i16::from(i > 0)));
    }
    writer.write_batch(&all, Some(&there), Some(&repeated))?;
    Ok(())
}

/// An I/O error inside the library's own is the machine's.
fn explain(error: ParquetError, path: &Path) -> EngineError {
    if let ParquetError::External(inner) = &error {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return EngineError::io(io, path);
        }
    }
    EngineError::environment("io", format!("{}: {error}.", path.display()), "Check the disk.").with_file(path)
}
