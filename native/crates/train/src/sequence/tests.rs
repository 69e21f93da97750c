use super::*;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{json, Value};
use std::path::PathBuf;
use std::sync::Arc;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine").join(name)
}

/// A run with a teacher that answers.
fn spec() -> Value {
    json!({
        "version": 1, "id": "a", "name": "a", "objective": "distill", "model": {"kind": "folder", "path": "model"},
        "adapter": {"r": 4, "alpha": 8, "targets": ["all-linear"]}, "data": {"train": ["a.parquet"]}, "dtype": "f32",
        "distill": {"teacher": fixture("llama"), "adapter": fixture("llama/adapter"),
            "sequence": {"max_new": 20, "temperature": 0.5}},
        "template": {"kind": "plain"}, "loss_on": "all",
        "train": {"epochs": 1, "batch_tokens": 512, "context": 256, "lr": 0.1, "schedule": "cosine", "seed": 4},
    })
}

/// What the answers of a run belong to, changed by a JSON pointer and its value.
fn of(change: Option<(&str, Value)>, question: &str) -> String {
    let mut spec = spec();
    if let Some((place, value)) = change {
        *spec.pointer_mut(place).expect(place) = value;
    }
    let spec: RunSpec = serde_json::from_value(spec).unwrap();
    let row = |id: &str| DataRow {
        id: id.to_owned(),
        texts: vec![RowText::PromptCompletion {
            prompt: format!("{question} {id}"),
            completion: String::new(),
        }],
        good: false,
        open: false,
        weight: 1.0,
    };
    let splits = Splits { train: vec![row("a"), row("b")], valid: vec![row("c")] };
    let (config, settings) = wanted(&spec).unwrap();
    head(&spec, config, settings, &splits).unwrap().of
}

#[test]
fn answers_belong_to_all_that_decides_them_and_to_nothing_else() {
    let own = of(None, "Why");
    assert_eq!(of(None, "Why"), own);
    assert_ne!(of(None, "How"), own);
    for (place, value) in [
        ("/distill/teacher", json!(fixture("llama_tied"))),
        ("/distill/adapter", json!(fixture("llama/adapter_dora"))),
        ("/distill/adapter", Value::Null),
        ("/distill/sequence/max_new", json!(21)),
        ("/distill/sequence/temperature", json!(0.6)),
        ("/dtype", json!("bf16")),
        ("/template", json!({"kind": "chat"})),
        ("/train/seed", json!(5)),
    ] {
        assert_ne!(of(Some((place, value.clone())), "Why"), own, "{place} {value}");
    }
    // How the student learns is no matter of the answers.
    for (place, value) in
        [("/train/lr", json!(0.2)), ("/adapter/r", json!(2)), ("/train/context", json!(128))]
    {
        assert_eq!(of(Some((place, value)), "Why"), own, "{place}");
    }
}

/// Writes questions as a dataset.
fn questions(path: &Path, count: usize) {
    let schema = "message rows { REQUIRED BYTE_ARRAY _row_id (UTF8); REQUIRED BYTE_ARRAY prompt (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for what in ["row", "Where is tree number"] {
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = (0..count).map(|i| format!("{what} {i}").as_str().into()).collect();
        let ColumnWriter::ByteArrayColumnWriter(w) = column.untyped() else { unreachable!("texts") };
        w.write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn a_group_that_is_not_whole_is_asked_again_and_whole_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows.parquet");
    let count = 2 * GROUP + 5;
    questions(&rows, count);
    let mut spec = spec();
    spec["data"]["train"] = json!([rows]);
    spec["distill"]["sequence"] = json!({"max_new": 2, "temperature": 1.0});
    let spec: RunSpec = serde_json::from_value(spec).unwrap();
    let path = folder.path().join(FILE);
    // Asks what is to be asked; the file's lines, and what was told of the progress.
    let ask = || -> (Vec<Value>, Vec<u64>) {
        let mut log = EventLog::open(folder.path(), false).unwrap();
        let before = log.len() as usize;
        let asked = ensure(&spec, folder.path(), None, &mut log, &Control::default()).unwrap();
        let Asked::All(splits, _) = asked else { panic!("{asked:?}") };
        let lines = |text: &str| -> Vec<Value> {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let all = lines(&std::fs::read_to_string(&path).unwrap());
        // The rows learn what stands in the file.
        for (row, line) in splits.train.iter().zip(&all[1..]) {
            let RowText::PromptCompletion { completion, .. } = &row.texts[0] else { panic!("{row:?}") };
            assert_eq!((json!(row.id), json!(completion)), (line["row_id"].clone(), line["text"].clone()));
        }
        let events = std::fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
        let told = lines(&events[before..]).iter().map(|e| e["done"].as_u64().unwrap()).collect();
        (all, told)
    };
    let (straight, told) = ask();
    assert_eq!(told, [0, GROUP as u64, 2 * GROUP as u64]);
    assert_eq!(straight.len(), count + 1);
    // What has another text is seen to be taken over, or to be asked for again.
    for kept in [0, 1, GROUP - 1, GROUP, GROUP + 7, 2 * GROUP, 2 * GROUP + 4] {
        let mut marked = straight.clone();
        marked[1..].iter_mut().for_each(|line| line["text"] = json!("kept"));
        let text: String = marked[..=kept].iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, format!("{text}{{\"row_id\": \"row")).unwrap();
        let (found, told) = ask();
        let whole = kept / GROUP * GROUP;
        assert_eq!(told.first(), Some(&(whole as u64)), "{kept}");
        assert!(found[..=whole] == marked[..=whole] && found[whole + 1..] == straight[whole + 1..], "{kept}");
    }
}
