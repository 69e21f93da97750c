//! What a round of a policy is: its draws, its batches, its reference.

use crate::common::*;
use crate::policy::{metric, rollouts, run, steps, workspace};
use serde_json::{json, Value};
use std::path::Path;

#[test]
fn a_step_in_several_batches_is_the_step_in_one() {
    let w = workspace();
    for objective in ["grpo", "rloo", "ppo"] {
        let of = |name: &str, train: Value| {
            let mut patch =
                json!({"policy": {"temperature": 0.7}, "train": {"max_steps": 3, "weight_decay": 0.0}});
            merge(&mut patch, &json!({"train": train}));
            let run = run(&w, &format!("{objective}-{name}"), objective, &patch);
            train_and_read(&run)
        };
        let (one, several) = (
            of("one", json!({"batch_tokens": 4096})),
            of("several", json!({"batch_tokens": 200, "grad_accumulation": 50})),
        );
        assert_eq!(one.len(), 3);
        for (a, b) in one.iter().zip(&several) {
            let rows = |step: &Value| step["rows"].as_array().unwrap().len();
            assert_eq!((rows(a), rows(b)), (6, 6), "all rows in each step");
            for name in ["loss", "grad_norm"] {
                let (x, y) = (a[name].as_f64().unwrap(), b[name].as_f64().unwrap());
                assert!((x - y).abs() <= 1e-4 + 2e-3 * x.abs(), "{objective}: {name} {x} and {y} of {a} {b}");
            }
        }
    }
}

fn train_and_read(run: &Path) -> Vec<Value> {
    train(run);
    steps(run)
}

#[test]
fn answers_are_drawn_anew_and_judged_as_the_objective_says() {
    let w = workspace();
    // The policy all but stands still.
    let still = json!({"policy": {"temperature": 1.2, "rewards": [{"kind": "length", "target": 4}]},
        "train": {"lr": 1e-12, "max_steps": 4, "batch_tokens": 4096}});
    for objective in ["grpo", "rloo"] {
        let run = run(&w, objective, objective, &still);
        train(&run);
        let all = rollouts(&run);
        let number = |r: &Value, name: &str| r[name].as_f64().unwrap();
        for group in all.chunks(6) {
            assert!(group.iter().all(|r| r["row_id"] == group[0]["row_id"]));
            let rewards: Vec<f64> = group.iter().map(|r| number(r, "reward")).collect();
            let mean = rewards.iter().sum::<f64>() / 6.0;
            let deviation = (rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 5.0).sqrt();
            for r in group {
                let from_mean = number(r, "reward") - mean;
                // Against the mean of the other five, or in units of the deviation.
                let wanted =
                    if objective == "rloo" { from_mean * 6.0 / 5.0 } else { from_mean / (deviation + 1e-4) };
                assert!((number(r, "advantage") - wanted).abs() < 1e-6, "{objective} {r}: {wanted}");
            }
        }
        let texts = |step: u64| -> Vec<String> {
            let mut of: Vec<&Value> = all.iter().filter(|r| r["step"] == step).collect();
            of.sort_by_key(|r| (r["row_id"].to_string(), r["place"].as_u64()));
            of.iter().map(|r| r["text"].to_string()).collect()
        };
        assert_eq!(texts(1).len(), 36);
        assert_ne!(texts(1), texts(2), "another step, other answers");
    }
}

#[test]
fn without_an_adapter_to_go_on_with_the_reference_is_the_base() {
    let w = workspace();
    let patch = json!({"model": {"adapter": null}, "policy": {"beta": 0.05, "rewards": [{"kind": "length", "target": 3}]},
        "train": {"max_steps": 5, "lr": 0.01}});
    let run = run(&w, "fresh", "grpo", &patch);
    let log = train_and_read(&run);
    assert!(metric(&log[0], "kl").abs() < 1e-9, "it begins as the base: {}", log[0]);
    assert!(metric(&log[4], "kl") > 1e-6, "and moves away from it: {}", log[4]);
}

#[test]
fn a_policy_that_is_trained_in_full_begins_at_no_distance_from_its_reference() {
    let w = workspace();
    for dtype in ["f32", "bf16"] {
        let patch = json!({"model": {"adapter": null}, "adapter": null, "dtype": dtype,
            "policy": {"beta": 0.05, "rewards": [{"kind": "length", "target": 3}]},
            "train": {"max_steps": 3, "lr": 0.001}});
        let log = train_and_read(&run(&w, dtype, "grpo", &patch));
        assert!(metric(&log[0], "kl").abs() < 1e-12, "{dtype}: it begins as the reference: {}", log[0]);
        assert!(metric(&log[2], "kl") > 1e-9, "{dtype}: and moves away from it: {}", log[2]);
    }
}
