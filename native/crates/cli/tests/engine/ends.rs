//! How runs come to their end: early, at their best, at another run's checkpoint, or with numbers that are none.

use crate::common::*;
use serde_json::{json, Value};
use std::path::Path;

fn loss(e: &Value) -> f64 {
    e["loss"].as_f64().unwrap()
}

/// Validation losses by step.
fn validations(run: &Path) -> Vec<(u64, f64)> {
    let log = events(run);
    of_type(&log, "validation").iter().map(|e| (e["step"].as_u64().unwrap(), loss(e))).collect()
}

fn weights(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("model.safetensors")).unwrap()
}

fn checkpoint_names(run: &Path) -> Vec<String> {
    let names = std::fs::read_dir(run.join("checkpoints")).unwrap();
    let mut names: Vec<String> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Texts that the training rows say nothing of: after a while, learning those by heart makes these worse.
fn strangers(w: &Workspace) {
    let ids = (0..6).map(|i| format!("stranger-{i}")).collect();
    let texts = (0..6).map(|i| format!("In {} grows the {}.", TOWNS[i], TREES[(i + 3) % 6])).collect();
    parquet(&w.path().join("strangers.parquet"), &[("_row_id", ids), ("text", texts)]);
}

#[test]
fn early_stopping_ends_a_run_that_overfits_and_gives_its_best_checkpoint() {
    let w = Workspace::new();
    strangers(&w);
    let patch = json!({"data": {"valid": ["../strangers.parquet"]}, "train": {"epochs": 400, "lr": 0.01,
        "schedule": "constant", "validate_every": 5, "checkpoint_every": 50,
        "early_stopping": {"patience": 4, "min_delta": 0.01}}});
    let run = w.pretrain("run", &patch);
    train(&run);
    let log = events(&run);
    let seen = validations(&run);
    let (best_step, best_loss) = seen.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let end = log.last().unwrap();
    assert_eq!((end["outcome"].as_str(), end["early"].as_bool()), (Some("completed"), Some(true)), "{end}");
    assert_eq!(
        (end["best"]["step"].as_u64(), end["best"]["loss"].as_f64()),
        (Some(best_step), Some(best_loss))
    );
    let last = seen.last().unwrap().0;
    assert!(last < log[0]["total_steps"].as_u64().unwrap() && end["step"] == last, "{end}");
    // By the words of the setting: the last four validations brought nothing, and there were no four such before.
    let mut mark = f64::INFINITY;
    let mut stale = 0;
    for (step, loss) in &seen {
        stale = if *loss < mark - 0.01 { 0 } else { stale + 1 };
        mark = if stale == 0 { *loss } else { mark };
        assert_eq!(stale == 4, *step == last, "at step {step}");
    }
    let best = format!("checkpoints/step-{best_step:06}");
    assert_ne!(best_step, last);
    assert_eq!(weights(&run.join("model")), weights(&run.join(&best)));
    assert_ne!(weights(&run.join("model")), weights(&run.join(format!("checkpoints/step-{last:06}"))));
    assert!(!run.join("model/trainer").exists());
    assert!(run.join("model/tokenizer.json").is_file() && run.join("model/config.json").is_file());
    assert!(train(&run).contains("complete already"));
}

#[test]
fn the_best_checkpoint_is_kept_beside_step_0_and_the_newest_three() {
    let w = Workspace::new();
    strangers(&w);
    let patch = json!({"data": {"valid": ["../strangers.parquet"]}, "train": {"epochs": 60, "lr": 0.01,
        "schedule": "constant", "validate_every": 5, "checkpoint_every": 5, "keep_best": true}});
    let run = w.pretrain("run", &patch);
    train(&run);
    let seen = validations(&run);
    let best = seen.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    let total = events(&run)[0]["total_steps"].as_u64().unwrap();
    assert!(best + 20 < total, "step {best} of {total} is among the newest anyhow");
    let names = checkpoint_names(&run);
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(names[1], format!("step-{best:06}"));
    let log = events(&run);
    let end = log.last().unwrap();
    assert_eq!((&end["best"]["step"], &end["step"]), (&json!(best), &json!(total)));
    assert!(end.get("early").is_none(), "{end}");
    assert_eq!(weights(&run.join("model")), weights(&run.join("checkpoints").join(&names[1])));

    // Without it, the result is the last checkpoint, and nothing is said of a best one.
    let plain = w.pretrain("plain", &{
        let mut plain = patch.clone();
        merge(&mut plain, &json!({"train": {"keep_best": false}}));
        plain
    });
    train(&plain);
    assert!(events(&plain).last().unwrap().get("best").is_none());
    let last = format!("checkpoints/step-{total:06}");
    assert_eq!(weights(&plain.join("model")), weights(&plain.join(&last)));
    assert_eq!(checkpoint_names(&plain).len(), 4);
}

#[test]
fn when_it_is_validated_may_change_only_where_it_decides_nothing() {
    let w = Workspace::new();
    let again = |name: &str, keep_best: bool| {
        let patch = |every: u64| {
            let train = json!({"max_steps": 8, "validate_every": every, "keep_best": keep_best});
            json!({"train": train, "data": {"valid": ["../docs.parquet"]}})
        };
        let run = w.pretrain(name, &patch(2));
        train(&run);
        std::fs::remove_dir_all(run.join("model")).unwrap();
        w.pretrain(name, &patch(3));
        engine(&["train", run.to_str().unwrap(), "--json"])
    };
    assert!(again("plain", false).status.success());
    let refused = String::from_utf8(again("best", true).stderr).unwrap();
    assert!(refused.contains("run_changed"), "{refused}");
}

#[test]
fn an_adapter_is_taken_from_the_best_checkpoint_too() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({})));
    // The validation rows are the training rows: the last is the best.
    let patch = json!({"data": {"valid": ["../pairs.parquet"]}, "train": {"epochs": 10, "validate_every": 2, "keep_best": true}});
    let run = w.tune("run", "pre", &patch);
    train(&run);
    let log = events(&run);
    let end = log.last().unwrap();
    let best = end["best"]["step"].as_u64().unwrap();
    let adapter = |dir: &str| std::fs::read(run.join(dir).join("adapter_model.safetensors")).unwrap();
    assert_eq!(adapter("adapter"), adapter(&format!("checkpoints/step-{best:06}")));
    assert!(run.join("adapter/adapter_config.json").is_file());
}

#[test]
fn a_run_cannot_look_for_its_best_without_validation() {
    let w = Workspace::new();
    let refuse = |patch: Value, code: &str, word: &str| {
        let run = w.pretrain("run", &patch);
        let error = failure(&["train", run.to_str().unwrap()]).1;
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
        assert_eq!(failure(&["preflight", run.to_str().unwrap()]).1["code"], code);
    };
    let valid = json!({"valid": ["../docs.parquet"]});
    refuse(json!({"train": {"keep_best": true, "validate_every": 5}}), "bad_setting", "keep_best");
    refuse(json!({"train": {"keep_best": true}, "data": valid}), "bad_setting", "validate_every");
    let early = json!({"validate_every": 5, "early_stopping": {"patience": 0}});
    refuse(json!({"train": early, "data": valid}), "bad_setting", "patience");
    let early = json!({"validate_every": 5, "early_stopping": {"patience": 2, "min_delta": -1.0}});
    refuse(json!({"train": early, "data": valid}), "bad_setting", "min_delta");
    // Rows are there, but none has a token to predict.
    parquet(&w.path().join("empty.parquet"), &[("_row_id", vec!["e".into()]), ("text", vec![String::new()])]);
    let train = json!({"validate_every": 5, "keep_best": true});
    refuse(
        json!({"train": train, "data": {"valid": ["../empty.parquet"]}}),
        "no_validation",
        "validation row",
    );
}

#[test]
fn settings_of_schedule_and_optimiser_are_checked() {
    let w = Workspace::new();
    let refuse = |train: Value, word: &str| {
        let run = w.pretrain("run", &json!({ "train": train }));
        let error = failure(&["train", run.to_str().unwrap()]).1;
        assert_eq!(error["code"], "bad_setting", "{error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    };
    refuse(json!({"min_lr": 1.5}), "min_lr");
    refuse(json!({"min_lr": 0.1, "schedule": "constant"}), "constant");
    refuse(json!({"schedule": "wsd", "decay_share": -0.1}), "decay_share");
    train(&w.pretrain("pre", &json!({"train": {"max_steps": 1}})));
    let tune = w.tune("tune", "pre", &json!({"train": {"optimizer": "muon"}}));
    let error = failure(&["train", tune.to_str().unwrap()]).1;
    assert_eq!(error["code"], "bad_setting");
    assert!(error["message"].as_str().unwrap().contains("full training"), "{error}");
}

/// With this rate, the first step makes weights of 1e36, and the second has no loss: the checkpoint between is whole but no good.
#[test]
fn a_diverging_run_names_the_checkpoint_before_its_broken_weights() {
    let w = Workspace::new();
    let patch = json!({"train": {"lr": 1e36, "clip_norm": 0.0, "warmup_steps": 0, "epochs": 10, "checkpoint_every": 1}});
    let run = w.pretrain("run", &patch);
    let error = failure(&["train", run.to_str().unwrap()]).1;
    assert_eq!(error["code"], "nan_loss", "{error}");
    let log = events(&run);
    let failed = log.last().unwrap();
    assert_eq!(failed["checkpoint"], "checkpoints/step-000000", "{failed}");
    assert!(failed["step"].as_u64().unwrap() >= 1, "{failed}");
    let remedy = failed["error"]["remedy"].as_str().unwrap();
    assert!(remedy.contains("checkpoints/step-000000") && remedy.contains("fork"), "{remedy}");
    assert_eq!(error["remedy"], remedy, "on the command line as in the events");
}

#[test]
fn weights_that_are_no_numbers_are_never_saved() {
    let w = Workspace::new();
    // Weight decay without bound: 1 - lr x decay overflows f32 in the first step, whatever the gradient.
    let patch =
        json!({"train": {"lr": 1e20, "weight_decay": 1e20, "warmup_steps": 0, "checkpoint_every": 1}});
    let run = w.pretrain("run", &patch);
    let error = failure(&["train", run.to_str().unwrap()]).1;
    assert_eq!(error["code"], "nan_loss", "{error}");
    assert!(error["message"].as_str().unwrap().starts_with("A weight after step 1 "), "{error}");
    assert_eq!(checkpoint_names(&run), ["step-000000"]);
    assert_eq!(events(&run).last().unwrap()["checkpoint"], "checkpoints/step-000000");
}
