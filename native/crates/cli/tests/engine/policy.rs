//! Policies that learn from rewards of their own answers, through the binary.

use crate::common::*;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A workspace with a pretrained model `pre` and an adapter `sft` that answers some of the questions.
pub fn workspace() -> Workspace {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}})));
    train(&w.tune("sft", "pre", &json!({"train": {"epochs": 13}})));
    w
}

/// A run that goes on with `sft`.
pub fn run(w: &Workspace, name: &str, objective: &str, patch: &Value) -> PathBuf {
    let mut all = json!({"objective": objective, "model": {"adapter": "../sft/adapter"},
        "policy": {"group": 6, "max_new": 10, "rewards": [{"kind": "contains"}]},
        "data": {"train": ["../pairs.parquet"]},
        "train": {"epochs": 12, "batch_tokens": 600, "lr": 0.003, "schedule": "constant"}});
    merge(&mut all, patch);
    w.tune(name, "pre", &all)
}

pub fn rollouts(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("rollouts.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn steps_so_far(run: &Path) -> usize {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    text.lines().filter(|l| l.contains("\"type\":\"step\"")).count()
}

/// Everything that a step says but times and memory.
pub fn steps(run: &Path) -> Vec<Value> {
    let log = events(run);
    let mut steps: Vec<Value> = of_type(&log, "step").into_iter().cloned().collect();
    for step in &mut steps {
        for key in ["tokens_per_second", "memory_bytes", "seconds"] {
            step.as_object_mut().unwrap().remove(key);
        }
    }
    steps
}

pub fn metric(step: &Value, name: &str) -> f64 {
    step["metrics"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {step}"))
}

/// Kills the run behind a checkpoint, lets it end, and holds it against the straight one.
fn assert_resumed(straight: &Path, killed: &Path) {
    for after in [3, 7] {
        let mut child = binary().args(["train", killed.to_str().unwrap()]).spawn().unwrap();
        wait_until("a few steps", || steps_so_far(killed) > after);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    train(killed);
    assert_eq!(steps(straight), steps(killed));
    let bytes = |run: &Path, file: &str| std::fs::read(run.join(file)).unwrap();
    for file in ["adapter/adapter_model.safetensors", "rollouts.jsonl"] {
        assert!(bytes(straight, file) == bytes(killed, file), "{file} differs");
    }
    assert_clean(killed);
}

#[test]
fn every_drawn_answer_is_kept_and_a_killed_run_keeps_the_same() {
    let w = workspace();
    let patch = json!({"policy": {"rewards": [{"kind": "contains"}, {"kind": "regex", "pattern": "\\.$", "weight": 0.1}]}});
    let straight = run(&w, "straight", "grpo", &patch);
    train(&straight);
    let (log, all) = (steps(&straight), rollouts(&straight));
    let rows: usize = log.iter().map(|s| s["rows"].as_array().unwrap().len()).sum();
    assert_eq!(all.len(), 6 * rows);
    for step in &log {
        let own: Vec<&Value> = all.iter().filter(|r| r["step"] == step["step"]).collect();
        let mut groups: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        own.iter().for_each(|r| groups.entry(r["row_id"].as_str().unwrap()).or_default().push(r));
        assert_eq!(groups.len(), step["rows"].as_array().unwrap().len());
        let mean = own.iter().map(|r| r["reward"].as_f64().unwrap()).sum::<f64>() / own.len() as f64;
        assert!((mean - metric(step, "reward")).abs() < 1e-9, "{step}");
        for answers in groups.values() {
            let places: Vec<u64> = answers.iter().map(|r| r["place"].as_u64().unwrap()).collect();
            assert_eq!(places, [0, 1, 2, 3, 4, 5]);
            for r in answers {
                let shares = r["rewards"].as_object().unwrap().values().map(|x| x.as_f64().unwrap());
                assert_eq!(shares.sum::<f64>(), r["reward"].as_f64().unwrap(), "{r}");
                let town: usize = r["row_id"].as_str().unwrap()[5..].parse().unwrap();
                let hit = r["text"].as_str().unwrap().contains(TOWNS[town]);
                // The wanted answer is "In TOWN.", so a town alone is not enough.
                assert!(hit || r["rewards"]["contains"] == 0.0, "{r}");
            }
            let advantages: f64 = answers.iter().map(|r| r["advantage"].as_f64().unwrap()).sum();
            assert!(advantages.abs() < 1e-6);
        }
    }
    assert!(all.iter().any(|r| r["rewards"]["contains"] == 1.0) && all.iter().any(|r| r["ended"] == false));
    assert_resumed(&straight, &run(&w, "killed", "grpo", &patch));
}

#[test]
fn several_updates_a_round_clip_the_ratio_and_one_is_as_before() {
    let w = workspace();
    let plain = run(&w, "plain", "grpo", &json!({}));
    train(&plain);
    let said = run(&w, "said", "grpo", &json!({"policy": {"epochs": 1, "minibatches": 1}}));
    train(&said);
    assert_eq!(steps(&plain), steps(&said));
    let several = json!({"policy": {"epochs": 2, "minibatches": 3, "epsilon": 0.1, "beta": 0.05},
        "train": {"grad_accumulation": 2, "batch_tokens": 200}});
    let straight = run(&w, "straight", "grpo", &several);
    train(&straight);
    let log = steps(&straight);
    assert!(
        log.iter().any(|s| metric(s, "policy_kl") > 0.0) && log.iter().any(|s| metric(s, "clip_share") > 0.0)
    );
    // The reference is the adapter that the run began with, from which the first update has not moved.
    assert!(
        metric(&log[0], "kl") < metric(&log[log.len() - 1], "kl"),
        "{:?} {:?}",
        log[0],
        log[log.len() - 1]
    );
    assert_resumed(&straight, &run(&w, "killed", "grpo", &several));
}

#[test]
fn ppo_moves_a_policy_and_its_values_towards_the_rewards() {
    let w = workspace();
    let patch = json!({"policy": {"epochs": 2, "minibatches": 2, "ppo": {"kl": 0.02, "value_weight": 0.5, "keep_value_head": true}},
        "data": {"valid": ["../pairs.parquet"]},
        "train": {"epochs": 30, "validate_every": 10}});
    let straight = run(&w, "straight", "ppo", &patch);
    train(&straight);
    let log = steps(&straight);
    let mean =
        |part: &[Value], name: &str| part.iter().map(|s| metric(s, name)).sum::<f64>() / part.len() as f64;
    let (first, last) = (&log[..4], &log[log.len() - 4..]);
    assert!(mean(first, "reward") < 0.8, "{first:?}");
    assert!(mean(last, "reward") > mean(first, "reward") + 0.2, "{first:?} {last:?}");
    assert!(mean(last, "value_loss") < 0.7 * mean(first, "value_loss"), "{first:?} {last:?}");
    assert!(log.iter().all(|s| metric(s, "explained_variance") <= 1.0));
    assert!(metric(&log[0], "kl").abs() < 1e-6, "the first answers are the reference's own: {}", log[0]);
    assert!(metric(&log[5], "kl").abs() > 1e-6 && metric(&log[5], "policy_kl") > 0.0);
    // The adapter is one for texts; the head lies beside it, because that was asked for.
    let config: Value =
        serde_json::from_slice(&std::fs::read(straight.join("adapter/adapter_config.json")).unwrap())
            .unwrap();
    assert_eq!(config["task_type"], "CAUSAL_LM");
    assert!(straight.join("adapter/value_head.safetensors").exists());
    let killed = run(&w, "killed", "ppo", &patch);
    assert_resumed(&straight, &killed);
    let head = |run: &Path| std::fs::read(run.join("adapter/value_head.safetensors")).unwrap();
    assert!(head(&straight) == head(&killed), "the head is resumed too");
}

#[test]
fn a_policy_is_fined_for_leaving_its_reference() {
    let w = workspace();
    let distance = |name: &str, kl: f64| {
        let patch = json!({"policy": {"ppo": {"kl": kl}}, "train": {"epochs": 15}});
        let run = run(&w, name, "ppo", &patch);
        train(&run);
        let log = steps(&run);
        assert!(!run.join("adapter/value_head.safetensors").exists());
        log[log.len() - 3..].iter().map(|s| metric(s, "kl")).sum::<f64>()
    };
    let (free, held) = (distance("free", 1e-6), distance("held", 2.0));
    assert!(held < 0.5 * free, "{held} with a fine, {free} without");
}

#[test]
fn a_reward_model_and_a_program_reward_as_they_should() {
    let w = workspace();
    let pairs = |i: usize| {
        (
            format!("Where is the {}?", TREES[i]),
            format!(" In {}.", TOWNS[i]),
            format!(" In {}.", TOWNS[(i + 1) % 6]),
        )
    };
    let ids: Vec<String> = (0..6).map(|i| format!("pref-{i}")).collect();
    parquet(
        &w.path().join("prefer.parquet"),
        &[
            ("_row_id", ids),
            ("prompt", (0..6).map(|i| pairs(i).0).collect()),
            ("chosen", (0..6).map(|i| pairs(i).1).collect()),
            ("rejected", (0..6).map(|i| pairs(i).2).collect()),
        ],
    );
    let prefer = json!({"objective": "reward", "data": {"train": ["../prefer.parquet"]},
        "train": {"epochs": 40, "batch_tokens": 128}});
    train(&w.tune("judge", "pre", &prefer));
    let judge = json!({"kind": "reward_model", "base": "../pre/model", "adapter": "../judge/adapter", "squash": "sigmoid"});
    let patch = json!({"policy": {"rewards": [judge, {"kind": "length", "target": 6, "weight": 0.2}]}, "train": {"epochs": 20}});
    let judged = run(&w, "judged", "grpo", &patch);
    train(&judged);
    let all = rollouts(&judged);
    let score = |r: &Value| r["rewards"]["reward_model"].as_f64().unwrap();
    assert!(all.iter().all(|r| (0.0..=1.0).contains(&score(r))));
    let mean = |part: &[Value]| part.iter().map(score).sum::<f64>() / part.len() as f64;
    let n = all.len();
    assert!(
        mean(&all[n - n / 5..]) > mean(&all[..n / 5]) + 0.05,
        "{} {}",
        mean(&all[..n / 5]),
        mean(&all[n - n / 5..])
    );
    // Its judgement does not depend on what else is in the batch.
    let again = run(&w, "again", "grpo", &{
        let mut other = patch.clone();
        merge(&mut other, &json!({"train": {"max_steps": 1}, "policy": {"rewards": [judge]}}));
        other
    });
    train(&again);
    for (a, b) in rollouts(&again).iter().zip(&all) {
        assert_eq!((&a["text"], score(a)), (&b["text"], score(b)));
    }
    let bad = json!({"policy": {"rewards": [{"kind": "reward_model", "base": "../pre/model", "adapter": "../sft/adapter"}]}});
    let error = failure(&["train", run(&w, "bad", "grpo", &bad).to_str().unwrap()]).1;
    assert_eq!(error["code"], "no_reward_model");
}

#[cfg(unix)]
#[test]
fn a_program_rewards_and_its_failures_end_the_run() {
    use std::os::unix::fs::PermissionsExt;
    let w = workspace();
    let script = |name: &str, text: &str| {
        let path = w.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    // Worth 1 where the answer names Graz; it notes each start, so that a second process would show.
    script("grade.sh", "#!/bin/sh\necho started >> starts\nwhile read -r line; do case \"$line\" in *'\"answer\":'*Graz*'\"reference\"'*) echo '{\"reward\": 1}';; *) echo 0;; esac; done\n");
    let reward =
        |program: &str| json!([{"kind": "command", "command": [program], "cwd": "..", "timeout": 20}]);
    let patch = json!({"policy": {"rewards": reward("./grade.sh")}});
    let straight = run(&w, "straight", "grpo", &patch);
    train(&straight);
    assert_eq!(
        std::fs::read_to_string(w.path().join("starts")).unwrap(),
        "started\n",
        "one process for the run"
    );
    let all = rollouts(&straight);
    for r in &all {
        assert_eq!(r["reward"] == 1.0, r["text"].as_str().unwrap().contains("Graz"), "{r}");
    }
    let share = |part: &[Value]| part.iter().filter(|r| r["reward"] == 1.0).count();
    assert!(share(&all[all.len() / 2..]) > share(&all[..all.len() / 2]));
    assert_resumed(&straight, &run(&w, "killed", "grpo", &patch));

    script("dies.sh", "#!/bin/sh\nread -r line; echo 1; echo no more >&2; exit 7\n");
    script("rubbish.sh", "#!/bin/sh\nwhile read -r line; do echo good; done\n");
    for (name, program, said) in [
        ("dies", "./dies.sh", "no more"),
        ("rubbish", "./rubbish.sh", "good"),
        ("none", "./none.sh", "cannot be started"),
    ] {
        let run = run(&w, name, "grpo", &json!({"policy": {"rewards": reward(program)}}));
        let (exit, error) = failure(&["train", run.to_str().unwrap()]);
        assert_eq!((exit, error["code"].as_str().unwrap()), (1, "reward_command"));
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        assert_eq!(events(&run).last().unwrap()["type"], "failed");
    }
}

#[test]
fn a_preflight_draws_answers_once() {
    let w = workspace();
    // A program that counts the questions tells how often answers were drawn.
    if !cfg!(unix) {
        return;
    }
    let count = ["sh", "-c", "while read -r line; do echo x >> asked; echo 1; done"];
    let patch = json!({"policy": {"rewards": [{"kind": "command", "command": count, "cwd": ".."}]}});
    let dir = run(&w, "run", "grpo", &patch);
    let out = engine(&["preflight", dir.to_str().unwrap(), "--json"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let asked = std::fs::read_to_string(w.path().join("asked")).unwrap().lines().count();
    // A batch of 600 tokens holds at most four prompts with six answers each.
    assert!(asked.is_multiple_of(6) && asked <= 24, "{asked} answers");
    let found: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(found["seconds_per_step"].as_f64().unwrap() > 0.0, "{found}");
}

#[test]
fn what_a_policy_cannot_be_is_refused() {
    let w = workspace();
    for (i, (objective, patch)) in [
        ("grpo", json!({"policy": {"group": 1}})),
        ("grpo", json!({"policy": {"epochs": 0}})),
        ("grpo", json!({"policy": {"minibatches": 0}})),
        ("grpo", json!({"policy": {"epsilon": 0.1}})),
        ("grpo", json!({"policy": {"epochs": 2, "epsilon": 1.5}})),
        ("grpo", json!({"policy": {"ppo": {}}})),
        ("grpo", json!({"policy": {"rewards": [{"kind": "json_schema", "schema": {"type": "nothing"}}]}})),
        ("ppo", json!({"policy": {"beta": 0.1}})),
        ("ppo", json!({"policy": {"average": "completions"}})),
        ("rloo", json!({"policy": {"average": "completions"}})),
        ("ppo", json!({"weight": "weight"})),
        ("ppo", json!({"policy": {"ppo": {"gamma": 1.5}}})),
        ("ppo", json!({"policy": {"ppo": {"value_clip": 0.0}}})),
        ("ppo", json!({"policy": {"ppo": {"kl": -1.0}}})),
        ("ppo", json!({"model": {"adapter": null}, "adapter": null})),
        ("sft", json!({})),
    ]
    .into_iter()
    .enumerate()
    {
        let run = run(&w, &format!("bad-{i}"), objective, &patch);
        let (exit, error) = failure(&["train", run.to_str().unwrap()]);
        assert_eq!(
            (exit, error["code"].as_str().unwrap()),
            (1, "bad_setting"),
            "{objective} {patch}: {error}"
        );
    }
}
