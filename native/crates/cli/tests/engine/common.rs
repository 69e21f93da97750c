//! Small runs, and the binary.

use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Writes text columns as a Parquet file.
pub fn parquet(path: &Path, columns: &[(&str, Vec<String>)]) {
    write_parquet(path, columns, None, None);
}

/// The same with a column `weight`; `None` is a null.
pub fn weighed(path: &Path, columns: &[(&str, Vec<String>)], weights: &[Option<f64>]) {
    write_parquet(path, columns, None, Some(weights));
}

/// The same with a column `label`.
pub fn judgements(path: &Path, columns: &[(&str, Vec<String>)], labels: &[bool]) {
    write_parquet(path, columns, Some(labels), None);
}

fn write_parquet(
    path: &Path,
    columns: &[(&str, Vec<String>)],
    labels: Option<&[bool]>,
    weights: Option<&[Option<f64>]>,
) {
    let fields: String =
        columns.iter().map(|(name, _)| format!("REQUIRED BYTE_ARRAY {name} (UTF8); ")).collect();
    let label = if labels.is_some() { "REQUIRED BOOLEAN label;" } else { "" };
    let weight = if weights.is_some() { "OPTIONAL DOUBLE weight;" } else { "" };
    let schema = parse_message_type(&format!("message rows {{ {fields} {label} {weight} }}")).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, values) in columns {
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = values.iter().map(|v| v.as_str().into()).collect();
        let ColumnWriter::ByteArrayColumnWriter(w) = column.untyped() else { unreachable!("text columns") };
        w.write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    if let Some(labels) = labels {
        let mut column = group.next_column().unwrap().unwrap();
        let ColumnWriter::BoolColumnWriter(w) = column.untyped() else { unreachable!("a column of labels") };
        w.write_batch(labels, None, None).unwrap();
        column.close().unwrap();
    }
    if let Some(weights) = weights {
        let mut column = group.next_column().unwrap().unwrap();
        let ColumnWriter::DoubleColumnWriter(w) = column.untyped() else {
            unreachable!("a column of weights")
        };
        let (values, levels): (Vec<f64>, Vec<i16>) = (
            weights.iter().flatten().copied().collect(),
            weights.iter().map(|w| i16::from(w.is_some())).collect(),
        );
        w.write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

pub const TOWNS: [&str; 6] = ["Bergen", "Lyon", "Turin", "Graz", "Porto", "Ghent"];
pub const TREES: [&str; 6] = ["alder", "birch", "cedar", "elm", "fir", "hazel"];

/// A workspace with a corpus, pairs, and a place for runs.
pub struct Workspace {
    dir: TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let docs: Vec<String> = (0..48)
            .map(|i| {
                let (tree, town) = (TREES[i % 6], TOWNS[i % 6]);
                let mut parts = [
                    format!("The {tree} stands in {town}."),
                    format!("In {town} grows the {tree}."),
                    format!("People of {town} like the {tree}."),
                ];
                parts.rotate_left(i / 6 % 3);
                parts.join(" ")
            })
            .collect();
        let ids = |n: usize, kind: &str| (0..n).map(|i| format!("{kind}-{i}")).collect::<Vec<_>>();
        parquet(&dir.path().join("docs.parquet"), &[("_row_id", ids(48, "doc")), ("text", docs)]);
        let pair = |i: usize| (format!("Where is the {}?", TREES[i]), format!(" In {}.", TOWNS[i]));
        let (prompts, completions) = (0..6).map(pair).unzip();
        parquet(
            &dir.path().join("pairs.parquet"),
            &[("_row_id", ids(6, "pair")), ("prompt", prompts), ("completion", completions)],
        );
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a run's folder.
    pub fn run(&self, name: &str, spec: &Value) -> PathBuf {
        let dir = self.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("run.json"), serde_json::to_vec_pretty(spec).unwrap()).unwrap();
        dir
    }

    /// A pretraining run of a tiny model, changed by `patch` (JSON Merge Patch without removal).
    pub fn pretrain(&self, name: &str, patch: &Value) -> PathBuf {
        let mut spec = json!({
            "version": 1, "id": name, "name": name, "objective": "pretrain",
            "model": {"kind": "init", "tokenizer": {"kind": "train", "vocab_size": 320}, "shape": {
                "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                "num_key_value_heads": 1, "max_position_embeddings": 64}},
            "data": {"train": ["../docs.parquet"]}, "template": {"kind": "plain"}, "loss_on": "all",
            "train": {"epochs": 3, "batch_tokens": 256, "context": 64, "lr": 0.003, "schedule": "cosine",
                "warmup_steps": 3, "weight_decay": 0.01, "seed": 5, "checkpoint_every": 4},
            "threads": 2
        });
        merge(&mut spec, patch);
        self.run(name, &spec)
    }

    /// A LoRA run on the model of another run.
    pub fn tune(&self, name: &str, base: &str, patch: &Value) -> PathBuf {
        let mut spec = json!({
            "version": 1, "id": name, "name": name, "objective": "sft",
            "model": {"kind": "folder", "path": format!("../{base}/model")},
            "adapter": {"r": 4, "alpha": 8, "targets": ["all-linear"]},
            "data": {"train": ["../pairs.parquet"]},
            "template": {"kind": "format", "prompt": "Q: {prompt}\nA:"}, "loss_on": "completion",
            "train": {"epochs": 3, "batch_tokens": 64, "context": 64, "lr": 0.005, "schedule": "linear", "seed": 5,
                "checkpoint_every": 2},
            "threads": 2
        });
        merge(&mut spec, patch);
        self.run(name, &spec)
    }
}

/// JSON Merge Patch without removal.
pub fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(t), Value::Object(p)) => {
            p.iter().for_each(|(k, v)| merge(t.entry(k).or_insert(Value::Null), v));
        }
        (t, p) => *t = p.clone(),
    }
}

pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillage-native"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary to its end.
pub fn engine(args: &[&str]) -> Output {
    binary().args(args).output().unwrap()
}

/// Trains, and expects success.
pub fn train(run: &Path) -> String {
    let out = engine(&["train", run.to_str().unwrap()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Runs the binary, and expects an error; returns the exit code and the error.
pub fn failure(args: &[&str]) -> (i32, Value) {
    let out = engine(&[args, &["--json"]].concat());
    let text = String::from_utf8(out.stderr).unwrap();
    // A program that the run asks may have said something before.
    let last = text.trim().lines().last().unwrap_or_default();
    let error = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    (out.status.code().unwrap(), error)
}

pub fn events(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    assert!(text.ends_with('\n'), "the last line is whole");
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

pub fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["type"] == kind).collect()
}

/// Nothing half-written is left in a run's folder.
pub fn assert_clean(run: &Path) {
    for dir in [run.to_owned(), run.join("checkpoints")] {
        for entry in std::fs::read_dir(&dir).into_iter().flatten() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with(".tmp-"), "{name:?} is left in {dir:?}");
        }
    }
}

/// Waits until `ready` says so.
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !ready() {
        assert!(begun.elapsed().as_secs() < 60, "{what} did not come");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
