//! Activations that are computed again instead of being kept.

use crate::common::*;
use serde_json::{json, Value};

#[test]
fn a_run_that_computes_activations_again_is_the_same_in_less_memory() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"max_steps": 4}}));
    train(&pre);
    let patch = |how: &str| json!({"adapter": {"dropout": 0.2}, "train": {"recompute": how, "max_steps": 6}});
    let runs = ["never", "always"].map(|how| w.tune(how, "pre", &patch(how)));
    let mut planned = Vec::new();
    for run in &runs {
        let out = engine(&["preflight", run.to_str().unwrap(), "--json"]);
        let found: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(found["recompute"], run.ends_with("always"));
        planned.push(found["planned_bytes"].as_u64().unwrap());
        train(run);
    }
    assert!(planned[1] < planned[0], "{planned:?}");
    let losses = |run: &std::path::Path| -> Vec<Value> {
        of_type(&events(run), "step").iter().map(|e| json!([e["loss"], e["grad_norm"], e["rows"]])).collect()
    };
    assert_eq!(losses(&runs[0]), losses(&runs[1]));
    let weights =
        runs.each_ref().map(|r| std::fs::read(r.join("adapter/adapter_model.safetensors")).unwrap());
    assert!(weights[0] == weights[1]);

    // The choice decides no result: a run may change it and go on.
    let half = w.tune(
        "half",
        "pre",
        &json!({"adapter": {"dropout": 0.2}, "train": {"recompute": "always", "max_steps": 6}}),
    );
    std::fs::write(half.join("stop"), "").unwrap();
    engine(&["train", half.to_str().unwrap()]);
    w.tune("half", "pre", &patch("never"));
    std::fs::remove_file(half.join("stop")).ok();
    train(&half);
    assert!(std::fs::read(half.join("adapter/adapter_model.safetensors")).unwrap() == weights[0]);
}
