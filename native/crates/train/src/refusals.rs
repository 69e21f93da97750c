//! Every setting with every objective: what an objective does not use is refused, and what it uses is taken.

use crate::spec::check;
use serde_json::{json, Value};
use tillage_protocol::run::Objective;
use tillage_protocol::RunSpec;

fn name(objective: Objective) -> String {
    json!(objective).as_str().expect("a name").to_owned()
}

/// A run that has what its objective needs, and nothing else.
fn base(objective: &str) -> Value {
    let mut spec = json!({
        "version": 1, "id": "a", "name": "a", "objective": objective, "model": {"kind": "folder", "path": "model"},
        "adapter": {"r": 4, "alpha": 8, "targets": ["all-linear"]}, "data": {"train": ["a.parquet"]},
        "template": {"kind": "plain"}, "loss_on": "all",
        "train": {"epochs": 1, "batch_tokens": 512, "context": 256, "lr": 0.1, "schedule": "cosine", "seed": 4},
    });
    match objective {
        "distill" => spec["distill"] = json!({"teacher": "teacher"}),
        "grpo" | "rloo" | "ppo" => spec["policy"] = json!({"rewards": [{"kind": "exact"}]}),
        _ => {}
    }
    spec
}

/// JSON Merge Patch: null removes.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(t), Value::Object(p)) => {
            for (key, value) in p {
                if value.is_null() {
                    t.remove(key);
                } else {
                    merge(t.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (t, p) => *t = p.clone(),
    }
}

/// The setting that is refused; none where the run is good.
fn refused(objective: &str, patch: &Value) -> Option<String> {
    let mut spec = base(objective);
    merge(&mut spec, patch);
    let spec: RunSpec = serde_json::from_value(spec).unwrap_or_else(|e| panic!("{objective} {patch}: {e}"));
    let error = check(&spec).err()?;
    assert_eq!(error.code, "bad_setting", "{objective} {patch}: {error:?}");
    Some(error.message)
}

const PAIRS: [&str; 7] = ["dpo", "ipo", "hinge", "apo_zero", "simpo", "cpo", "orpo"];
const POLICIES: [&str; 3] = ["grpo", "rloo", "ppo"];

#[test]
fn a_setting_is_taken_by_the_objectives_that_use_it_and_by_no_other() {
    let all: Vec<String> = Objective::ALL.into_iter().map(name).collect();
    let but = |without: &[&str]| -> Vec<&str> {
        all.iter().map(String::as_str).filter(|o| !without.contains(o)).collect()
    };
    let policy = |own: Value| {
        let mut whole = json!({"rewards": [{"kind": "exact"}]});
        merge(&mut whole, &own);
        json!({"policy": whole})
    };
    let init = json!({"adapter": null, "model": {"kind": "init", "path": null,
        "tokenizer": {"kind": "train", "vocab_size": 300}, "shape": {"hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 256}}});
    let with = |more: Value| {
        let mut whole = init.clone();
        merge(&mut whole, &more);
        whole
    };
    let table: Vec<(Value, &str, Vec<&str>)> = vec![
        (json!({}), "", but(&[])),
        (json!({"preference": {"beta": 0.2}}), "preference.beta", [&PAIRS[..], &["kto"]].concat()),
        (json!({"preference": {"label_smoothing": 0.1}}), "preference.label_smoothing", vec!["dpo"]),
        (json!({"preference": {"gamma": 0.5}}), "preference.gamma", vec!["simpo"]),
        (json!({"preference": {"alpha": 0.5}}), "preference.alpha", vec!["cpo"]),
        (json!({"preference": {"desirable_weight": 2}}), "preference.desirable_weight", vec!["kto"]),
        (json!({"preference": {"undesirable_weight": 2}}), "preference.undesirable_weight", vec!["kto"]),
        (json!({"preference": {}}), "", but(&[])),
        (json!({"distill": {"teacher": "t"}}), "distill", vec!["distill"]),
        (json!({"distill": {"teacher": "t", "sequence": {}}}), "distill", vec!["distill"]),
        (json!({"distill": null}), "distill", but(&["distill"])),
        (policy(json!({})), "policy", POLICIES.into()),
        (json!({"policy": null}), "policy", but(&POLICIES)),
        (policy(json!({"ppo": {}})), "policy", vec!["ppo"]),
        (policy(json!({"beta": 0.1})), "policy", vec!["grpo", "rloo"]),
        (policy(json!({"average": "completions"})), "policy", vec!["grpo"]),
        (policy(json!({"average": "longest"})), "policy", vec!["grpo"]),
        (policy(json!({"group": 1})), "policy", vec!["ppo"]),
        (policy(json!({"epsilon": 0.1})), "policy", vec!["ppo"]),
        (policy(json!({"epsilon": 0.1, "epochs": 2})), "policy", POLICIES.into()),
        (policy(json!({"epsilon": 0.1, "minibatches": 2})), "policy", POLICIES.into()),
        (json!({"weight": "w"}), "weight", but(&["kto", "grpo", "rloo", "ppo"])),
        (json!({"weight": ""}), "weight", vec![]),
        (json!({"adapter": null}), "adapter", but(&["reward", "ppo"])),
        (json!({"adapter": null, "prompt": {"tokens": 4}}), "", vec!["pretrain", "sft"]),
        (json!({"prompt": {"tokens": 4}}), "prompt", vec![]),
        (init.clone(), "", vec!["pretrain", "sft", "distill"]),
        (with(json!({"adapter": {"r": 4, "alpha": 8, "targets": ["all-linear"]}})), "", vec![]),
        (with(json!({"train": {"context": 257}})), "", vec![]),
        (json!({"adapter": null, "model": {"adapter": "a"}}), "adapter", vec![]),
        (json!({"model": {"adapter": "a"}}), "", but(&[])),
        (json!({"dtype": "nf4"}), "", but(&[])),
        (json!({"adapter": null, "dtype": "nf4"}), "", vec![]),
        (json!({"train": {"optimizer": "muon"}}), "optimizer", vec![]),
        (json!({"adapter": null, "train": {"optimizer": "muon"}}), "", but(&["reward", "ppo"])),
    ];
    for (patch, setting, taken) in table {
        for objective in &all {
            let found = refused(objective, &patch);
            assert_eq!(
                found.is_none(),
                taken.contains(&objective.as_str()),
                "{objective} {patch}: {found:?}"
            );
            assert!(
                found.is_none_or(|message| message.contains(setting)),
                "{objective} {patch} names {setting}"
            );
        }
    }
}

#[test]
fn a_number_is_taken_within_its_bounds_alone() {
    // Of each setting: an objective that uses it, where it stands, what is good and what is not.
    let table: Vec<(&str, &str, Vec<Value>, Vec<Value>)> = vec![
        ("sft", "/train/epochs", vec![json!(0.1)], vec![json!(0), json!(-1)]),
        ("sft", "/train/lr", vec![json!(1e-9)], vec![json!(0), json!(-0.1)]),
        ("sft", "/train/beta1", vec![json!(0), json!(0.99)], vec![json!(1), json!(-0.1)]),
        ("sft", "/train/beta2", vec![json!(0), json!(0.99)], vec![json!(1), json!(-0.1)]),
        ("sft", "/train/weight_decay", vec![json!(0)], vec![json!(-0.1)]),
        ("sft", "/train/adam_eps", vec![json!(0)], vec![json!(-0.1)]),
        ("sft", "/train/clip_norm", vec![json!(0)], vec![json!(-0.1)]),
        ("sft", "/train/context", vec![json!(2)], vec![json!(1)]),
        ("sft", "/train/batch_tokens", vec![json!(2)], vec![json!(1)]),
        ("sft", "/train/grad_accumulation", vec![json!(1)], vec![json!(0)]),
        ("sft", "/train/max_steps", vec![json!(1)], vec![json!(0)]),
        ("sft", "/train/min_lr", vec![json!(0), json!(1)], vec![json!(-0.1), json!(1.1)]),
        ("sft", "/train/decay_share", vec![json!(0), json!(1)], vec![json!(-0.1), json!(1.1)]),
        ("sft", "/adapter/r", vec![json!(1)], vec![json!(0)]),
        ("sft", "/adapter/alpha", vec![json!(0.1)], vec![json!(0), json!(-1)]),
        ("sft", "/adapter/dropout", vec![json!(0), json!(0.9)], vec![json!(1), json!(-0.1)]),
        ("sft", "/adapter/lora_plus", vec![json!(16)], vec![json!(0), json!(-1)]),
        ("sft", "/version", vec![json!(1)], vec![json!(2)]),
        ("sft", "/data/train", vec![json!(["a"])], vec![json!([])]),
        ("dpo", "/preference/beta", vec![json!(0.1)], vec![json!(0), json!(-1)]),
        ("dpo", "/preference/label_smoothing", vec![json!(0), json!(0.49)], vec![json!(0.5), json!(-0.1)]),
        ("simpo", "/preference/gamma", vec![json!(0)], vec![json!(-0.1)]),
        ("cpo", "/preference/alpha", vec![json!(0)], vec![json!(-0.1)]),
        ("kto", "/preference/desirable_weight", vec![json!(0.1)], vec![json!(0)]),
        ("kto", "/preference/undesirable_weight", vec![json!(0.1)], vec![json!(0)]),
        ("distill", "/distill/temperature", vec![json!(0.1)], vec![json!(0), json!(-1)]),
        ("distill", "/distill/alpha", vec![json!(0), json!(1)], vec![json!(-0.1), json!(1.1)]),
        (
            "distill",
            "/distill/sequence",
            vec![json!({"max_new": 255})],
            vec![json!({"max_new": 0}), json!({"max_new": 256})],
        ),
        ("distill", "/distill/sequence", vec![json!({"temperature": 0})], vec![json!({"temperature": -0.1})]),
        ("grpo", "/policy/rewards", vec![json!([{"kind": "exact"}])], vec![json!([])]),
        ("grpo", "/policy/group", vec![json!(2)], vec![json!(1), json!(0)]),
        ("ppo", "/policy/group", vec![json!(1)], vec![json!(0)]),
        ("grpo", "/policy/max_new", vec![json!(1), json!(255)], vec![json!(0), json!(256)]),
        ("grpo", "/policy/temperature", vec![json!(0.1)], vec![json!(0), json!(-1)]),
        ("grpo", "/policy/beta", vec![json!(0)], vec![json!(-0.1)]),
        ("grpo", "/policy/epochs", vec![json!(1)], vec![json!(0)]),
        ("grpo", "/policy/minibatches", vec![json!(1)], vec![json!(0)]),
        ("ppo", "/policy/epsilon", vec![json!(0.1), json!(0.9)], vec![json!(0), json!(1)]),
        (
            "ppo",
            "/policy/ppo",
            vec![json!({"gamma": 0}), json!({"gamma": 1})],
            vec![json!({"gamma": -0.1}), json!({"gamma": 1.1})],
        ),
        (
            "ppo",
            "/policy/ppo",
            vec![json!({"lambda": 0}), json!({"lambda": 1})],
            vec![json!({"lambda": -0.1}), json!({"lambda": 1.1})],
        ),
        ("ppo", "/policy/ppo", vec![json!({"kl": 0})], vec![json!({"kl": -0.1})]),
        ("ppo", "/policy/ppo", vec![json!({"value_clip": 0.1})], vec![json!({"value_clip": 0})]),
        ("ppo", "/policy/ppo", vec![json!({"value_weight": 0})], vec![json!({"value_weight": -0.1})]),
        ("ppo", "/policy/ppo", vec![json!({"cut_penalty": 0})], vec![json!({"cut_penalty": -0.1})]),
    ];
    for (objective, place, good, bad) in table {
        let patch =
            |value: &Value| place[1..].rsplit('/').fold(value.clone(), |inner, key| json!({ key: inner }));
        for value in good {
            assert_eq!(refused(objective, &patch(&value)), None, "{objective} {place} {value}");
        }
        for value in bad {
            assert!(refused(objective, &patch(&value)).is_some(), "{objective} {place} {value} is taken");
        }
    }
    let more = [
        ("sft", json!({"train": {"min_lr": 0.1, "schedule": "constant"}})),
        ("sft", json!({"train": {"keep_best": true}})),
        ("sft", json!({"train": {"keep_best": true, "validate_every": 2}})),
        (
            "sft",
            json!({"data": {"valid": ["b"]}, "train": {"early_stopping": {"patience": 0}, "validate_every": 2}}),
        ),
        (
            "sft",
            json!({"data": {"valid": ["b"]}, "train": {"early_stopping": {"patience": 1, "min_delta": -0.1}, "validate_every": 2}}),
        ),
        ("sft", json!({"data": {"valid": ["b"]}, "train": {"early_stopping": {"patience": 1}}})),
        ("sft", json!({"adapter": null, "prompt": {"tokens": 0}})),
        ("sft", json!({"adapter": null, "prompt": {"tokens": 255}})),
        ("distill", json!({"distill": {"sequence": {}, "temperature": 2}})),
        ("distill", json!({"distill": {"sequence": {}, "alpha": 0.5}})),
    ];
    for (objective, patch) in more {
        assert!(refused(objective, &patch).is_some(), "{objective} {patch} is taken");
    }
    let fine =
        json!({"data": {"valid": ["b"]}, "train": {"early_stopping": {"patience": 1}, "validate_every": 2}});
    assert_eq!(refused("sft", &fine), None);
    assert_eq!(refused("sft", &json!({"adapter": null, "prompt": {"tokens": 254}})), None);
}
