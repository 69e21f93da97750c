use super::*;
use serde_json::{json, Value};
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine").join(name)
}

/// What the answers of a run belong to, changed by a JSON pointer and its value.
fn of(change: Option<(&str, Value)>, question: &str) -> String {
    let mut spec = json!({
        "version": 1, "id": "a", "name": "a", "objective": "distill", "model": {"kind": "folder", "path": "model"},
        "adapter": {"r": 4, "alpha": 8, "targets": ["all-linear"]}, "data": {"train": ["a.parquet"]}, "dtype": "f32",
        "distill": {"teacher": fixture("llama"), "adapter": fixture("llama/adapter"),
            "sequence": {"max_new": 20, "temperature": 0.5}},
        "template": {"kind": "plain"}, "loss_on": "all",
        "train": {"epochs": 1, "batch_tokens": 512, "context": 256, "lr": 0.1, "schedule": "cosine", "seed": 4},
    });
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
