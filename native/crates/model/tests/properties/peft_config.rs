//! What `adapter_config.json` says of an adapter.

use crate::support::{adapted, batch, close, config_with, lora, model, model_of};
use serde_json::{json, Value};
use std::path::Path;
use tillage_model::{LoraConfig, Model};

fn saved(model: &Model, dir: &Path) -> Value {
    model.save_adapter(dir, "some/base").expect("a writable folder");
    serde_json::from_slice(&std::fs::read(dir.join("adapter_config.json")).expect("a config")).expect("JSON")
}

fn logits(model: &Model) -> Vec<f32> {
    model.logits(&batch(), &[3, 8, 20])
}

#[test]
fn it_says_how_the_adapter_was_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = LoraConfig { dropout: 0.25, alpha: 7.5, ..lora(&["q_proj", "down_proj"]) };
    let found = saved(&adapted(&config), folder.path());
    for (key, wanted) in [
        ("peft_type", json!("LORA")),
        ("task_type", json!("CAUSAL_LM")),
        ("modules_to_save", Value::Null),
        ("base_model_name_or_path", json!("some/base")),
        ("r", json!(3)),
        ("lora_alpha", json!(7.5)),
        ("lora_dropout", json!(0.25)),
        ("target_modules", json!(["down_proj", "q_proj"])),
        ("target_parameters", Value::Null),
        ("use_rslora", json!(false)),
        ("use_dora", json!(false)),
        ("fan_in_fan_out", json!(false)),
        ("bias", json!("none")),
    ] {
        assert_eq!(found[key], wanted, "{key}");
    }
    // A reward model is a classifier to PEFT, which keeps its head.
    let mut judge = adapted(&config);
    judge.attach_score(3).expect("an adapter");
    let found = saved(&judge, folder.path());
    assert_eq!((&found["task_type"], &found["modules_to_save"]), (&json!("SEQ_CLS"), &json!(["score"])));
    // The head that gives values stays with the trainer.
    let mut policy = adapted(&config);
    policy.attach_values(3).expect("an adapter");
    let found = saved(&policy, folder.path());
    assert_eq!((&found["task_type"], &found["modules_to_save"]), (&json!("CAUSAL_LM"), &Value::Null));
}

#[test]
fn a_family_whose_files_have_matrices_the_other_way_round_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let gpt2 = config_with(json!({
        "model_type": "gpt2", "n_embd": 36, "n_layer": 2, "n_head": 3, "n_positions": 40, "activation_function": "gelu_new",
        "num_key_value_heads": null, "head_dim": null, "n_inner": null, "hidden_act": null,
    }));
    let mut model = model_of(gpt2);
    model.attach_lora(&lora(&["c_attn"]), 1).expect("a valid adapter");
    assert_eq!(saved(&model, folder.path())["fan_in_fan_out"], json!(true));
}

#[test]
fn ranks_and_alphas_of_single_modules_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    let mut config = saved(&adapted(&lora(&["q_proj", "down_proj"])), &first);
    // The same tensors by other words: their rank is an exception now, and one module has an alpha of its own.
    config["r"] = json!(8);
    config["rank_pattern"] = json!({"q_proj": 3, "down_proj": 3});
    config["alpha_pattern"] = json!({"q_proj": 12.0});
    std::fs::write(first.join("adapter_config.json"), config.to_string()).expect("written");
    let mut read = model();
    read.load_adapter(&first).expect("an adapter");
    assert!(logits(&read) != logits(&adapted(&lora(&["q_proj", "down_proj"]))), "the alpha counts");
    let again = saved(&read, &second);
    for key in ["rank_pattern", "alpha_pattern", "r", "lora_alpha"] {
        assert_eq!(again[key], config[key], "{key}");
    }
    let mut third = model();
    third.load_adapter(&second).expect("an adapter");
    close(&logits(&third), &logits(&read), 0.0);
}
