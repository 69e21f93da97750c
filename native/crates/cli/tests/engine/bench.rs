//! `bench` on a tiny model: every number is there and stands for what was done.

use crate::common::*;
use serde_json::{json, Value};
use std::path::Path;

#[test]
fn a_tiny_model_is_measured_and_its_tokens_are_counted() {
    let w = Workspace::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama");
    let (model, rows) = (model.to_str().unwrap(), w.path().join("docs.parquet"));
    let args = [
        "bench",
        "--model-shape",
        model,
        "--rows",
        rows.to_str().unwrap(),
        "--dtype",
        "bf16",
        "--device",
        "cpu",
        "--repeats",
        "3",
        "--prompt",
        "4",
        "--new",
        "5",
        "--batch-tokens",
        "100",
        "--threads",
        "1",
    ];
    let out = engine(&[&args[..], &["--json"]].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&lines[0]["type"], &lines[0]["progress"]["what"]), (&json!("progress"), &json!("loading")));
    let r = &lines.last().unwrap()["result"];
    assert_eq!(
        (&r["dtype"], &r["machine"]["threads"], &r["machine"]["device"]),
        (&json!("bf16"), &json!(1), &json!("cpu"))
    );
    assert_eq!(
        (&r["rows"], &r["tokenizer"], &r["random_weights"]),
        (&json!(48), &json!("model"), &json!(false))
    );

    // The same rows by another way: `score` counts their tokens as well.
    let scores = w.path().join("scores.jsonl");
    let score = [
        "score",
        "--model",
        model,
        "--rows",
        rows.to_str().unwrap(),
        "--out",
        scores.to_str().unwrap(),
        "--context",
        "100",
        "--json",
    ];
    let out = engine(&score);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let each: Vec<u64> = std::fs::read_to_string(&scores)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["tokens"].as_u64().unwrap())
        .collect();
    assert_eq!(r["row_tokens"], each.iter().sum::<u64>());

    let whole =
        |of: &Value| -> (u64, u64) { (of["tokens"].as_u64().unwrap(), of["repeats"].as_u64().unwrap()) };
    let training = &r["training"]["measured"];
    let (tokens, repeats) = whole(training);
    let learned = r["training"]["rows"].as_u64().unwrap();
    assert_eq!((repeats, &r["training"]["rank"]), (3, &json!(16)));
    let (least, most) = (each.iter().min().unwrap(), each.iter().max().unwrap());
    assert!(learned >= 3 && tokens >= least * learned && tokens <= (most * learned).min(300), "{training}");
    let generation = r["generation"].as_array().unwrap();
    assert_eq!(generation.iter().map(|g| g["batch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 8]);
    for g in generation {
        assert_eq!(whole(&g["measured"]), (g["batch"].as_u64().unwrap() * 5 * 3, 3));
        assert!(g["prompt_tokens_per_second"].as_f64().unwrap() > 0.0);
    }
    for m in generation.iter().map(|g| &g["measured"]).chain([training]) {
        let of = |name: &str| m[name].as_f64().unwrap();
        let (slow, median, fast) = (of("slowest"), of("tokens_per_second"), of("fastest"));
        assert!(slow > 0.0 && slow <= median && median <= fast, "{m}");
        let mean = of("tokens") / of("seconds");
        assert!(mean >= slow * 0.999 && mean <= fast * 1.001, "{m}");
    }
    assert!(r["planned_bytes"].as_u64().unwrap() > 10_000 && r["parameters"].as_u64().unwrap() > 1000);
    if cfg!(target_os = "linux") {
        let peak = r["peak_bytes"].as_u64().unwrap();
        assert!(peak > 1 << 20 && peak < 1 << 30, "{peak}");
    }

    let out = engine(&args);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.contains("LoRA r=16") && text.contains("generation, 8 at once") && text.contains("peak memory"),
        "{text}"
    );
}

/// A shape of few words: the tokenizer that is trained for it stays within them.
#[test]
fn a_small_shape_gets_a_tokenizer_that_fits_it() {
    let w = Workspace::new();
    let text: String = (0..400).map(|i| format!("{} ", i * 7919 % 1013)).collect();
    let rows = w.path().join("rows.jsonl");
    std::fs::write(&rows, format!("{}\n", json!({"text": text})).repeat(2)).unwrap();
    let out = engine(&[
        "bench",
        "--model-shape",
        "demo",
        "--rows",
        rows.to_str().unwrap(),
        "--repeats",
        "1",
        "--prompt",
        "2",
        "--new",
        "1",
        "--batch-tokens",
        "32",
        "--json",
    ]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let r = &last["result"];
    assert_eq!(
        (&r["model"], &r["tokenizer"], &r["random_weights"]),
        (&json!("demo"), &json!("trained"), &json!(true))
    );
}

#[test]
fn what_cannot_be_measured_is_said() {
    let w = Workspace::new();
    let rows = w.path().join("docs.parquet");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama");
    let ask = |shape: &str, rows: &Path, more: &[&str]| {
        failure(&[&["bench", "--model-shape", shape, "--rows", rows.to_str().unwrap()], more].concat()).1
            ["code"]
            .clone()
    };
    let model = model.to_str().unwrap();
    assert_eq!(ask("gigantic-9t", &rows, &[]), "unknown_shape");
    assert_eq!(ask(model, &w.path().join("none.jsonl"), &[]), "file_not_found");
    assert_eq!(ask(model, &rows, &["--device", "cuda"]), "no_device");
    assert_eq!(ask(model, &rows, &["--repeats", "0"]), "bad_setting");
    assert_eq!(ask(model, &rows, &["--new", "100000"]), "bad_setting");
}
