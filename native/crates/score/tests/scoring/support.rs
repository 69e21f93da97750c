//! The fixture's model, asked through files and directly.

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tillage_model::{Mix, Model, Packed};
use tillage_protocol::rpc::ModelRef;
use tillage_protocol::run::{Dtype, Template};
use tillage_protocol::score::{Embed, ScoreParams, ScoreResult, BATCH_TOKENS};
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

pub fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama")
}

pub struct Fixture {
    pub model: Model,
    pub tokenizer: Arc<Tokenizer>,
    dir: TempDir,
}

/// Texts of many lengths.
pub fn text(i: usize) -> String {
    let words = ["elm", "stands", "in", "Graz", "and", "nobody", "knows", "why,", "since", "1874"];
    (0..i * 7 % 23 + 1).map(|n| words[(n * 3 + i) % words.len()]).collect::<Vec<_>>().join(" ")
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture::of(&fixture())
    }

    pub fn of(dir: &Path) -> Fixture {
        let tokenizer = Arc::new(Tokenizer::load(dir).unwrap());
        Fixture { model: Model::load(dir).unwrap(), tokenizer, dir: tempfile::tempdir().unwrap() }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn params(&self) -> ScoreParams {
        ScoreParams {
            model: ModelRef { base: fixture(), adapter: None, adapters: Vec::new(), dtype: Dtype::F32 },
            rows: self.dir().join("rows.jsonl"),
            out: self.dir().join("out.jsonl"),
            template: Template::Plain,
            loss_on: None,
            context: None,
            batch_tokens: BATCH_TOKENS,
            embed: Embed::None,
        }
    }

    pub fn try_score(
        &self,
        rows: &[Value],
        change: impl FnOnce(&mut ScoreParams),
    ) -> Result<(Vec<Value>, ScoreResult), EngineError> {
        self.try_score_mixed(rows, None, change)
    }

    pub fn try_score_mixed(
        &self,
        rows: &[Value],
        mix: Option<&Mix>,
        change: impl FnOnce(&mut ScoreParams),
    ) -> Result<(Vec<Value>, ScoreResult), EngineError> {
        let text: String = rows.iter().map(|r| format!("{r}\n")).collect();
        let mut params = self.params();
        std::fs::write(&params.rows, text).unwrap();
        change(&mut params);
        let hashes = ("hash".to_owned(), None);
        let result =
            tillage_score::score((&self.model, mix), &self.tokenizer, hashes, &params, &mut |_| true)?;
        Ok((read(&params.out), result))
    }

    pub fn score(&self, rows: &[Value], change: impl FnOnce(&mut ScoreParams)) -> (Vec<Value>, ScoreResult) {
        self.try_score(rows, change).unwrap()
    }

    /// A text's ids with the end token.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = self.tokenizer.encode(text, true).unwrap();
        ids.push(self.tokenizer.eos().unwrap().1);
        ids
    }

    /// log p of each token but the first, from the logits of the sequence alone.
    pub fn logprobs(&self, ids: &[u32]) -> Vec<f64> {
        let positions: Vec<usize> = (0..ids.len() - 1).collect();
        let logits = self.model.logits(&Packed::texts([ids]), &positions);
        let rows = logits.chunks_exact(self.model.config().vocab_size);
        rows.zip(&ids[1..]).map(|(row, &id)| log_softmax(row, id as usize)).collect()
    }

    /// log p of an answer's tokens behind a prompt.
    pub fn answer_logprobs(&self, prompt: &str, answer: &str) -> Vec<f64> {
        let front = self.tokenizer.encode(prompt, true).unwrap();
        let mut ids = front.clone();
        ids.extend(self.tokenizer.encode(answer, false).unwrap());
        self.logprobs(&ids)[front.len() - 1..].to_vec()
    }

    /// Mean over the positions, `[vocab]`.
    pub fn mean_logits(&self, ids: &[u32]) -> Vec<f64> {
        self.mean_logits_from(ids, 0)
    }

    /// Mean over the positions from one on, `[vocab]`.
    pub fn mean_logits_from(&self, ids: &[u32], first: usize) -> Vec<f64> {
        let positions: Vec<usize> = (first..ids.len()).collect();
        let logits = self.model.logits(&Packed::texts([ids]), &positions);
        let vocab = self.model.config().vocab_size;
        let sum = |w: usize| logits.iter().skip(w).step_by(vocab).map(|x| f64::from(*x)).sum::<f64>();
        (0..vocab).map(|w| sum(w) / (ids.len() - first) as f64).collect()
    }

    /// The vocabulary's projection, `[vocab, hidden]`.
    pub fn head(&self) -> Vec<f32> {
        let bytes = std::fs::read(fixture().join("model.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let head = file.tensor("lm_head.weight").unwrap();
        head.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

fn log_softmax(row: &[f32], at: usize) -> f64 {
    let most = row.iter().fold(f64::NEG_INFINITY, |m, x| m.max(f64::from(*x)));
    let sum: f64 = row.iter().map(|x| (f64::from(*x) - most).exp()).sum();
    f64::from(row[at]) - most - sum.ln()
}

#[track_caller]
pub fn close(value: &Value, expected: f64, tolerance: f64) {
    let ours = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((ours - expected).abs() <= tolerance, "{ours} instead of {expected}");
}

pub fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Reads what was written, as JSON.
pub fn read(path: &Path) -> Vec<Value> {
    if path.extension().is_some_and(|e| e == "jsonl") {
        let text = std::fs::read_to_string(path).unwrap();
        return text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    }
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let row = |row: parquet::record::Row| {
        row.get_column_iter().map(|(n, f)| (n.clone(), json(f))).collect::<Map<_, _>>().into()
    };
    reader.get_row_iter(None).unwrap().map(|r| row(r.unwrap())).collect()
}

fn json(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(x) => (*x).into(),
        Field::Long(x) => (*x).into(),
        Field::Float(x) => (*x).into(),
        Field::Double(x) => (*x).into(),
        Field::Str(x) => x.as_str().into(),
        Field::ListInternal(list) => list.elements().iter().map(json).collect(),
        other => panic!("{other:?}"),
    }
}

/// Writes rows of choices as Parquet.
pub fn write_choices(path: &Path, rows: &[Value]) {
    let schema = "message rows { REQUIRED BYTE_ARRAY _row_id (UTF8); REQUIRED BYTE_ARRAY prompt (UTF8);
        REQUIRED GROUP choices (LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (UTF8); } }
        OPTIONAL INT64 answer; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for name in ["_row_id", "prompt"] {
        let values: Vec<ByteArray> = rows.iter().map(|r| r[name].as_str().unwrap().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    let lists: Vec<&Vec<Value>> = rows.iter().map(|r| r["choices"].as_array().unwrap()).collect();
    let texts = lists.iter().flat_map(|l| l.iter().map(|c| c.as_str().unwrap().into()));
    let values: Vec<ByteArray> = texts.collect();
    let there = vec![1; values.len()];
    let repeated: Vec<i16> = lists.iter().flat_map(|l| (0..l.len()).map(|i| i16::from(i > 0))).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&values, Some(&there), Some(&repeated)).unwrap();
    column.close().unwrap();
    let answers: Vec<Option<i64>> = rows.iter().map(|r| r["answer"].as_i64()).collect();
    let there: Vec<i16> = answers.iter().map(|a| i16::from(a.is_some())).collect();
    let values: Vec<i64> = answers.into_iter().flatten().collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&values, Some(&there), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

/// Rows are equal; numbers up to the last digit, which the JSON reader may miss.
#[track_caller]
pub fn same(a: &[Value], b: &[Value]) {
    fn equal(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(_), Value::Number(_)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                (a - b).abs() <= 1e-14 * a.abs()
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| equal(a, b))
            }
            _ => a == b,
        }
    }
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).for_each(|(a, b)| assert!(equal(a, b), "{a}\n{b}"));
}
