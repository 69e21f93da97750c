//! Prompts that the model's context cannot hold, wherever a run asks them.

use crate::common::*;
use crate::policy::{rollouts, run, steps, workspace};
use serde_json::{json, Value};
use std::path::Path;

fn long() -> String {
    format!("Where {}?", "is the elm ".repeat(80))
}

/// Questions with their answers, and one too long behind them where that is asked for.
fn questions(path: &Path, count: usize, with_long: bool) {
    let mut ids: Vec<String> = (0..count).map(|i| format!("q-{i}")).collect();
    let mut prompts: Vec<String> =
        TREES[..count].iter().map(|tree| format!("Where is the {tree}?")).collect();
    let mut completions: Vec<String> = TOWNS[..count].iter().map(|town| format!(" In {town}.")).collect();
    if with_long {
        ids.push("long".into());
        prompts.push(long());
        completions.push(" In Graz.".into());
    }
    parquet(path, &[("_row_id", ids), ("prompt", prompts), ("completion", completions)]);
}

#[test]
fn a_policy_leaves_prompts_out_that_leave_no_room_for_answers_and_says_so() {
    let w = workspace();
    for (name, count, with_long) in [("all", 6, true), ("short", 6, false), ("only", 0, true)] {
        questions(&w.path().join(format!("{name}.parquet")), count, with_long);
    }
    let of = |name: &str, train_file: &str, valid: &str| {
        let patch = json!({"data": {"train": [format!("../{train_file}.parquet")], "valid": [format!("../{valid}.parquet")]},
            "train": {"max_steps": 2, "lr": 1e-12, "batch_tokens": 4096}});
        run(&w, name, "grpo", &patch)
    };
    let (with, without) = (of("with", "all", "all"), of("without", "short", "short"));
    train(&with);
    train(&without);
    let (log, other) = (events(&with), events(&without));
    let codes: Vec<&Value> = of_type(&log, "warning").iter().map(|e| &e["code"]).collect();
    assert_eq!(codes, ["rows_cut", "rows_masked"]);
    assert!(of_type(&other, "warning").is_empty(), "{other:?}");
    for step in steps(&with) {
        let mut rows: Vec<&str> =
            step["rows"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        rows.sort_unstable();
        assert_eq!(rows, ["q-0", "q-1", "q-2", "q-3", "q-4", "q-5"]);
    }
    assert!(rollouts(&with).iter().all(|r| r["row_id"] != "long"));
    // A validation is one of the prompts that are left.
    let validation = |log: &[Value]| of_type(log, "validation")[0].clone();
    let (a, b) = (validation(&log), validation(&other));
    assert_eq!((&a["loss"], &a["tokens"]), (&b["loss"], &b["tokens"]));
    let error = failure(&["train", of("nothing", "only", "short").to_str().unwrap()]).1;
    assert_eq!((&error["code"], &error["blame"]), (&json!("nothing_to_learn"), &json!("user")), "{error}");
}

#[test]
fn a_watch_prompt_that_is_too_long_is_told_before_the_first_step_and_before_a_resumed_one() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 1}})));
    let watch =
        json!({"watch": [{"id": "w", "prompt": "Where is the elm?"}, {"id": "too-long", "prompt": long()}]});
    let mut patch = json!({"train": {"watch_every": 1, "max_steps": 3}});
    merge(&mut patch, &watch);
    let begun = w.tune("begun", "pre", &patch);
    let told = |args: &[&str]| {
        let (exit, error) = failure(args);
        assert_eq!((exit, &error["code"]), (1, &json!("prompt_too_long")), "{error}");
        assert!(error["message"].as_str().unwrap().contains("too-long"), "{error}");
    };
    told(&["preflight", begun.to_str().unwrap()]);
    told(&["train", begun.to_str().unwrap()]);
    assert!(of_type(&events(&begun), "step").is_empty() && of_type(&events(&begun), "sample").is_empty());

    // What is watched may change before a resume: then too it is told at once.
    let half = w.tune("half", "pre", &json!({"train": {"epochs": 200, "checkpoint_every": 2}}));
    let mut child = binary().args(["train", half.to_str().unwrap()]).spawn().unwrap();
    let steps = || {
        std::fs::read_to_string(half.join("events.jsonl"))
            .unwrap_or_default()
            .matches("\"type\":\"step\"")
            .count()
    };
    wait_until("some steps", || steps() > 4);
    child.kill().unwrap();
    child.wait().unwrap();
    let file = half.join("run.json");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    merge(&mut spec, &json!({"train": {"watch_every": 1000}}));
    merge(&mut spec, &watch);
    std::fs::write(&file, spec.to_string()).unwrap();
    let before = events(&half).iter().rfind(|e| e["type"] == "step").unwrap()["step"].clone();
    told(&["train", half.to_str().unwrap()]);
    let last = events(&half);
    assert!(of_type(&last, "step").last().unwrap()["step"].as_u64() <= before.as_u64(), "no step is taken");
}

#[test]
fn a_question_that_is_too_long_for_a_teacher_is_named() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 1}})));
    questions(&w.path().join("questions.parquet"), 3, true);
    let patch = json!({"objective": "distill", "data": {"train": ["../questions.parquet"]},
        "distill": {"teacher": "../pre/model", "sequence": {"max_new": 4}}, "train": {"max_steps": 1}});
    let run = w.tune("student", "pre", &patch);
    let (exit, error) = failure(&["train", run.to_str().unwrap()]);
    assert_eq!(
        (exit, &error["code"], &error["blame"]),
        (1, &json!("prompt_too_long"), &json!("user")),
        "{error}"
    );
    assert!(error["message"].as_str().unwrap().contains("\"long\""), "{error}");
}
