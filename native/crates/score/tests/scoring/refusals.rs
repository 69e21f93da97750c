//! What cannot be scored is refused with its place, and leaves nothing behind.

use crate::support::*;
use serde_json::{json, Value};
use std::path::Path;
use tillage_protocol::run::LossOn;
use tillage_protocol::score::Embed;
use tillage_protocol::Blame;

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn bad_input_is_named_and_leaves_no_file() {
    let f = Fixture::new();
    let good = json!({"text": "a b"});
    type Change = fn(&mut tillage_protocol::score::ScoreParams);
    let cases: [(&str, Vec<Value>, Change); 12] = [
        ("no_text_column", vec![json!({"body": "a"})], |_| {}),
        ("null_text", vec![good.clone(), json!({"text": null})], |_| {}),
        ("no_rows", vec![], |_| {}),
        ("bad_json", vec![good.clone(), json!([1])], |_| {}),
        ("bad_file_kind", vec![good.clone()], |p| p.out = p.out.with_extension("csv")),
        ("file_not_found", vec![good.clone()], |p| p.rows = p.rows.with_extension("parquet")),
        ("bad_context", vec![good.clone()], |p| p.context = Some(1)),
        ("bad_context", vec![good.clone()], |p| p.context = Some(1 << 40)),
        ("bad_batch_tokens", vec![good.clone()], |p| p.batch_tokens = 0),
        ("output_is_input", vec![good.clone()], |p| p.out = p.rows.clone()),
        ("no_completion", vec![good], |p| p.loss_on = Some(LossOn::Completion)),
        ("embed_choices", vec![json!({"prompt": "a", "choices": ["b"]})], |p| p.embed = Embed::Mean),
    ];
    for (code, rows, change) in cases {
        let error = f.try_score(&rows, change).expect_err(code);
        assert_eq!((error.code.as_str(), error.blame), (code, Blame::User), "{error:?}");
        assert_eq!(files(f.dir()), ["rows.jsonl"], "{code}");
    }
    let second = f.try_score(&[json!({"text": "a"}), json!({"text": 1})], |_| {}).unwrap_err();
    assert_eq!((second.line, second.file.is_some()), (Some(2), true));
}

#[test]
fn cancelled_work_leaves_the_old_file_and_nothing_else() {
    let f = Fixture::new();
    let rows: Vec<Value> = (0..30).map(|i| json!({"text": text(i)})).collect();
    f.score(&rows, |_| {});
    let before = std::fs::read(f.params().out).unwrap();
    let mut params = f.params();
    params.batch_tokens = 50;
    let mut seen = Vec::new();
    let hashes = (String::new(), None);
    let error = tillage_score::score((&f.model, None), &f.tokenizer, hashes, &params, &mut |p| {
        seen.push(p.clone());
        seen.len() < 4
    })
    .unwrap_err();
    assert_eq!(error.code, "cancelled");
    assert_eq!(seen.len(), 4);
    assert!(seen.windows(2).all(|w| w[0].rows <= w[1].rows && w[0].tokens < w[1].tokens));
    assert!(seen[3].rows < 30 && seen[3].total == 30);
    assert_eq!(files(f.dir()), ["out.jsonl", "rows.jsonl"]);
    assert_eq!(std::fs::read(&params.out).unwrap(), before);
}
