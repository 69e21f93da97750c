//! A student of a teacher's answers, through the binary.

use crate::common::*;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// A workspace with a pretrained model `pre`, an adapter `teacher` that answers the questions, and questions without answers.
fn workspace(questions: usize) -> Workspace {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}})));
    train(&w.tune("teacher", "pre", &json!({"train": {"epochs": 60}})));
    let ids = (0..questions).map(|i| format!("q-{i}")).collect();
    let prompts = (0..questions).map(|i| format!("Where is the {}?", TREES[i % 6])).collect();
    parquet(&w.path().join("questions.parquet"), &[("_row_id", ids), ("prompt", prompts)]);
    w
}

fn student(w: &Workspace, name: &str, patch: &Value) -> PathBuf {
    let mut all = json!({"objective": "distill", "data": {"train": ["../questions.parquet"], "valid": ["../pairs.parquet"]},
        "distill": {"teacher": "../pre/model", "adapter": "../teacher/adapter", "sequence": {"max_new": 12}},
        "train": {"epochs": 10}});
    merge(&mut all, patch);
    w.tune(name, "pre", &all)
}

fn answers(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("teacher_answers.jsonl")).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

#[test]
fn a_student_learns_its_teachers_answers() {
    let w = workspace(24);
    let run = student(&w, "student", &json!({}));
    train(&run);
    let all = answers(&run);
    assert_eq!((all[0]["train"].as_u64(), all[0]["valid"].as_u64()), (Some(24), Some(6)), "{}", all[0]);
    assert_eq!(all.len(), 31);
    let right = |r: &Value| {
        (0..6).any(|i| {
            r["prompt"].as_str().unwrap().contains(TREES[i]) && r["text"] == format!(" In {}.", TOWNS[i])
        })
    };
    assert!(all[1..].iter().filter(|r| right(r) && r["ended"] == true).count() >= 25, "{all:?}");
    let log = events(&run);
    let progress = of_type(&log, "progress");
    assert_eq!((progress[0]["done"].as_u64(), progress[0]["of"].as_u64()), (Some(0), Some(30)));
    let steps = of_type(&log, "step");
    let loss = |e: &Value| e["loss"].as_f64().unwrap();
    assert!(
        loss(steps[steps.len() - 1]) < 0.3 * loss(steps[0]),
        "{} -> {}",
        steps[0],
        steps[steps.len() - 1]
    );
    // The student gives the teacher's answers.
    let model = w.path().join("pre/model");
    let adapter = run.join("adapter");
    let prompts = w.path().join("prompts.jsonl");
    std::fs::write(&prompts, "{\"id\": \"a\", \"prompt\": \"Q: Where is the alder?\\nA:\"}\n").unwrap();
    let paths = [&model, &adapter, &prompts].map(|p| p.to_str().unwrap());
    let out =
        engine(&["generate", "--model", paths[0], "--adapter", paths[1], "--prompts", paths[2], "--json"]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("In Bergen."), "{out:?}");
    // The answers are not asked for again, and the file is left alone.
    let before = std::fs::read(run.join("teacher_answers.jsonl")).unwrap();
    std::fs::remove_dir_all(run.join("adapter")).unwrap();
    train(&run);
    assert!(before == std::fs::read(run.join("teacher_answers.jsonl")).unwrap());
}

#[test]
fn an_answer_that_was_cut_teaches_no_end() {
    let w = workspace(6);
    let tokens = |name: &str, max_new: usize| {
        let patch = json!({"distill": {"sequence": {"max_new": max_new}}, "train": {"max_steps": 1, "batch_tokens": 600}});
        let run = student(&w, name, &patch);
        train(&run);
        let drawn: u64 = answers(&run)[1..7].iter().map(|r| r["tokens"].as_u64().unwrap()).sum();
        let ends = answers(&run)[1..7].iter().filter(|r| r["ended"] == true).count() as u64;
        let log = events(&run);
        (of_type(&log, "step")[0]["tokens"].as_u64().unwrap(), drawn, ends)
    };
    let (labelled, drawn, ends) = tokens("cut", 3);
    assert_eq!(ends, 0);
    assert!(labelled <= drawn, "{labelled} labels, {drawn} tokens of answers");
    let (labelled, drawn, ends) = tokens("whole", 12);
    assert!(ends >= 5 && labelled > drawn, "{labelled} labels, {drawn} tokens of {ends} whole answers");
}

#[test]
fn a_killed_teacher_goes_on_to_the_same_answers() {
    let w = workspace(200);
    let patch = json!({"distill": {"sequence": {"max_new": 12, "temperature": 1.0}}, "train": {"epochs": 1}});
    let straight = student(&w, "straight", &patch);
    train(&straight);
    let killed = student(&w, "killed", &patch);
    let lines = || {
        std::fs::read(killed.join("teacher_answers.jsonl"))
            .map_or(0, |t| t.iter().filter(|b| **b == b'\n').count())
    };
    for goal in [1, 40, 120] {
        let mut child = binary().args(["train", killed.to_str().unwrap()]).spawn().unwrap();
        wait_until("some answers", || lines() >= goal);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // As if it had been killed while it wrote a line.
    let file = killed.join("teacher_answers.jsonl");
    let mut text = std::fs::read(&file).unwrap();
    text.truncate(text.len() - 7);
    std::fs::write(&file, text).unwrap();
    train(&killed);
    let bytes = |run: &Path, file: &str| std::fs::read(run.join(file)).unwrap();
    for file in ["teacher_answers.jsonl", "adapter/adapter_model.safetensors"] {
        assert!(bytes(&straight, file) == bytes(&killed, file), "{file} differs");
    }
    assert_clean(&killed);
    // Sampled answers to the same question differ between rows.
    let all = answers(&straight);
    let to = |tree: &str| {
        all[1..]
            .iter()
            .filter(|r| r["prompt"].as_str().unwrap().contains(tree))
            .map(|r| r["text"].to_string())
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert!(TREES.iter().any(|tree| to(tree) > 1), "{all:?}");
}

#[test]
fn answers_to_other_questions_or_by_other_settings_are_not_taken_over() {
    let w = workspace(6);
    let patch = json!({"train": {"max_steps": 1}});
    let first = student(&w, "first", &patch);
    train(&first);
    let file = "teacher_answers.jsonl";
    let with_old = |name: &str, more: Value| {
        let mut all = patch.clone();
        merge(&mut all, &more);
        let run = student(&w, name, &all);
        std::fs::copy(first.join(file), run.join(file)).unwrap();
        train(&run);
        answers(&run)
    };
    let kept = with_old("kept", json!({}));
    assert_eq!(kept, answers(&first));
    let shorter = with_old("shorter", json!({"distill": {"sequence": {"max_new": 2}}}));
    assert!(shorter[1..].iter().all(|r| r["tokens"].as_u64().unwrap() <= 2), "{shorter:?}");
    let ids = (0..6).map(|i| format!("q-{i}")).collect();
    let prompts = (0..6).map(|i| format!("Where is the {}?", TREES[5 - i])).collect();
    parquet(&w.path().join("others.parquet"), &[("_row_id", ids), ("prompt", prompts)]);
    let others = with_old("others", json!({"data": {"train": ["../others.parquet"]}}));
    assert!(others[1]["prompt"].as_str().unwrap().contains(TREES[5]), "{others:?}");
    assert_ne!(others[1]["text"], kept[1]["text"]);
}

#[test]
fn a_teacher_may_be_paused_and_must_be_set_sensibly() {
    let w = workspace(200);
    let run = student(&w, "paused", &json!({"train": {"epochs": 1}}));
    let child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_until("some answers", || answers(&run).len() > 1);
    std::fs::write(run.join("stop"), "").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    let log = events(&run);
    let end = log.last().unwrap();
    assert_eq!((&end["type"], &end["outcome"]), (&json!("finished"), &json!("stopped")));
    assert!(answers(&run).len() < 207 && !run.join("checkpoints").exists());
    train(&run);
    assert_eq!(answers(&run).len(), 207);

    let preflight = student(&w, "preflight", &json!({}));
    let out = engine(&["preflight", preflight.to_str().unwrap(), "--json"]);
    let found: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"));
    assert!(found["seconds_total"].as_f64() > found["seconds_per_step"].as_f64(), "{found}");
    assert!(!preflight.join("teacher_answers.jsonl").exists());
    for (i, patch) in [
        json!({"distill": {"alpha": 0.5}}),
        json!({"distill": {"temperature": 2.0}}),
        json!({"distill": {"sequence": {"max_new": 0}}}),
        json!({"distill": {"sequence": {"temperature": -1.0}}}),
    ]
    .iter()
    .enumerate()
    {
        let run = student(&w, &format!("bad-{i}"), patch);
        assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "bad_setting", "{patch}");
    }
    let texts = student(&w, "texts", &json!({"data": {"train": ["../docs.parquet"]}}));
    assert_eq!(failure(&["train", texts.to_str().unwrap()]).1["code"], "no_prompts");
}
