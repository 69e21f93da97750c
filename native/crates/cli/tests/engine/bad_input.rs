//! Bad input: each gets a message that names the file and the remedy, and leaves nothing half-written.

use crate::common::*;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::SafeTensors;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// Runs a training that must fail, and checks the shape of its error.
fn refuse(run: &Path, code: &str) -> Value {
    let (exit, error) = failure(&["train", run.to_str().unwrap()]);
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(exit, 1, "{error}");
    assert_eq!(error["blame"], "user");
    assert!(!error["remedy"].as_str().unwrap().is_empty());
    let log = events(run);
    let last = log.last().unwrap();
    assert_eq!((last["type"].as_str(), &last["error"]), (Some("failed"), &error), "the events say the same");
    assert!(
        !run.join("model").exists() && !run.join("adapter").exists() && !run.join("checkpoints").exists()
    );
    assert_clean(run);
    error
}

/// A pretrained model folder whose files a test then breaks.
fn model() -> (Workspace, PathBuf) {
    let w = Workspace::new();
    let run = w.pretrain("pre", &json!({"train": {"max_steps": 1}}));
    train(&run);
    let model = run.join("model");
    (w, model)
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

/// Writes the weights again, each tensor as `change` wants it: another shape, or gone.
fn rewrite_weights(model: &Path, change: impl Fn(&str, &[usize]) -> Option<Vec<usize>>) {
    let path = model.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let kept: Vec<(String, TensorView<'_>)> = file
        .tensors()
        .into_iter()
        .filter_map(|(name, t)| {
            let shape = change(&name, t.shape())?;
            let view = TensorView::new(Dtype::F32, shape, t.data()).unwrap();
            Some((name, view))
        })
        .collect();
    let out = safetensors::serialize(kept, None).unwrap();
    std::fs::write(&path, out).unwrap();
}

#[test]
fn a_broken_run_json_is_named_with_its_line() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({}));
    let path = run.join("run.json");
    let good = std::fs::read_to_string(&path).unwrap();

    std::fs::write(&path, good.replace("\"lr\":", "\"learning_rate\":")).unwrap();
    let error = refuse(&run, "bad_run_json");
    let line = good.lines().position(|l| l.contains("\"lr\":")).unwrap() as u64 + 1;
    assert_eq!(error["line"], line);
    assert!(error["message"].as_str().unwrap().contains("learning_rate"), "{error}");
    assert_eq!(error["file"], path.to_str().unwrap());

    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(refuse(&run, "bad_run_json")["line"].as_u64().unwrap() > 1);

    std::fs::write(&path, good.replace("\"lr\": 0.003", "\"lr\": -1")).unwrap();
    assert!(refuse(&run, "bad_setting")["message"].as_str().unwrap().contains("lr"));
    std::fs::write(&path, b"{\"version\": 1, \"name\": \"\xff\"}").unwrap();
    refuse(&run, "not_utf8");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "no_run_json");
    assert_eq!(failure(&["train", "/no/such/folder"]).1["code"], "no_run_folder");
}

#[test]
fn a_cut_parquet_is_named() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({}));
    let path = w.path().join("docs.parquet");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    assert!(refuse(&run, "bad_parquet")["file"].as_str().unwrap().ends_with("docs.parquet"));
    // The footer is whole, a page is not.
    let mut torn = whole.clone();
    torn[30..200].fill(0xff);
    std::fs::write(&path, torn).unwrap();
    refuse(&run, "bad_parquet");
    std::fs::write(&path, "").unwrap();
    refuse(&run, "bad_parquet");
    std::fs::remove_file(&path).unwrap();
    refuse(&run, "file_not_found");
}

#[test]
fn columns_of_no_known_shape_are_named() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({}));
    let path = w.path().join("docs.parquet");
    parquet(&path, &[("_row_id", vec!["a".into()]), ("body", vec!["x".into()])]);
    assert!(refuse(&run, "no_text_column")["message"].as_str().unwrap().contains("body"));
    parquet(&path, &[("id", vec!["a".into()]), ("text", vec!["x".into()])]);
    refuse(&run, "no_row_id");
    parquet(&path, &[("_row_id", vec![]), ("text", vec![])]);
    refuse(&run, "empty_dataset");
}

#[test]
fn weights_of_the_wrong_shape_are_named() {
    let (w, model) = model();
    let name = "model.layers.1.self_attn.q_proj.weight";
    rewrite_weights(&model, |n, s| Some(if n == name { vec![s[0] / 2, s[1] * 2] } else { s.to_vec() }));
    let run = w.tune("tune", "pre", &json!({}));
    let (_, error) = failure(&["train", run.to_str().unwrap()]);
    assert_eq!(error["blame"], "user");
    assert!(error["message"].as_str().unwrap().contains(name), "{error}");
    assert!(error["file"].as_str().unwrap().contains("model.safetensors"), "{error}");
}

#[test]
fn a_missing_tensor_is_named() {
    let (w, model) = model();
    let name = "model.layers.0.mlp.up_proj.weight";
    rewrite_weights(&model, |n, s| (n != name).then(|| s.to_vec()));
    let run = w.tune("tune", "pre", &json!({}));
    let error = refuse(&run, "missing_tensor");
    assert!(error["message"].as_str().unwrap().contains(name), "{error}");
    let (exit, error) = failure(&["generate", "--model", model.to_str().unwrap(), "--prompts", {
        std::fs::write(w.path().join("p.jsonl"), "{\"id\":\"a\",\"prompt\":\"The\"}\n").unwrap();
        w.path().join("p.jsonl").to_str().unwrap()
    }]);
    assert_eq!((exit, error["code"].as_str()), (1, Some("missing_tensor")));
}

#[test]
fn an_unknown_model_type_is_named() {
    let (w, model) = model();
    edit_json(&model.join("config.json"), |c| c["model_type"] = json!("mamba"));
    let run = w.tune("tune", "pre", &json!({}));
    assert!(refuse(&run, "unknown_model_type")["message"].as_str().unwrap().contains("mamba"));
    let (exit, error) = failure(&["inspect", "--model", model.to_str().unwrap()]);
    assert_eq!((exit, error["code"].as_str()), (1, Some("unknown_model_type")));
}

#[test]
fn a_tokenizer_without_the_templates_tokens_is_refused() {
    let (w, model) = model();
    let template = "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}<|eot_id|>{% endfor %}";
    std::fs::write(model.join("chat_template.jinja"), template).unwrap();
    let run = w.tune("tune", "pre", &json!({"template": {"kind": "chat"}}));
    // A patch merges; the format's prompt has to go.
    edit_json(&run.join("run.json"), |s| s["template"] = json!({"kind": "chat"}));
    let error = refuse(&run, "template_tokens_missing");
    assert_eq!(
        error["file"],
        model.join("tokenizer.json").to_str().unwrap(),
        "the file, by a path without detours"
    );
    for token in ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"] {
        assert!(error["message"].as_str().unwrap().contains(token), "{error}");
    }
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let (w, model) = model();
    std::fs::write(
        model.join("chat_template.jinja"),
        "{% for a in range(100000) %}{% for b in range(100000) %}{% set x = a %}{% endfor %}{% endfor %}",
    )
    .unwrap();
    let run = w.tune("tune", "pre", &json!({}));
    edit_json(&run.join("run.json"), |s| s["template"] = json!({"kind": "chat"}));
    refuse(&run, "template_endless");
}

#[test]
fn a_diverging_run_names_the_rows_of_the_batch() {
    let w = Workspace::new();
    let run =
        w.pretrain("run", &json!({"train": {"lr": 1e36, "clip_norm": 0.0, "warmup_steps": 0, "epochs": 10}}));
    let (exit, error) = failure(&["train", run.to_str().unwrap()]);
    assert_eq!((exit, error["code"].as_str()), (1, Some("nan_loss")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("doc-"), "{error}");
    let log = events(&run);
    assert!(run.join(log.last().unwrap()["checkpoint"].as_str().unwrap()).is_dir());
}

#[test]
fn a_broken_line_of_prompts_is_named() {
    let (w, model) = model();
    let prompts = w.path().join("p.jsonl");
    std::fs::write(&prompts, "{\"id\":\"a\",\"prompt\":\"The\"}\n\n{\"id\":\"b\",\"prompt\n").unwrap();
    let args = ["generate", "--model", model.to_str().unwrap(), "--prompts", prompts.to_str().unwrap()];
    let (exit, error) = failure(&args);
    assert_eq!((exit, error["code"].as_str(), &error["line"]), (1, Some("bad_prompts"), &json!(3)));
    assert_eq!(error["file"], prompts.to_str().unwrap());
    std::fs::write(&prompts, "").unwrap();
    assert_eq!(failure(&args).1["code"], "no_prompts");
    let long = format!("{{\"id\":\"a\",\"prompt\":\"{}\"}}\n", "The alder stands. ".repeat(100));
    std::fs::write(&prompts, long).unwrap();
    assert_eq!(failure(&args).1["code"], "prompt_too_long");
    std::fs::write(&prompts, "{\"id\":\"a\",\"prompt\":\"\"}\n").unwrap();
    assert_eq!(failure(&args).1["code"], "empty_prompt");
}

#[test]
fn a_run_that_cannot_fit_the_memory_does_not_begin() {
    let w = Workspace::new();
    let shape = json!({"hidden_size": 262_144, "intermediate_size": 262_144, "num_hidden_layers": 2});
    let run = w.pretrain("run", &json!({"model": {"shape": shape}}));
    let (exit, error) = failure(&["train", run.to_str().unwrap()]);
    assert_eq!((exit, error["code"].as_str()), (2, Some("out_of_memory")), "{error}");
    assert_eq!(failure(&["preflight", run.to_str().unwrap()]).1["code"], "out_of_memory");
}

#[test]
fn a_context_beyond_the_models_is_refused() {
    let (w, _) = model();
    let run = w.tune("tune", "pre", &json!({"train": {"context": 128}}));
    assert!(refuse(&run, "context_too_long")["remedy"].as_str().unwrap().contains("64"));
    let run = w.pretrain("run", &json!({"train": {"context": 128}}));
    refuse(&run, "bad_setting");
}

#[test]
fn wrong_arguments_are_the_users_error() {
    let (exit, error) = failure(&["train"]);
    assert_eq!((exit, error["code"].as_str()), (1, Some("bad_arguments")));
    let out = engine(&["inspect", "--model", "/no/such/model"]);
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text.starts_with("error in the input: ") && text.contains("/no/such/model"), "{text}");
}
