//! Rows that weigh more or less than others, through the binary.

use crate::common::*;
use serde_json::{json, Value};
use std::path::Path;

/// Six pairs, each as often as `copies` says, with a column of weights.
fn pairs(path: &Path, copies: [usize; 6], weights: impl Fn(usize) -> Option<f64>) {
    let order: Vec<usize> = (0..6).flat_map(|i| vec![i; copies[i]]).collect();
    let ids = order.iter().enumerate().map(|(n, i)| format!("pair-{i}-{n}")).collect();
    let prompts = order.iter().map(|&i| format!("Where is the {}?", TREES[i])).collect();
    let completions = order.iter().map(|&i| format!(" In {}.", TOWNS[i])).collect();
    let chosen = order.iter().map(|&i| format!(" In {}.", TOWNS[i])).collect();
    let rejected = order.iter().map(|&i| format!(" In {} or so.", TOWNS[(i + 1) % 6])).collect();
    let columns = [
        ("_row_id", ids),
        ("prompt", prompts),
        ("completion", completions),
        ("chosen", chosen),
        ("rejected", rejected),
    ];
    weighed(path, &columns, &order.iter().map(|&i| weights(i)).collect::<Vec<_>>());
}

/// Steps' losses and the end's weights of a run over such rows, all of them in each step.
fn tuned(w: &Workspace, name: &str, patch: &Value) -> (Vec<f64>, Vec<u8>) {
    let mut whole = json!({"data": {"train": [format!("../{name}.parquet")], "valid": [format!("../{name}.parquet")]},
        "train": {"batch_tokens": 4096, "epochs": 4, "weight_decay": 0.0}});
    merge(&mut whole, patch);
    let run = w.tune(name, "pre", &whole);
    train(&run);
    let log = events(&run);
    let mut losses: Vec<f64> =
        of_type(&log, "step").into_iter().map(|e| e["loss"].as_f64().unwrap()).collect();
    losses.push(of_type(&log, "validation")[0]["loss"].as_f64().unwrap());
    (losses, std::fs::read(run.join("adapter/adapter_model.safetensors")).unwrap())
}

fn close(a: &(Vec<f64>, Vec<u8>), b: &(Vec<f64>, Vec<u8>), what: &str) {
    assert_eq!(a.0.len(), b.0.len());
    for (x, y) in a.0.iter().zip(&b.0) {
        assert!((x - y).abs() < 2e-4 * y.abs(), "{what}: {:?} and {:?}", a.0, b.0);
    }
}

#[test]
fn rows_count_as_their_weights_say() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}})));
    let weight = json!({"weight": "weight"});
    for objective in ["sft", "dpo", "orpo", "reward"] {
        let patch = |patch: &Value| {
            let mut whole = json!({"objective": objective});
            merge(&mut whole, patch);
            whole
        };
        let run = |name: &str, copies: [usize; 6], weights: &dyn Fn(usize) -> Option<f64>, more: &Value| {
            let name = format!("{objective}-{name}");
            pairs(&w.path().join(format!("{name}.parquet")), copies, weights);
            tuned(&w, &name, &patch(more))
        };
        let plain = run("plain", [1; 6], &|_| Some(1.0), &json!({}));
        let ones = run("ones", [1; 6], &|_| Some(1.0), &weight);
        assert_eq!(ones, plain, "{objective}: weight 1 is no weight, bit for bit");
        let heavy = run("heavy", [1; 6], &|i| Some(if i == 2 { 2.0 } else { 1.0 }), &weight);
        let twice = run("twice", [1, 1, 2, 1, 1, 1], &|_| Some(1.0), &json!({}));
        close(&heavy, &twice, "weight 2 is the row twice");
        let ends = |run: &(Vec<f64>, Vec<u8>)| run.0[run.0.len() - 1];
        assert!((ends(&heavy) - ends(&plain)).abs() > 1e-4, "{objective}: weights change the run");
        let weights = |i: usize| Some(if i == 2 { 0.0 } else { 0.5 });
        let none = run("none", [1; 6], &weights, &weight);
        let absent = run("absent", [1, 1, 0, 1, 1, 1], &|_| Some(0.5), &weight);
        assert_eq!(none, absent, "{objective}: weight 0 is no row, bit for bit");
        let log = events(&w.path().join(format!("{objective}-none")));
        assert!(of_type(&log, "warning").iter().any(|e| e["code"] == "rows_weightless"), "{log:?}");
        // ORPO's mean over chosen tokens is that of a batch, as in TRL.
        if objective != "orpo" {
            // The same step in several batches.
            let split = json!({"weight": "weight", "train": {"batch_tokens": 64, "grad_accumulation": 50}});
            let parts = run("split", [1; 6], &|i| Some(if i == 2 { 2.0 } else { 1.0 }), &split);
            close(&parts, &heavy, "batches of a step are weighed together");
        }
    }
}

#[test]
fn weights_that_are_none_are_refused_with_the_row() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 1}})));
    for (i, bad) in [None, Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)].into_iter().enumerate() {
        let name = format!("bad-{i}");
        pairs(
            &w.path().join(format!("{name}.parquet")),
            [1; 6],
            |row| if row == 3 { bad } else { Some(1.0) },
        );
        let run = w.tune(
            &name,
            "pre",
            &json!({"weight": "weight", "data": {"train": [format!("../{name}.parquet")]}}),
        );
        let (code, error) = failure(&["train", run.to_str().unwrap()]);
        assert!(code == 1 && error["code"] == "bad_weight", "{code} {error}");
        assert!(error["message"].as_str().unwrap().contains("pair-3-3"), "{error}");
    }
    let absent = w.tune("absent", "pre", &json!({"weight": "importance"}));
    let (_, error) = failure(&["train", absent.to_str().unwrap()]);
    assert!(
        error["code"] == "no_weight_column" && error["message"].as_str().unwrap().contains("prompt"),
        "{error}"
    );
    pairs(&w.path().join("zero.parquet"), [1; 6], |_| Some(0.0));
    let zero = w.tune("zero", "pre", &json!({"weight": "weight", "data": {"train": ["../zero.parquet"]}}));
    assert_eq!(failure(&["train", zero.to_str().unwrap()]).1["code"], "nothing_to_learn");
    let kto = w.tune("kto", "pre", &json!({"weight": "weight", "objective": "kto"}));
    let (_, error) = failure(&["train", kto.to_str().unwrap()]);
    assert!(
        error["code"] == "bad_setting" && error["message"].as_str().unwrap().contains("weight"),
        "{error}"
    );
}
