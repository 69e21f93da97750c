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
    let loss = |e: &Value| e["loss"].as_f64().unwrap();
    let (first, last) = (loss(steps[0]), loss(steps[steps.len() - 1]));
    assert!(last < 0.6 * first, "{first} -> {last}");
    let result = run.join("adapter");
    let config: Value =
        serde_json::from_slice(&std::fs::read(result.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&config["peft_type"], &config["token_dim"]), (&json!("PROMPT_TUNING"), &json!(32)));
    assert_eq!(config["prompt_tuning_init_text"], "Where is the elm?");

    // What is asked from outside is what the run saw at its end.
    let prompts = w.path().join("prompts.jsonl");
    std::fs::write(&prompts, json!({"id": "w", "prompt": "Where is the elm?"}).to_string()).unwrap();
    let out = engine(&[
        "generate",
        "--model",
        pre.join("model").to_str().unwrap(),
        "--adapter",
        result.to_str().unwrap(),
        "--prompts",
        prompts.to_str().unwrap(),
        "--template",
        "format:Q: {prompt}\\nA:",
        "--max-new",
        "12",
        "--json",
    ]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["generations"][0]["text"], of_type(&log, "sample").last().unwrap()["text"]);

    let plain = engine(&[
        "generate",
        "--model",
        pre.join("model").to_str().unwrap(),
        "--prompts",
        prompts.to_str().unwrap(),
        "--template",
        "format:Q: {prompt}\\nA:",
        "--max-new",
        "12",
        "--json",
    ]);
    let plain: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_ne!(answer["generations"][0]["text"], plain["generations"][0]["text"]);

    // As another run's start.
    let more = removed(json!({"prompt": {"tokens": 6}, "model": {"adapter": "../prompt/adapter"},
        "train": {"epochs": 1, "lr": 1e-6, "checkpoint_every": 0}}));
    let more_run = w.tune("more", "pre", &more);
    train(&more_run);
    let begins = loss(of_type(&events(&more_run), "step")[0]);
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
