//! Preferences: pairs and judgements, through the binary.

use crate::common::*;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

const LN_2: f64 = std::f64::consts::LN_2;

/// A workspace with a pretrained model `pre`, pairs of answers and judged answers.
fn workspace() -> Workspace {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}})));
    let ids = |kind: &str, n: usize| (0..n).map(|i| format!("{kind}-{i}")).collect::<Vec<_>>();
    let prompt = |i: usize| format!("Where is the {}?", TREES[i % 6]);
    let town = |i: usize| format!(" In {}.", TOWNS[i % 6]);
    parquet(
        &w.path().join("prefer.parquet"),
        &[
            ("_row_id", ids("pref", 6)),
            ("prompt", (0..6).map(prompt).collect()),
            ("chosen", (0..6).map(town).collect()),
            ("rejected", (0..6).map(|i| town(i + 1)).collect()),
        ],
    );
    judgements(
        &w.path().join("judged.parquet"),
        &[
            ("_row_id", ids("judged", 12)),
            ("prompt", (0..12).map(prompt).collect()),
            ("completion", (0..12).map(|i| town(i + usize::from(i >= 6))).collect()),
        ],
        &(0..12).map(|i| i < 6).collect::<Vec<_>>(),
    );
    w
}

fn prefer(w: &Workspace, name: &str, objective: &str, patch: &Value) -> PathBuf {
    let data = if objective == "kto" { "../judged.parquet" } else { "../prefer.parquet" };
    let mut all = json!({"objective": objective, "data": {"train": [data], "valid": [data]},
        "train": {"epochs": 40, "batch_tokens": 128, "lr": 0.005}});
    merge(&mut all, patch);
    w.tune(name, "pre", &all)
}

fn losses(run: &Path) -> Vec<f64> {
    of_type(&events(run), "step").iter().map(|e| e["loss"].as_f64().unwrap()).collect()
}

#[test]
fn every_objective_on_pairs_learns_to_prefer_the_chosen() {
    let w = workspace();
    for objective in ["dpo", "ipo", "hinge", "apo_zero", "simpo", "cpo", "orpo"] {
        let run = prefer(&w, objective, objective, &json!({}));
        train(&run);
        let log = events(&run);
        let steps = of_type(&log, "step");
        let metric = |e: &Value, name: &str| e["metrics"][format!("rewards/{name}")].as_f64().unwrap();
        let (first, last) = (steps[0], steps[steps.len() - 1]);
        assert_eq!(metric(last, "accuracies"), 1.0, "{objective}: {last}");
        assert!(metric(last, "margins") > 0.05, "{objective}: {last}");
        let margin = metric(last, "chosen") - metric(last, "rejected");
        assert!((metric(last, "margins") - margin).abs() < 1e-9, "{objective}: {last}");
        assert!(last["loss"].as_f64() < first["loss"].as_f64(), "{objective}: {first} -> {last}");
        let valid = of_type(&log, "validation")[0];
        assert_eq!(metric(valid, "accuracies"), 1.0, "{objective}: {valid}");
        // The reference is asked once, and only where there is one.
        let asked = matches!(objective, "dpo" | "ipo" | "hinge" | "apo_zero");
        assert_eq!(!of_type(&log, "progress").is_empty(), asked, "{objective}");
        assert_eq!(run.join("reference.safetensors").exists(), asked, "{objective}");
        let start = match objective {
            "dpo" => Some(LN_2),
            "hinge" | "apo_zero" => Some(1.0),
            "ipo" => Some(25.0),
            _ => None,
        };
        if let Some(start) = start {
            let found = first["loss"].as_f64().unwrap();
            assert!(
                (found - start).abs() < 1e-4,
                "{objective}: before step 1 policy and reference agree: {found}"
            );
        }
    }
}

#[test]
fn a_reward_model_scores_the_chosen_above_the_rejected_and_goes_on_exactly() {
    let w = workspace();
    let run = prefer(&w, "reward", "reward", &json!({}));
    train(&run);
    let log = events(&run);
    let steps = of_type(&log, "step");
    let last = steps[steps.len() - 1];
    assert_eq!(last["metrics"]["rewards/accuracies"], 1.0, "{last}");
    assert!(last["loss"].as_f64().unwrap() < 0.2, "{last}");
    let config: Value =
        serde_json::from_slice(&std::fs::read(run.join("adapter/adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&config["task_type"], &config["modules_to_save"]), (&json!("SEQ_CLS"), &json!(["score"])));
    let half = prefer(&w, "half", "reward", &json!({}));
    let mut child = binary().args(["train", half.to_str().unwrap()]).spawn().unwrap();
    wait_until("a few steps", || losses_so_far(&half) > 4);
    child.kill().unwrap();
    child.wait().unwrap();
    train(&half);
    assert_eq!(losses(&half), losses(&run));
    let bytes = |run: &Path| std::fs::read(run.join("adapter/adapter_model.safetensors")).unwrap();
    assert!(bytes(&half) == bytes(&run), "the head is resumed too");
    let full = prefer(&w, "full", "reward", &json!({"adapter": null}));
    assert_eq!(failure(&["train", full.to_str().unwrap()]).1["code"], "bad_setting");
}

fn losses_so_far(run: &Path) -> usize {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    text.lines().filter(|l| l.contains("\"type\":\"step\"")).count()
}

/// What `score` says of the answers in a file.
fn scored(w: &Workspace, rows: &str, column: &str) -> Vec<f64> {
    let path = |name: &str| w.path().join(name).to_str().unwrap().to_owned();
    let (model, rows, out) = (path("pre/model"), path(rows), path("scored.jsonl"));
    let words = ["score", "--model", &model, "--rows", &rows, "--out", &out];
    let form = ["--template", "format:Q: {prompt}\\nA:"];
    let done = engine(&[&words[..], &form[..]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(&out).unwrap();
    let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()[column].as_f64().unwrap();
    text.lines().map(number).collect()
}

#[test]
fn the_reference_is_what_the_base_thinks_of_each_answer_behind_its_own_prompt() {
    let w = workspace();
    let towns: Vec<usize> = (0..12).map(|i| i + usize::from(i >= 6)).collect();
    // Each prompt with the answer that the next row has: KTO's second texts.
    parquet(
        &w.path().join("unrelated.parquet"),
        &[
            ("_row_id", (0..12).map(|i| format!("judged-{i}")).collect()),
            ("prompt", (0..12).map(|i| format!("Where is the {}?", TREES[i % 6])).collect()),
            ("completion", (0..12).map(|i| format!(" In {}.", TOWNS[towns[(i + 1) % 12] % 6])).collect()),
        ],
    );
    let own = scored(&w, "judged.parquet", "completion_logprob");
    let unrelated = scored(&w, "unrelated.parquet", "completion_logprob");
    let pairs = ["chosen_logprob", "rejected_logprob"].map(|column| scored(&w, "prefer.parquet", column));
    for (objective, [first, second]) in [("kto", [own, unrelated]), ("dpo", pairs)] {
        let run = prefer(&w, objective, objective, &json!({"train": {"max_steps": 1}}));
        train(&run);
        let bytes = std::fs::read(run.join("reference.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for split in ["train", "valid"] {
            let data = file.tensor(split).unwrap().data().to_vec();
            let found: Vec<f64> =
                data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
            let wanted = first.iter().zip(&second).flat_map(|(a, b)| [*a, *b]);
            let wanted: Vec<f64> = wanted.collect();
            assert_eq!(found.len(), wanted.len());
            for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                assert!((found - wanted).abs() < 1e-4, "{objective} {split} {at}: {found}, {wanted}");
            }
        }
        let far = first.iter().zip(&second).filter(|(a, b)| (*a - *b).abs() > 0.1).count();
        assert!(far >= first.len() / 2, "{objective}: both answers are as likely: {first:?} {second:?}");
    }
}

#[test]
fn judged_answers_become_more_likely_or_less() {
    let w = workspace();
    let run = prefer(&w, "kto", "kto", &json!({"preference": {"beta": 0.2, "undesirable_weight": 1.5}}));
    train(&run);
    let log = events(&run);
    let steps = of_type(&log, "step");
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    // Half good at 1 and half bad at 1.5, all at their start: the mean of 0.5 and 0.75 if the batch holds as many of each.
    let found = first["loss"].as_f64().unwrap();
    assert!((0.5..=0.75).contains(&found), "{first}");
    // All rows together begin at the mean of the two, 0.625.
    let valid = of_type(&log, "validation")[0];
    assert!(valid["loss"].as_f64().unwrap() < 0.5, "{valid}");
    let all = &valid["metrics"];
    let of = |name: &str| all[format!("rewards/{name}")].as_f64().unwrap();
    assert!(of("margins") > 1.0 && of("rejected") < 0.0, "{all}");
    assert!((of("margins") - (of("chosen") - of("rejected"))).abs() < 1e-9, "{all}");
    assert!(last["metrics"]["kl"].as_f64().unwrap() >= 0.0, "{last}");
}

#[test]
fn a_resumed_run_prefers_bit_for_bit_what_a_straight_one_does() {
    let w = workspace();
    let full = json!({"adapter": null, "train": {"epochs": 10, "lr": 0.001, "batch_tokens": 64}});
    let mut mixed = full.clone();
    mixed["dtype"] = json!("bf16");
    for (n, (objective, patch, output)) in [
        ("dpo", json!({"train": {"epochs": 10, "batch_tokens": 64}}), "adapter/adapter_model.safetensors"),
        ("dpo", full.clone(), "model/model.safetensors"),
        ("dpo", mixed, "model/model.safetensors"),
        ("kto", full, "model/model.safetensors"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = |kind: &str| format!("{kind}-{objective}-{n}");
        let straight = prefer(&w, &name("straight"), objective, &patch);
        train(&straight);
        let resumed = prefer(&w, &name("resumed"), objective, &patch);
        let total = losses(&straight).len();
        let mut child = binary().args(["train", resumed.to_str().unwrap()]).spawn().unwrap();
        wait_until("a step behind a checkpoint", || losses_so_far(&resumed) > 4);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(losses(&resumed).len() < total, "it was killed in time");
        // Lost with the disk, or never written: it is computed again, from what the run began with.
        std::fs::remove_file(resumed.join("reference.safetensors")).unwrap();
        train(&resumed);
        assert_eq!(losses(&resumed), losses(&straight), "{objective}");
        let bytes = |run: &Path| std::fs::read(run.join(output)).unwrap();
        assert!(bytes(&resumed) == bytes(&straight), "{objective}: {output}");
    }
}

#[test]
fn an_adapter_is_gone_on_with_and_is_its_own_reference() {
    let w = workspace();
    train(&w.tune("sft", "pre", &json!({"train": {"epochs": 40}})));
    let model = json!({"kind": "folder", "path": "../pre/model", "adapter": "../sft/adapter"});
    let run = prefer(&w, "after", "dpo", &json!({"model": model, "train": {"epochs": 2}}));
    train(&run);
    let first = losses(&run)[0];
    assert!((first - LN_2).abs() < 1e-5, "{first}");
    let rejected = {
        let log = events(&run);
        of_type(&log, "step")[0]["metrics"]["rewards/rejected"].as_f64().unwrap()
    };
    assert!(rejected.abs() < 1e-5, "the reference is the adapter, not the base: {rejected}");
    let other = prefer(&w, "other", "dpo", &json!({"model": model, "adapter": {"r": 8}}));
    let (code, error) = failure(&["train", other.to_str().unwrap()]);
    assert_eq!((code, error["code"].as_str().unwrap()), (1, "adapter_mismatch"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("r 4"), "{error}");
}

#[test]
fn rows_and_settings_that_do_not_fit_the_objective_are_named() {
    let w = workspace();
    let cases = [
        ("dpo", json!({"data": {"train": ["../pairs.parquet"], "valid": []}}), "no_pairs"),
        ("kto", json!({"data": {"train": ["../prefer.parquet"], "valid": []}}), "no_judgements"),
        ("dpo", json!({"preference": {"gamma": 1.0}}), "bad_setting"),
        ("dpo", json!({"preference": {"beta": 0.0}}), "bad_setting"),
        ("dpo", json!({"preference": {"label_smoothing": 0.5}}), "bad_setting"),
        ("sft", json!({"preference": {"beta": 0.1}}), "bad_setting"),
    ];
    for (i, (objective, patch, code)) in cases.into_iter().enumerate() {
        let run = prefer(&w, &format!("bad-{i}"), objective, &patch);
        let (exit, error) = failure(&["train", run.to_str().unwrap()]);
        assert_eq!((exit, error["code"].as_str().unwrap()), (1, code), "{error}");
    }
}

#[test]
fn a_policy_is_moved_by_the_rewards_of_its_own_answers() {
    let w = workspace();
    train(&w.tune("sft", "pre", &json!({"train": {"epochs": 13}})));
    let policy = json!({"group": 6, "max_new": 10, "rewards": [{"kind": "contains"}, {"kind": "regex", "pattern": "\\.$", "weight": 0.1}]});
    let patch = json!({"model": {"adapter": "../sft/adapter"}, "policy": policy,
        "data": {"train": ["../pairs.parquet"], "valid": ["../pairs.parquet"]},
        "train": {"epochs": 30, "batch_tokens": 600, "lr": 0.003, "schedule": "constant", "validate_every": 15}});
    for objective in ["grpo", "rloo"] {
        let run = prefer(&w, objective, objective, &patch);
        train(&run);
        let log = events(&run);
        let steps = of_type(&log, "step");
        let mean = |steps: &[&Value], name: &str| {
            steps.iter().map(|e| e["metrics"][name].as_f64().unwrap()).sum::<f64>() / steps.len() as f64
        };
        let (first, last) = (mean(&steps[..4], "reward"), mean(&steps[steps.len() - 4..], "reward"));
        assert!(first < 0.8 && last > first + 0.2, "{objective}: {first} -> {last}");
        assert!(mean(&steps, "completion_length") <= 10.0 && mean(&steps, "reward_std") > 0.0);
        let valid = of_type(&log, "validation");
        let last = valid[valid.len() - 1];
        let reward = last["metrics"]["reward"].as_f64().unwrap();
        assert!((last["loss"].as_f64().unwrap() + reward).abs() < 1e-9, "{last}");

        let half = prefer(&w, &format!("{objective}-half"), objective, &patch);
        let mut child = binary().args(["train", half.to_str().unwrap()]).spawn().unwrap();
        wait_until("a few steps", || losses_so_far(&half) > 4);
        child.kill().unwrap();
        child.wait().unwrap();
        train(&half);
        assert_eq!(losses(&half), losses(&run), "{objective}: the same answers are drawn again");
    }
    let code = |name: &str, patch: &Value| {
        let run = prefer(&w, name, "grpo", patch);
        failure(&["train", run.to_str().unwrap()]).1["code"].clone()
    };
    assert_eq!(code("none", &json!({})), "bad_setting");
}

#[test]
fn a_step_of_pairs_is_the_same_however_it_is_split() {
    let w = workspace();
    for objective in ["dpo", "reward"] {
        let steps = |name: &str, tokens: usize| {
            let train_config =
                json!({"epochs": 6, "batch_tokens": tokens, "grad_accumulation": 6, "clip_norm": 0.0});
            let run =
                prefer(&w, &format!("{objective}-{name}"), objective, &json!({ "train": train_config }));
            train(&run);
            let log = events(&run);
            let of = |e: &Value| (e["loss"].as_f64().unwrap(), e["grad_norm"].as_f64().unwrap());
            of_type(&log, "step").into_iter().map(of).collect::<Vec<_>>()
        };
        // All six pairs in one batch, and a batch for each.
        let (whole, split) = (steps("whole", 2000), steps("split", 50));
        assert_eq!((whole.len(), split.len()), (6, 6), "{objective}");
        // AdamW does not see how large a gradient is, so the losses alone would not tell.
        for ((loss, norm), (split_loss, split_norm)) in whole.iter().zip(&split) {
            assert!(
                (loss - split_loss).abs() < 1e-3 * loss.abs().max(0.1),
                "{objective}: {whole:?} {split:?}"
            );
            assert!((norm - split_norm).abs() < 0.02 * norm, "{objective}: {whole:?} {split:?}");
        }
    }
}

#[test]
fn conversations_are_preferred_and_judged_by_their_last_turn() {
    let w = workspace();
    // The pretrained model with a chat template of its own.
    let config = w.path().join("pre/model/tokenizer_config.json");
    let mut fields: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    fields["chat_template"] = json!("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}");
    std::fs::write(&config, fields.to_string()).unwrap();
    let talk = |i: usize, town: usize| {
        json!([{"role": "user", "content": format!("Where is the {}?", TREES[i])},
            {"role": "assistant", "content": format!("In {}.", TOWNS[town % 6])}])
        .to_string()
    };
    let ids = |n: usize| (0..n).map(|i| format!("talk-{i}")).collect::<Vec<_>>();
    parquet(
        &w.path().join("talks.parquet"),
        &[
            ("_row_id", ids(6)),
            ("chosen", (0..6).map(|i| talk(i, i)).collect()),
            ("rejected", (0..6).map(|i| talk(i, i + 1)).collect()),
        ],
    );
    judgements(
        &w.path().join("judged-talks.parquet"),
        &[("_row_id", ids(12)), ("messages", (0..12).map(|i| talk(i % 6, i % 6 + i / 6)).collect())],
        &(0..12).map(|i| i < 6).collect::<Vec<_>>(),
    );
    for (objective, file) in [("dpo", "../talks.parquet"), ("kto", "../judged-talks.parquet")] {
        let patch = json!({"template": {"kind": "chat"}, "data": {"train": [file], "valid": [file]}});
        let run = prefer(&w, &format!("talk-{objective}"), objective, &patch);
        train(&run);
        let log = events(&run);
        let valid = of_type(&log, "validation")[0];
        assert!(valid["metrics"]["rewards/margins"].as_f64().unwrap() > 0.5, "{objective}: {valid}");
        // The answers alone are counted: some tokens a row, not the whole conversation.
        assert!(valid["tokens"].as_u64().unwrap() < 10 * 12, "{objective}: {valid}");
    }
}
