//! What becomes of the settings: every one reaches the loss, every path counts from the run's folder.

use crate::method::Method;
use crate::spec::{loss_on, resolve};
use serde_json::{json, Value};
use std::path::Path;
use tillage_model::objective::PairLoss;
use tillage_model::Distillation;
use tillage_protocol::run::LossOn;
use tillage_protocol::RunSpec;

fn spec(objective: &str, more: Value) -> RunSpec {
    let mut spec = json!({
        "version": 1, "id": "a", "name": "a", "objective": objective, "model": {"kind": "folder", "path": "model"},
        "adapter": {"r": 4, "alpha": 8, "targets": ["all-linear"]}, "data": {"train": ["a.parquet"]},
        "template": {"kind": "plain"}, "loss_on": "assistant",
        "train": {"epochs": 1, "batch_tokens": 512, "context": 256, "lr": 0.1, "schedule": "cosine", "seed": 4},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn method(objective: &str, preference: Value) -> Method {
    Method::of(&spec(objective, json!({ "preference": preference })))
}

#[test]
fn every_setting_of_a_preference_reaches_its_loss() {
    let beta = 0.37;
    let plain = json!({ "beta": beta });
    for (objective, settings, loss) in [
        ("dpo", json!({"beta": beta, "label_smoothing": 0.2}), PairLoss::Dpo { beta, smoothing: 0.2 }),
        ("ipo", plain.clone(), PairLoss::Ipo { beta }),
        ("hinge", plain.clone(), PairLoss::Hinge { beta }),
        ("apo_zero", plain.clone(), PairLoss::ApoZero { beta }),
        ("simpo", json!({"beta": beta, "gamma": 0.7}), PairLoss::SimPo { beta, gamma: 0.7 }),
        ("cpo", json!({"beta": beta, "alpha": 0.4}), PairLoss::Cpo { beta, alpha: 0.4 }),
        ("orpo", plain, PairLoss::Orpo { beta }),
        // What they are when nobody says otherwise: the papers' and TRL's defaults.
        ("dpo", json!({}), PairLoss::Dpo { beta: 0.1, smoothing: 0.0 }),
        ("ipo", json!({}), PairLoss::Ipo { beta: 0.1 }),
        ("simpo", json!({}), PairLoss::SimPo { beta: 2.0, gamma: 1.0 }),
        ("cpo", json!({}), PairLoss::Cpo { beta: 0.1, alpha: 1.0 }),
        ("orpo", json!({}), PairLoss::Orpo { beta: 0.1 }),
    ] {
        assert_eq!(method(objective, settings), Method::Pairs(loss));
    }
    let kto = json!({"beta": beta, "desirable_weight": 1.5, "undesirable_weight": 0.5});
    assert_eq!(method("kto", kto), Method::Judgements { beta, weights: [1.5, 0.5] });
    assert_eq!(method("kto", json!({})), Method::Judgements { beta: 0.1, weights: [1.0, 1.0] });
    let distill = |settings: Value| Method::of(&spec("distill", json!({ "distill": settings })));
    let set = distill(json!({"teacher": "t", "temperature": 3.0, "alpha": 0.25}));
    assert_eq!(set, Method::Distill(Distillation { temperature: 3.0, alpha: 0.25 }));
    let plain = distill(json!({"teacher": "t"}));
    assert_eq!(plain, Method::Distill(Distillation { temperature: 1.0, alpha: 1.0 }));
    assert_eq!(distill(json!({"teacher": "t", "sequence": {}})), Method::Tokens);
}

#[test]
fn every_path_of_a_run_counts_from_its_folder() {
    let rewards = json!([
        {"kind": "reward_model", "base": "judge", "adapter": "../judge/adapter"},
        {"kind": "command", "command": ["./judge.sh", "x"], "cwd": "tools"},
    ]);
    let mut spec = spec(
        "grpo",
        json!({
            "model": {"kind": "folder", "path": "../model", "adapter": "./first/adapter"},
            "data": {"train": ["a.parquet", "/away/b.parquet"], "valid": ["c.parquet"]},
            "policy": {"rewards": rewards},
            "distill": {"teacher": "teacher", "adapter": "teacher/adapter"},
            "fork": {"checkpoint": "../other/checkpoints/step-000004"},
        }),
    );
    resolve(&mut spec, Path::new("/runs/x"));
    let found = serde_json::to_value(&spec).unwrap();
    for (place, wanted) in [
        ("/model/path", "/runs/model"),
        ("/model/adapter", "/runs/x/first/adapter"),
        ("/data/train/0", "/runs/x/a.parquet"),
        ("/data/train/1", "/away/b.parquet"),
        ("/data/valid/0", "/runs/x/c.parquet"),
        ("/policy/rewards/0/base", "/runs/x/judge"),
        ("/policy/rewards/0/adapter", "/runs/judge/adapter"),
        ("/policy/rewards/1/cwd", "/runs/x/tools"),
        // A command is named as it is: it counts from the folder that it is started in.
        ("/policy/rewards/1/command/0", "./judge.sh"),
        ("/distill/teacher", "/runs/x/teacher"),
        ("/distill/adapter", "/runs/x/teacher/adapter"),
        ("/fork/checkpoint", "/runs/other/checkpoints/step-000004"),
    ] {
        assert_eq!(found.pointer(place).and_then(Value::as_str), Some(wanted), "{place}");
    }
    let init = json!({"adapter": null, "model": {"kind": "init", "tokenizer": {"kind": "folder", "path": "tokens"},
        "shape": {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 256}}});
    let mut spec = self::spec("pretrain", init);
    resolve(&mut spec, Path::new("/runs/x"));
    let found = serde_json::to_value(&spec).unwrap();
    assert_eq!(found.pointer("/model/tokenizer/path"), Some(&json!("/runs/x/tokens")));
}

#[test]
fn which_tokens_carry_a_label_is_the_runs_choice_where_texts_are_learned_alone() {
    for (objective, wanted) in [
        ("pretrain", LossOn::All),
        ("sft", LossOn::Assistant),
        ("distill", LossOn::Assistant),
        ("dpo", LossOn::Completion),
        ("kto", LossOn::Completion),
        ("reward", LossOn::Completion),
        ("grpo", LossOn::Completion),
    ] {
        assert_eq!(loss_on(&spec(objective, json!({}))), wanted, "{objective}");
    }
}
