//! Runs that begin at another run's checkpoint.

use crate::common::*;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

const FORKED: u64 = 16;

/// What a step is, without times and memory.
fn steps(run: &Path, after: u64) -> Vec<Value> {
    let mut all = events(run);
    all.retain(|e| e["type"] == "step" && e["step"].as_u64().unwrap() > after);
    for e in &mut all {
        for key in ["tokens_per_second", "memory_bytes", "seconds"] {
            e.as_object_mut().unwrap().remove(key);
        }
    }
    all
}

/// A pretraining of 24 steps in 3 epochs that keeps its checkpoints at 16, 20 and 24, and the patch that makes it.
fn source(w: &Workspace, name: &str) -> PathBuf {
    let run = w.pretrain(name, &shape());
    train(&run);
    assert_eq!(
        events(&run)[0]["total_steps"],
        24,
        "the rows make other batches than this test was written for"
    );
    run
}

fn shape() -> Value {
    json!({"train": {"max_steps": 24, "epochs": 9}})
}

/// A fork of a run, changed by a patch.
fn fork(w: &Workspace, name: &str, from: &str, step: u64, patch: &Value) -> PathBuf {
    let mut all = shape();
    merge(&mut all, &json!({"fork": {"checkpoint": format!("../{from}/checkpoints/step-{step:06}")}}));
    merge(&mut all, patch);
    w.pretrain(name, &all)
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model/model.safetensors")).unwrap()
}

#[test]
fn a_fork_with_the_same_settings_is_the_run_it_forks_from() {
    let w = Workspace::new();
    let straight = source(&w, "straight");
    let run = fork(&w, "fork", "straight", FORKED, &json!({}));
    train(&run);
    assert_eq!(weights(&straight), weights(&run), "bit for bit");
    assert_eq!(steps(&straight, FORKED), steps(&run, 0));
    let log = events(&run);
    assert_eq!((&log[0]["type"], &log[0]["step"]), (&json!("started"), &json!(FORKED)));
    assert_eq!(log[0]["forked_from"], json!({"run": "straight", "step": FORKED}));
    assert!(of_type(&log, "warning").is_empty(), "{log:?}");
    assert!(of_type(&events(&straight), "started")[0].get("forked_from").is_none());
    assert!(train(&run).contains("complete already"));
}

#[test]
fn a_forked_adapter_goes_on_with_states_and_dropout() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({})));
    let patch = json!({"adapter": {"dropout": 0.1}, "train": {"epochs": 20, "schedule": "wsd"}});
    let straight = w.tune("straight", "pre", &patch);
    train(&straight);
    let end = events(&straight)[0]["total_steps"].as_u64().unwrap();
    let at = end - 4;
    let mut again = patch;
    merge(&mut again, &json!({"fork": {"checkpoint": format!("../straight/checkpoints/step-{at:06}")}}));
    let run = w.tune("fork", "pre", &again);
    train(&run);
    let adapter = |run: &Path| std::fs::read(run.join("adapter/adapter_model.safetensors")).unwrap();
    assert_eq!(adapter(&straight), adapter(&run), "bit for bit");
    assert_eq!(steps(&straight, at), steps(&run, 0));

    // Another base under the same adapter is another model.
    train(&w.pretrain("other", &json!({"train": {"seed": 6}})));
    let mut again = again;
    merge(&mut again, &json!({"model": {"path": "../other/model"}}));
    let run = w.tune("based", "pre", &again);
    let error = failure(&["train", run.to_str().unwrap()]).1;
    assert_eq!(error["code"], "fork_mismatch", "{error}");
}

#[test]
fn a_fork_with_another_rate_takes_the_same_rows_from_the_same_weights() {
    let w = Workspace::new();
    let straight = source(&w, "straight");
    let run = fork(&w, "fork", "straight", FORKED, &json!({"train": {"lr": 0.0003}}));
    train(&run);
    let (before, after) = (steps(&straight, FORKED), steps(&run, 0));
    for key in ["step", "epoch", "rows", "loss", "grad_norm"] {
        assert_eq!(before[0][key], after[0][key], "{key}");
    }
    let lr = |e: &Value| e["lr"].as_f64().unwrap();
    assert!((lr(&after[0]) - lr(&before[0]) / 10.0).abs() < 1e-15, "{} {}", after[0], before[0]);
    let rows = |all: &[Value]| all.iter().map(|e| e["rows"].clone()).collect::<Vec<_>>();
    assert_eq!(rows(&before), rows(&after));
    assert_ne!(weights(&straight), weights(&run));
}

#[test]
fn a_finished_run_is_made_longer_by_a_fork() {
    let w = Workspace::new();
    let long = w.pretrain("long", &json!({"train": {"max_steps": 32, "epochs": 9, "schedule": "constant"}}));
    train(&long);
    let short =
        w.pretrain("short", &json!({"train": {"max_steps": 24, "epochs": 9, "schedule": "constant"}}));
    train(&short);
    let patch = json!({"train": {"max_steps": 32, "schedule": "constant"}});
    let run = fork(&w, "fork", "short", 24, &patch);
    train(&run);
    assert_eq!(weights(&long), weights(&run), "bit for bit");
    let run = fork(&w, "spent", "short", 24, &json!({"train": {"schedule": "constant"}}));
    assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "fork_past_end");
}

#[test]
fn other_rows_begin_again_and_the_user_is_told() {
    let w = Workspace::new();
    let straight = source(&w, "straight");
    let ids: Vec<String> = (0..12).map(|i| format!("new-{i}")).collect();
    let texts = (0..12).map(|i| format!("Of {} the {} is told.", TOWNS[i % 6], TREES[i / 2])).collect();
    parquet(&w.path().join("new.parquet"), &[("_row_id", ids.clone()), ("text", texts)]);
    let patch = json!({"data": {"train": ["../new.parquet"]}, "train": {"epochs": 2, "max_steps": 1000}});
    let run = fork(&w, "fork", "straight", FORKED, &patch);
    train(&run);
    let log = events(&run);
    assert_eq!(log[1]["type"], "warning");
    assert_eq!(log[1]["code"], "position_restarted", "{}", log[1]);
    let taken = steps(&run, 0);
    assert_eq!(taken[0]["step"], FORKED + 1);
    assert_eq!(taken.last().unwrap()["epoch"], 2.0);
    let mut seen: Vec<&str> = Vec::new();
    for step in &taken {
        seen.extend(step["rows"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()));
    }
    seen.sort_unstable();
    let mut twice: Vec<&str> = ids.iter().chain(&ids).map(String::as_str).collect();
    twice.sort_unstable();
    assert_eq!(seen, twice, "every row once an epoch, from the beginning");

    // The same rows in another order are other batches.
    let run = fork(&w, "reseeded", "straight", FORKED, &json!({"train": {"seed": 6}}));
    train(&run);
    let log = events(&run);
    assert_eq!(of_type(&log, "warning")[0]["code"], "position_restarted");
    assert!(steps(&straight, FORKED)[0]["rows"] != steps(&run, 0)[0]["rows"]);
    assert_eq!(steps(&run, 0).len() as u64, 24 - FORKED, "max_steps counts from the other run's beginning");
}

#[test]
fn a_killed_fork_goes_on_without_the_other_run() {
    let w = Workspace::new();
    let straight = source(&w, "straight");
    // Other rows, so that the place in the data has to be kept as well.
    let patch = json!({"data": {"train": ["../pairs.parquet"]}, "train": {"epochs": 400, "max_steps": 400}});
    let whole = fork(&w, "whole", "straight", FORKED, &patch);
    train(&whole);
    let run = fork(&w, "run", "straight", FORKED, &patch);
    let mut child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_until("the fork's second checkpoint", || run.join("checkpoints/step-000020").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(&straight).unwrap();
    train(&run);
    assert_eq!(weights(&whole), weights(&run), "bit for bit");
    assert_eq!(steps(&whole, 0), steps(&run, 0));
    let log = events(&run);
    let started = of_type(&log, "started");
    assert_eq!(started.len(), 2);
    assert_eq!(started[1]["forked_from"], started[0]["forked_from"]);
}

#[test]
fn a_fork_must_train_the_same() {
    let w = Workspace::new();
    source(&w, "straight");
    let refuse = |patch: Value, code: &str, word: &str| {
        let run = fork(&w, "fork", "straight", FORKED, &patch);
        let error = failure(&["train", run.to_str().unwrap()]).1;
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
        assert_eq!(failure(&["preflight", run.to_str().unwrap()]).1["code"], code);
    };
    refuse(json!({"objective": "sft"}), "fork_mismatch", "objective");
    refuse(json!({"train": {"optimizer": "muon"}}), "fork_mismatch", "optimizer");
    refuse(json!({"model": {"shape": {"hidden_size": 64}}}), "fork_mismatch", "model");
    let folder = json!({"kind": "folder", "path": "../straight/model"});
    let run = fork(&w, "fork", "straight", FORKED, &json!({}));
    let mut spec: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    spec["model"] = folder;
    std::fs::write(run.join("run.json"), spec.to_string()).unwrap();
    assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "fork_mismatch");
    spec["adapter"] = json!({"r": 2, "alpha": 4, "targets": ["all-linear"]});
    std::fs::write(run.join("run.json"), spec.to_string()).unwrap();
    let error = failure(&["train", run.to_str().unwrap()]).1;
    assert!(error["message"].as_str().unwrap().contains("adapter"), "{error}");

    refuse(
        json!({"fork": {"checkpoint": "../straight/checkpoints/step-000005"}}),
        "no_fork_checkpoint",
        "step-000005",
    );
    let state = w.path().join("straight/checkpoints/step-000020/trainer/state.json");
    let good = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, good.replace("\"version\": 1", "\"version\": 9")).unwrap();
    refuse(json!({"fork": {"checkpoint": "../straight/checkpoints/step-000020"}}), "checkpoint_version", "9");
}

#[test]
fn preflight_knows_that_a_fork_has_fewer_steps() {
    let w = Workspace::new();
    source(&w, "straight");
    let run = fork(&w, "fork", "straight", FORKED, &json!({}));
    let plan: Value =
        serde_json::from_slice(&engine(&["preflight", run.to_str().unwrap(), "--json"]).stdout).unwrap();
    assert_eq!(plan["total_steps"], 24);
    let (step, all) = (plan["seconds_per_step"].as_f64().unwrap(), plan["seconds_total"].as_f64().unwrap());
    assert!((all / step - 8.0).abs() < 1e-6, "{plan}");
}
