//! A run's folder after something happened to it.

use crate::folders::Scratch;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use tillage_protocol::{Blame, Event};
use tillage_train::{train, Control, Options};

/// The files of a run that a resumed one reads, by an input's first byte.
pub const FILES: [&str; 7] = [
    "checkpoints/step-000002/trainer/state.json",
    "events.jsonl",
    "row_loss.parquet",
    "checkpoints/step-000002/trainer/optimizer.safetensors",
    "checkpoints/step-000002/config.json",
    "checkpoints/step-000002/tokenizer.json",
    "checkpoints/step-000002/model.safetensors",
];

/// Four steps of a tiny model.
pub const RUN: &str = r#"{"version":1,"id":"r","name":"r","objective":"pretrain","model":{"kind":"init","shape":{"hidden_size":8,
"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1,"num_key_value_heads":1,"max_position_embeddings":32},
"tokenizer":{"kind":"train","vocab_size":260}},"data":{"train":["../rows.parquet"]},"template":{"kind":"plain"},"loss_on":"all",
"train":{"epochs":2,"batch_tokens":64,"context":32,"lr":0.01,"schedule":"constant","seed":1,"max_steps":4,"checkpoint_every":2}}"#;

/// Writes a few rows of text.
pub fn write_rows(path: &Path) {
    let schema = "message rows { REQUIRED BYTE_ARRAY _row_id (UTF8); REQUIRED BYTE_ARRAY text (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a good schema"));
    let file = std::fs::File::create(path).expect("a folder that can be written");
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).expect("a good schema");
    let mut group = writer.next_row_group().expect("a group");
    for text in ["row", "The cat sat on a mat"] {
        let values: Vec<ByteArray> = (0..6).map(|i| format!("{text} {i}").as_str().into()).collect();
        let mut column = group.next_column().expect("a column").expect("a column");
        let ColumnWriter::ByteArrayColumnWriter(w) = column.untyped() else { unreachable!("text columns") };
        w.write_batch(&values, None, None).expect("a column");
        column.close().expect("a column");
    }
    group.close().expect("a group");
    writer.close().expect("a file");
}

fn options() -> Options {
    Options { control: Control::default(), threads: 1, mirror: false }
}

/// A run that was stopped behind its second step.
pub fn stopped() -> &'static Path {
    static RUN_DIR: OnceLock<(TempDir, std::path::PathBuf)> = OnceLock::new();
    let (_, run) = RUN_DIR.get_or_init(|| {
        let root = tempfile::tempdir().expect("a folder for temporary files");
        write_rows(&root.path().join("rows.parquet"));
        let run = root.path().join("run");
        std::fs::create_dir(&run).expect("a folder");
        std::fs::write(run.join("run.json"), RUN).expect("a folder that can be written");
        train(&run, &options()).expect("a good run");
        // What came behind the checkpoint is undone, as if the run had been killed.
        for gone in ["model", "checkpoints/step-000004"] {
            std::fs::remove_dir_all(run.join(gone)).expect("a finished run");
        }
        (root, run)
    });
    run
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).expect("a folder");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).expect("a folder that can be written");
        }
    }
}

/// Resumes a run of which one file was replaced: the first byte says which, the rest is its content.
pub fn checkpoint(data: &[u8]) {
    let Some((which, content)) = data.split_first() else { return };
    let scratch = Scratch::new();
    let run = scratch.path().join("run");
    copy(stopped(), &run);
    std::fs::copy(stopped().with_file_name("rows.parquet"), scratch.path().join("rows.parquet"))
        .expect("a folder that can be written");
    std::fs::write(run.join(FILES[usize::from(*which) % FILES.len()]), content)
        .expect("a folder that can be written");
    let ended = train(&run, &options());
    // Whatever it was, the log tells the end.
    let log = std::fs::read(run.join("events.jsonl")).unwrap_or_default();
    let last = log.split(|b| *b == b'\n').rev().find(|line| !line.is_empty());
    let last: Option<Event> = last.and_then(|line| serde_json::from_slice(line).ok());
    match ended {
        Ok(_) => assert!(matches!(last, Some(Event::Finished { .. })), "{last:?}"),
        Err(e) => {
            assert!(e.blame != Blame::Internal, "bad input is called a defect of the engine: {e:?}");
            assert!(matches!(&last, Some(Event::Failed { error, .. }) if *error == e), "{last:?}, {e:?}");
        }
    }
}
