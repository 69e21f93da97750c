//! Runs, answers and the server with weights in low precision.

use crate::common::*;
use serde_json::{json, Value};

/// The answers to where each tree is.
fn right(answer: &Value) -> usize {
    let all = answer["generations"].as_array().unwrap().iter().zip(TOWNS);
    all.filter(|(g, town)| g["text"].as_str().unwrap() == format!(" In {town}.")).count()
}

#[test]
fn an_adapter_learns_and_answers_on_weights_of_any_precision() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"epochs": 60, "lr": 0.01}}));
    train(&pre);
    let prompts = w.path().join("prompts.jsonl");
    let lines: Vec<String> =
        TREES.iter().map(|t| json!({"id": t, "prompt": format!("Where is the {t}?")}).to_string()).collect();
    std::fs::write(&prompts, lines.join("\n")).unwrap();
    let mut losses = Vec::new();
    for dtype in ["f32", "bf16", "int8", "nf4"] {
        let run = w.tune(dtype, "pre", &json!({"dtype": dtype, "train": {"epochs": 80}}));
        train(&run);
        let log = events(&run);
        losses.push(of_type(&log, "step").last().unwrap()["loss"].as_f64().unwrap());
        let (model, adapter) = (pre.join("model"), run.join("adapter"));
        let out = engine(&[
            "generate",
            "--model",
            model.to_str().unwrap(),
            "--adapter",
            adapter.to_str().unwrap(),
            "--dtype",
            dtype,
            "--prompts",
            prompts.to_str().unwrap(),
            "--template",
            "format:Q: {prompt}\\nA:",
            "--json",
        ]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(right(&answer), 6, "{dtype}: {answer}");
    }
    let distinct: std::collections::BTreeSet<String> = losses.iter().map(f64::to_string).collect();
    assert_eq!(distinct.len(), 4, "each precision computes its own losses: {losses:?}");
}

#[test]
fn the_precision_is_part_of_a_run() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"max_steps": 4}}));
    train(&pre);
    let run = w.tune("run", "pre", &json!({"dtype": "nf4", "train": {"max_steps": 2}}));
    train(&run);
    w.tune("run", "pre", &json!({"dtype": "int8", "train": {"max_steps": 2}}));
    assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "run_changed");
    // A run from before this setting is one in f32.
    let run = w.tune("old", "pre", &json!({"train": {"max_steps": 2}}));
    train(&run);
    w.tune("old", "pre", &json!({"dtype": "f32", "train": {"max_steps": 2}}));
    assert!(train(&run).contains("complete already"));
}

#[test]
fn full_training_in_bf16_is_mixed_precision() {
    let w = Workspace::new();
    let last =
        |run: &std::path::Path| of_type(&events(run), "step").last().unwrap()["loss"].as_f64().unwrap();
    let [exact, mixed] = ["f32", "bf16"].map(|dtype| {
        let run = w.pretrain(dtype, &json!({"dtype": dtype, "train": {"epochs": 60, "lr": 0.01}}));
        train(&run);
        run
    });
    let (exact_loss, mixed_loss) = (last(&exact), last(&mixed));
    assert!(
        exact_loss != mixed_loss && (exact_loss - mixed_loss).abs() < 0.1,
        "{exact_loss} and {mixed_loss}"
    );
    // What it writes is a model in f32 that is read like any other.
    let size = |run: &std::path::Path| std::fs::metadata(run.join("model/model.safetensors")).unwrap().len();
    assert_eq!(size(&exact), size(&mixed));
    let tuned = w.tune("tuned", "bf16", &json!({"train": {"epochs": 80}}));
    train(&tuned);
    assert!(last(&tuned) < 0.1, "{}", last(&tuned));
}

#[test]
fn full_training_refuses_frozen_precisions() {
    let w = Workspace::new();
    for dtype in ["int8", "nf4"] {
        let pre = w.pretrain("pre", &json!({"dtype": dtype}));
        let (exit, error) = failure(&["train", pre.to_str().unwrap()]);
        assert_eq!((exit, error["code"].as_str()), (1, Some("bad_setting")), "{error}");
        assert!(error["message"].as_str().unwrap().contains("takes f32, or bf16"), "{error}");
    }
    let (_, error) = failure(&["train", w.pretrain("odd", &json!({"dtype": "fp4"})).to_str().unwrap()]);
    assert_eq!(error["code"], "bad_run_json");
    assert!(error["message"].as_str().unwrap().contains("nf4"), "{error}");
    let (_, error) = failure(&["generate", "--model", "x", "--prompts", "x", "--dtype", "fp4"]);
    assert!(error["message"].as_str().unwrap().contains("use f32, bf16, int8, nf4"), "{error}");
}

#[test]
fn a_plan_is_smaller_in_lower_precision() {
    let w = Workspace::new();
    // Large enough that the weights outweigh what products in bf16 need for themselves.
    let shape = json!({"hidden_size": 384, "intermediate_size": 1024, "num_attention_heads": 4});
    let pre = w.pretrain("pre", &json!({"model": {"shape": shape}, "train": {"max_steps": 1}}));
    train(&pre);
    let planned = |dtype: &str| {
        let run = w.tune(&format!("plan-{dtype}"), "pre", &json!({"dtype": dtype}));
        let out = engine(&["preflight", run.to_str().unwrap(), "--json"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let plan: Value = serde_json::from_slice(&out.stdout).unwrap();
        (plan["planned_bytes"].as_u64().unwrap(), plan["parameters"].as_u64().unwrap())
    };
    let all = ["f32", "bf16", "int8", "nf4"].map(planned);
    assert!(all.iter().all(|(_, parameters)| *parameters == all[0].1), "{all:?}");
    assert!(all.is_sorted_by(|a, b| a.0 > b.0), "{all:?}");
}
