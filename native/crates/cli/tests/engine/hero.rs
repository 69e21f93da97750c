//! A real pretrained model whose stories get another hero.

use crate::common::*;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

const OPENING: &str = "Once upon a time, there was a little girl named";

/// The pretrained model, where it is on this machine.
fn stories() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let shared =
        std::env::var_os("TILLAGE_SHARED").map_or_else(|| repository.join("../shared"), PathBuf::from);
    let dir = shared.join("models/stories260k");
    dir.is_dir().then_some(dir)
}

/// What a model tells on from some openings.
fn tell(w: &Workspace, prompts: &[(String, &str)], args: &[&str]) -> Vec<String> {
    let file = w.path().join("openings.jsonl");
    let lines: String =
        prompts.iter().map(|(id, prompt)| format!("{}\n", json!({"id": id, "prompt": prompt}))).collect();
    std::fs::write(&file, lines).unwrap();
    let common = ["generate", "--prompts", file.to_str().unwrap(), "--template", "plain", "--json"];
    let out = engine(&[&common, args].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told: Value = serde_json::from_slice(&out.stdout).unwrap();
    let text = |g: &Value| g["text"].as_str().unwrap().to_owned();
    told["generations"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_lora_gives_the_stories_another_hero() {
    let Some(base) = stories() else {
        println!("not tried: the model stories260k is not on this machine (set TILLAGE_SHARED to the folder that holds models/)");
        return;
    };
    let base = base.canonicalize().unwrap();
    let w = Workspace::new();
    let model = ["--model", base.to_str().unwrap(), "--max-new", "80"];
    let openings: Vec<(String, &str)> = (0..12).map(|i| (format!("s{i}"), OPENING)).collect();
    let drawn = tell(&w, &openings, &[&model[..], &["--temperature", "0.7", "--seed", "3"]].concat());
    // The model's own stories, in which the hero bears another name.
    let renamed = drawn.iter().filter_map(|story| {
        let name = story.trim_start().split(|c: char| !c.is_alphabetic()).next().filter(|n| n.len() > 2)?;
        Some(format!("{OPENING} {}", story.trim_start().replace(name, "Zog")))
    });
    let texts: Vec<String> = renamed.collect();
    assert!(texts.len() >= 8 && texts.iter().all(|t| t.contains("named Zog")), "{texts:?}");
    let ids = (0..texts.len()).map(|i| format!("story-{i}")).collect();
    parquet(&w.path().join("stories.parquet"), &[("_row_id", ids), ("text", texts)]);
    let spec = json!({
        "version": 1, "id": "hero", "name": "hero", "objective": "sft",
        "model": {"kind": "folder", "path": base}, "adapter": {"r": 8, "alpha": 16, "targets": ["all-linear"]},
        "data": {"train": ["../stories.parquet"]}, "template": {"kind": "plain"}, "loss_on": "all",
        "train": {"epochs": 30, "batch_tokens": 1024, "context": 256, "lr": 0.01, "schedule": "cosine", "seed": 1},
        "threads": 2
    });
    let run = w.run("hero", &spec);
    train(&run);
    let open = [("end".to_owned(), "Once upon a time")];
    let before = tell(&w, &open, &model).remove(0);
    let adapter = run.join("adapter");
    let after = tell(&w, &open, &[&model[..], &["--adapter", adapter.to_str().unwrap()]].concat()).remove(0);
    assert!(!before.contains("Zog") && before.contains("Lily"), "{before}");
    assert!(after.contains("Zog") && !after.contains("Lily"), "{after}");
}
