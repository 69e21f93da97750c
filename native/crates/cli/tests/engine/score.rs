//! `score` on the command line and over the server.

use crate::common::*;
use serde_json::{json, Value};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama")
}

fn words(w: &Workspace, rows: &str, out: &str) -> Vec<String> {
    let path = |name: &str| w.path().join(name).to_str().unwrap().to_owned();
    let model = fixture().to_str().unwrap().to_owned();
    ["score", "--model", &model, "--rows", &path(rows), "--out", &path(out)].map(str::to_owned).into()
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn a_dataset_is_scored_with_its_row_ids_and_an_adapter_changes_the_scores() {
    let w = Workspace::new();
    let mut args = words(&w, "pairs.parquet", "base.jsonl");
    args.extend(["--json".to_owned(), "--template".to_owned(), "format:Q: {prompt}\\nA:".to_owned()]);
    let out = engine(&strs(&args));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines: Vec<Value> =
        String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["type"], "progress");
    let last = lines.last().unwrap();
    assert_eq!((&last["type"], &last["result"]["rows"]), (&json!("scored"), &json!(6)));
    let read = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(w.path().join(name)).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let base = read("base.jsonl");
    assert_eq!(
        base.iter().map(|r| r["_row_id"].as_str().unwrap()).collect::<Vec<_>>()[..2],
        ["pair-0", "pair-1"]
    );

    let adapter = fixture().join("adapter").to_str().unwrap().to_owned();
    let mut args = words(&w, "pairs.parquet", "tuned.jsonl");
    args.extend(["--adapter".to_owned(), adapter]);
    let out = engine(&strs(&args));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8(out.stdout).unwrap().contains("6 rows"));
    assert!(read("tuned.jsonl").iter().zip(&base).all(|(a, b)| a["loss"] != b["loss"]));

    let (code, error) = failure(&strs(&words(&w, "nothing.parquet", "x.jsonl")));
    assert_eq!((code, &error["code"]), (1, &json!("file_not_found")));
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_half_file() {
    let w = Workspace::new();
    let rows: String =
        (0..40_000).map(|i| format!("{}\n", json!({"text": format!("The {i} elms of Graz.")}))).collect();
    std::fs::write(w.path().join("many.jsonl"), rows).unwrap();
    let mut args = words(&w, "many.jsonl", "out/scores.parquet");
    args.push("--json".into());
    let mut child = binary().args(&args).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("progress"), "{first:?}");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let error = String::from_utf8(out.stderr).unwrap();
    assert!(error.contains("\"cancelled\"") || error.contains("stdout_closed"), "{error}");
    assert_eq!(std::fs::read_dir(w.path().join("out")).unwrap().count(), 0);
}
