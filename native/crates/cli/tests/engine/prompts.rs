//! Prompt tuning, through the binary alone.

use crate::common::*;
use serde_json::{json, Value};

fn removed(mut patch: Value) -> Value {
    patch["adapter"] = Value::Null;
    patch
}

#[test]
fn a_tuned_prompt_learns_and_is_asked_and_goes_on() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"epochs": 60, "lr": 0.01}}));
    train(&pre);
    let patch = removed(json!({"prompt": {"tokens": 6, "text": "Where is the elm?"},
        "train": {"epochs": 150, "lr": 0.1, "watch_every": 100, "checkpoint_every": 0},
        "watch": [{"id": "w", "prompt": "Where is the elm?"}], "watch_max_new": 12}));
    let run = w.tune("prompt", "pre", &patch);
    train(&run);
    let log = events(&run);
    let started = &of_type(&log, "started")[0];
    assert_eq!(started["trainable"], 6 * 32);
    let steps = of_type(&log, "step");
    let step_loss = |e: &Value| e["loss"].as_f64().unwrap();
    let (first, last) = (step_loss(steps[0]), step_loss(steps[steps.len() - 1]));
    assert!(last < 0.6 * first, "{first} -> {last}");
    let result = run.join("adapter");
    let config: Value =
        serde_json::from_slice(&std::fs::read(result.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&config["peft_type"], &config["token_dim"]), (&json!("PROMPT_TUNING"), &json!(32)));
    assert_eq!(config["prompt_tuning_init_text"], "Where is the elm?");

    // What is asked from outside is what the run saw at its end.
    let prompts = w.path().join("prompts.jsonl");
    std::fs::write(&prompts, json!({"id": "w", "prompt": "Where is the elm?"}).to_string()).unwrap();
    let model = pre.join("model");
    let ask = |adapter: &[&str]| -> Value {
        let of = ["generate", "--model", model.to_str().unwrap(), "--prompts", prompts.to_str().unwrap()];
        let form = ["--template", "format:Q: {prompt}\\nA:", "--max-new", "12", "--json"];
        let out = engine(&[&of, &form, adapter].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
        answer["generations"][0]["text"].clone()
    };
    let answer = ask(&["--adapter", result.to_str().unwrap()]);
    assert_eq!(answer, of_type(&log, "sample").last().unwrap()["text"]);
    assert_ne!(answer, ask(&[]));

    // It scores too: behind it, the rows that it was tuned on are likelier.
    let loss = |name: &str, adapter: &[&str]| -> f64 {
        let (rows, out) = (w.path().join("pairs.parquet"), w.path().join(name));
        let of = ["score", "--model", model.to_str().unwrap(), "--rows", rows.to_str().unwrap()];
        let form = ["--template", "format:Q: {prompt}\\nA:", "--out", out.to_str().unwrap(), "--json"];
        let out = engine(&[&of, &form, adapter].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["result"]["loss"].as_f64().unwrap()
    };
    let (with, without) =
        (loss("with.jsonl", &["--adapter", result.to_str().unwrap()]), loss("without.jsonl", &[]));
    assert!(with < 0.7 * without, "{with} behind the prompt, {without} without");

    // As another run's start.
    let more = removed(json!({"prompt": {"tokens": 6}, "model": {"adapter": "../prompt/adapter"},
        "train": {"epochs": 1, "lr": 1e-6, "checkpoint_every": 0}}));
    let more_run = w.tune("more", "pre", &more);
    train(&more_run);
    let begins = step_loss(of_type(&events(&more_run), "step")[0]);
    assert!((begins - last).abs() < 0.5 * (first - last), "{begins} after {last}");
    let wrong = removed(json!({"prompt": {"tokens": 5}, "model": {"adapter": "../prompt/adapter"}}));
    let wrong = w.tune("wrong", "pre", &wrong);
    assert_eq!(failure(&["train", wrong.to_str().unwrap()]).1["code"], "adapter_mismatch");
}

#[test]
fn the_context_counts_the_prompt_and_settings_that_cannot_be_are_refused() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 1}})));
    let plan = |name: &str, patch: Value| -> Value {
        let run = w.tune(name, "pre", &patch);
        let out = engine(&["preflight", run.to_str().unwrap(), "--json"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let lora = plan("lora", json!({}));
    let prompt = plan("prompt", removed(json!({"prompt": {"tokens": 8}})));
    let tokens = |p: &Value| p["train_tokens"].as_u64().unwrap();
    assert_eq!(tokens(&prompt), tokens(&lora) + 6 * 8);
    assert_eq!((&prompt["long_rows"], &prompt["trainable"]), (&json!(0), &json!(8 * 32)));
    // Some rows are longer than the mean.
    let mean = tokens(&lora) / 6;
    let tight = plan("tight", removed(json!({"prompt": {"tokens": 8}, "train": {"context": mean + 8}})));
    let cut = plan("cut", json!({"train": {"context": mean}}));
    assert!(cut["cut_tokens"].as_u64().unwrap() > 0);
    assert_eq!((&tight["cut_tokens"], tokens(&tight)), (&cut["cut_tokens"], tokens(&cut) + 6 * 8));
    for (name, patch) in [
        ("both", json!({"prompt": {"tokens": 8}})),
        ("none", removed(json!({"prompt": {"tokens": 0}}))),
        ("long", removed(json!({"prompt": {"tokens": 63}}))),
        ("dpo", removed(json!({"prompt": {"tokens": 4}, "objective": "dpo"}))),
    ] {
        let run = w.tune(name, "pre", &patch);
        let (_, error) = failure(&["train", run.to_str().unwrap()]);
        assert!(
            error["code"] == "bad_setting" && error["message"].as_str().unwrap().contains("prompt"),
            "{error}"
        );
    }
}
