//! A run that was killed, again and again, is the run that never was.

use crate::common::*;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What must be the same: of each step everything but times and memory, and how it ended.
fn evidence(run: &Path) -> Vec<Value> {
    let mut log = events(run);
    let kinds = ["step", "validation", "sample", "checkpoint", "warning", "finished"];
    log.retain(|e| kinds.contains(&e["type"].as_str().unwrap()));
    for e in &mut log {
        for key in ["tokens_per_second", "memory_bytes", "seconds", "time"] {
            e.as_object_mut().unwrap().remove(key);
        }
    }
    log
}

/// Starts a run of some `lines` of events and kills it as often as asked, all along its way, at moments of its start, its steps
/// and its checkpoints that follow from the seed (and from the machine's speed); then lets it come to its end.
fn train_with_kills(run: &Path, lines: usize, kills: usize, seed: u64) {
    let mut state = seed ^ 0x2545_F491_4F6C_DD1D;
    let mut draw = move |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let written =
        || std::fs::read(run.join("events.jsonl")).map_or(0, |t| t.iter().filter(|b| **b == b'\n').count());
    for kill in 0..kills {
        let mut child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
        if draw(4) > 0 {
            // So far into the run, and a moment more.
            let goal = lines * kill / (kills + 1) + draw(lines / (kills + 1));
            while written() < goal && child.try_wait().unwrap().is_none() {}
            std::thread::sleep(Duration::from_micros(draw(4_000) as u64));
        } else {
            // Anywhere in its start.
            std::thread::sleep(Duration::from_micros(draw(60_000) as u64));
        }
        if let Some(status) = child.try_wait().unwrap() {
            let mut text = String::new();
            std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut text).unwrap();
            panic!("the run ended before kill {} of {kills}: {status} {text}", kill + 1);
        }
        // SIGKILL: nothing can be caught.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    train(run);
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let list = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    list.filter(|p| p.is_file())
        .map(|p| (p.file_name().unwrap().to_string_lossy().into(), std::fs::read(p).unwrap()))
        .collect()
}

/// A run that is killed gives what the same run gives that is not. Returns how both ended.
fn check(straight: &Path, killed: &Path, kills: usize) -> Value {
    train(straight);
    train_with_kills(killed, events(straight).len(), kills, 7 * kills as u64 + 1);
    let (a, b) = (evidence(straight), evidence(killed));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a, b, "after {kills} kills");
    }
    let result = a.last().unwrap()["output"].as_str().unwrap();
    let files = |run: &Path| files(&run.join(result));
    assert!(files(straight).len() > 1);
    assert_eq!(files(straight), files(killed), "the results differ after {kills} kills");
    let table = |run: &Path| std::fs::read(run.join("row_loss.parquet")).unwrap();
    assert_eq!(table(straight), table(killed));
    assert_clean(killed);
    a.last().unwrap().clone()
}

/// How often each run is killed; `TILLAGE_KILLS=200` makes a long test of it.
fn kills() -> usize {
    std::env::var("TILLAGE_KILLS").map_or(8, |n| n.parse().expect("TILLAGE_KILLS is a number"))
}

/// A pretraining that is long enough for that many kills, with these settings on top.
fn killed_pretraining(train: Value) -> Value {
    killed_pretraining_of(json!({ "train": train }))
}

fn killed_pretraining_of(settings: Value) -> Value {
    let (w, kills) = (Workspace::new(), kills());
    let mut patch = json!({
        "train": {"epochs": 2 * kills, "validate_every": 5, "watch_every": 7, "grad_accumulation": 2, "checkpoint_every": 2},
        "data": {"valid": ["../docs.parquet"]},
        "watch": [{"id": "w", "prompt": "The alder"}], "watch_max_new": 8});
    merge(&mut patch, &settings);
    check(&w.pretrain("straight", &patch), &w.pretrain("killed", &patch), kills)
}

#[test]
fn a_killed_pretraining_goes_on_bit_for_bit() {
    killed_pretraining(json!({}));
}

#[test]
fn a_killed_pretraining_in_mixed_precision_goes_on_bit_for_bit() {
    killed_pretraining_of(json!({"dtype": "bf16"}));
}

#[test]
fn a_killed_pretraining_on_rows_in_their_order_goes_on_bit_for_bit() {
    killed_pretraining(json!({"order": "stored"}));
}

#[test]
fn a_killed_run_with_8_bit_states_keeps_its_best_checkpoint() {
    // A rate that swings, so that the last is not the best.
    let end = killed_pretraining(json!({"epochs": 6 * kills(), "optimizer": "adamw_8bit", "keep_best": true,
        "schedule": "constant", "lr": 0.1, "checkpoint_every": 3}));
    assert!(end["best"]["step"].as_u64().unwrap() < end["step"].as_u64().unwrap(), "{end}");
}

#[test]
fn a_killed_run_with_muon_stops_early_where_the_other_does() {
    // Patience is long enough for the kills.
    let early = json!({"patience": kills(), "min_delta": 0.05});
    let end = killed_pretraining(
        json!({"epochs": 10 * kills(), "optimizer": "muon", "lr": 0.1, "schedule": "constant",
        "early_stopping": early}),
    );
    assert!(
        end["early"] == true && end["best"]["step"].as_u64().unwrap() < end["step"].as_u64().unwrap(),
        "{end}"
    );
}

#[test]
fn a_killed_tuning_with_dropout_goes_on_bit_for_bit() {
    let (w, kills) = (Workspace::new(), kills());
    train(&w.pretrain("pre", &json!({})));
    let patch = json!({"adapter": {"dropout": 0.1}, "train": {"epochs": 12 * kills, "checkpoint_every": 3}});
    check(&w.tune("straight", "pre", &patch), &w.tune("killed", "pre", &patch), kills);
}

#[test]
fn a_killed_tuning_of_a_prompt_on_weighed_rows_goes_on_bit_for_bit() {
    let (w, kills) = (Workspace::new(), kills());
    train(&w.pretrain("pre", &json!({})));
    let prompts = TREES.iter().map(|t| format!("Where is the {t}?")).collect();
    let completions = TOWNS.iter().map(|t| format!(" In {t}.")).collect();
    let ids = (0..6).map(|i| format!("pair-{i}")).collect();
    let columns = [("_row_id", ids), ("prompt", prompts), ("completion", completions)];
    let weights: Vec<Option<f64>> = (0..6).map(|i| Some(f64::from(i) * 0.5)).collect();
    weighed(&w.path().join("weighed.parquet"), &columns, &weights);
    let patch = json!({"adapter": null, "prompt": {"tokens": 5}, "weight": "weight",
        "data": {"train": ["../weighed.parquet"]}, "train": {"epochs": 12 * kills, "checkpoint_every": 3}});
    check(&w.tune("straight", "pre", &patch), &w.tune("killed", "pre", &patch), kills);
}

#[test]
fn a_killed_tuning_on_nf4_goes_on_bit_for_bit() {
    let (w, kills) = (Workspace::new(), kills());
    train(&w.pretrain("pre", &json!({})));
    let patch = json!({"dtype": "nf4", "train": {"epochs": 12 * kills, "checkpoint_every": 3}});
    check(&w.tune("straight", "pre", &patch), &w.tune("killed", "pre", &patch), kills);
}

#[test]
fn a_complete_run_is_left_alone() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({}));
    train(&run);
    let before = std::fs::read(run.join("events.jsonl")).unwrap();
    assert!(train(&run).contains("complete already"));
    assert_eq!(before, std::fs::read(run.join("events.jsonl")).unwrap());
}

#[test]
fn step_0_and_the_newest_three_checkpoints_are_kept() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({"train": {"epochs": 6}}));
    train(&run);
    let mut names: Vec<String> = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let total = events(&run)[0]["total_steps"].as_u64().unwrap();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!((names[0].as_str(), names[3].as_str()), ("step-000000", format!("step-{total:06}").as_str()));
}

#[test]
fn a_changed_run_or_dataset_does_not_go_on() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({"train": {"max_steps": 4}}));
    train(&run);
    w.pretrain("run", &json!({"train": {"max_steps": 8, "lr": 0.1}}));
    assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "run_changed");

    let run = w.pretrain("other", &json!({"train": {"epochs": 40}}));
    let mut child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_until("a checkpoint", || run.join("checkpoints/step-000004").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let rows: Vec<String> = (0..48).map(|i| format!("doc-{i}")).collect();
    let texts = (0..48).map(|i| format!("Another text, number {i}.")).collect();
    parquet(&w.path().join("docs.parquet"), &[("_row_id", rows), ("text", texts)]);
    assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "data_changed");
}

#[test]
fn a_checkpoint_of_another_form_or_another_base_does_not_go_on() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"max_steps": 4}}));
    train(&pre);
    let run = w.tune("run", "pre", &json!({"train": {"max_steps": 4}}));
    train(&run);
    let code = || failure(&["train", run.to_str().unwrap()]).1["code"].as_str().unwrap().to_owned();

    let state = run.join("checkpoints/step-000004/trainer/state.json");
    let good = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, good.replace("\"version\": 1", "\"version\": 2")).unwrap();
    assert_eq!(code(), "checkpoint_version");
    std::fs::write(&state, &good[..good.len() / 2]).unwrap();
    assert_eq!(code(), "bad_checkpoint");
    std::fs::write(&state, good).unwrap();

    // As if it had been killed before its result was written, and the base then trained anew.
    std::fs::remove_dir_all(run.join("adapter")).unwrap();
    std::fs::copy(pre.join("checkpoints/step-000000/model.safetensors"), pre.join("model/model.safetensors"))
        .unwrap();
    assert_eq!(code(), "base_changed");
}
