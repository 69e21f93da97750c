//! Pretraining, tuning and asking, through the binary alone.

use crate::common::*;
use serde_json::{json, Value};

#[test]
fn a_tuned_model_answers_what_a_random_one_cannot() {
    let w = Workspace::new();
    let pre = w.pretrain(
        "pre",
        &json!({"train": {"epochs": 60, "lr": 0.01}, "data": {"valid": ["../docs.parquet"]}}),
    );
    train(&pre);
    let log = events(&pre);
    let steps = of_type(&log, "step");
    let loss = |e: &Value| e["loss"].as_f64().unwrap();
    assert!(
        loss(steps[0]) > 5.0 && loss(steps[steps.len() - 1]) < 1.0,
        "{} -> {}",
        steps[0],
        steps[steps.len() - 1]
    );
    assert_eq!(steps[0]["lr"], 0.0, "a warm-up begins at 0");
    // Cosine: what is left of the half wave at the last step.
    let share = (steps.len() - 4) as f64 / (steps.len() - 3) as f64;
    let end = 0.01 * 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
    assert!((steps[steps.len() - 1]["lr"].as_f64().unwrap() - end).abs() < 1e-12, "{end}");
    assert_eq!(of_type(&log, "validation").len(), 1);
    assert_eq!(log.last().unwrap()["outcome"], "completed");
    assert_eq!(log.last().unwrap()["output"], "model");

    let watch = json!({"watch": [{"id": "w", "prompt": "Where is the elm?"}], "watch_max_new": 12});
    let mut patch = json!({"train": {"epochs": 80, "watch_every": 50}});
    patch.as_object_mut().unwrap().extend(watch.as_object().unwrap().clone());
    let tune = w.tune("tune", "pre", &patch);
    train(&tune);
    let log = events(&tune);
    let samples = of_type(&log, "sample");
    assert_eq!(samples[0]["step"], 0);
    assert_eq!(samples.last().unwrap()["text"], " In Graz.");

    let prompts = w.path().join("prompts.jsonl");
    let lines: String = TREES
        .iter()
        .map(|t| format!("{}\n", json!({"id": t, "prompt": format!("Where is the {t}?")})))
        .collect();
    std::fs::write(&prompts, lines).unwrap();
    let ask = |args: &[&str]| -> Value {
        let common = [
            "generate",
            "--prompts",
            prompts.to_str().unwrap(),
            "--template",
            "format:Q: {prompt}\\nA:",
            "--json",
        ];
        let out = engine(&[&common, args].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let (model, adapter) = (pre.join("model"), tune.join("adapter"));
    let random = pre.join("checkpoints/step-000000");
    let right = |answer: &Value| {
        let all = answer["generations"].as_array().unwrap().iter().zip(TOWNS);
        all.filter(|(g, town)| g["text"].as_str().unwrap() == format!(" In {town}.")).count()
    };
    let tuned = ask(&["--model", model.to_str().unwrap(), "--adapter", adapter.to_str().unwrap()]);
    assert_eq!(right(&tuned), 6, "{tuned}");
    assert_eq!(right(&ask(&["--model", random.to_str().unwrap(), "--max-new", "12"])), 0);
    assert_eq!(right(&ask(&["--model", model.to_str().unwrap(), "--max-new", "12"])), 0);
    let first = &tuned["generations"][0];
    assert_eq!(first["ended"], true);
    assert_eq!(first["logprobs"].as_array().unwrap().len() as u64, first["tokens"].as_u64().unwrap());
    assert_eq!(tuned["adapter_hash"].as_str().unwrap().len(), 16);
}

/// Mean loss of a run's last ten steps.
fn ending(run: &std::path::Path) -> f64 {
    let log = events(run);
    let steps = of_type(&log, "step");
    steps[steps.len() - 10..].iter().map(|e| e["loss"].as_f64().unwrap()).sum::<f64>() / 10.0
}

#[test]
fn every_optimiser_learns_as_much_as_adamw() {
    let w = Workspace::new();
    let loss = |optimizer: &str, lr: f64| {
        let patch = json!({"train": {"epochs": 25, "lr": lr, "optimizer": optimizer, "schedule": "wsd",
            "decay_share": 0.3, "checkpoint_every": 0}});
        let run = w.pretrain(&format!("{optimizer}-{lr}"), &patch);
        train(&run);
        ending(&run)
    };
    let adamw = loss("adamw", 0.01);
    assert!(adamw < 2.0, "{adamw}");
    let eight = loss("adamw_8bit", 0.01);
    assert!((eight - adamw).abs() < 0.1 * adamw, "{eight} against {adamw}");
    let muon = loss("muon", 0.01);
    assert!(muon < 1.1 * adamw, "{muon} against {adamw}");
}

#[test]
fn the_plan_of_8_bit_states_is_smaller_by_what_they_save() {
    let w = Workspace::new();
    let plan = |optimizer: &str| -> u64 {
        let run = w.pretrain(optimizer, &json!({"train": {"optimizer": optimizer}}));
        let out = engine(&["preflight", run.to_str().unwrap(), "--json"]).stdout;
        let plan: Value = serde_json::from_slice(&out).unwrap();
        plan["planned_bytes"].as_u64().unwrap()
    };
    // Only the embedding, 320 x 32, has the 4,096 numbers that it takes: 8 bytes each become 2, and 8 for each block of 256.
    assert_eq!(plan("adamw") - plan("adamw_8bit"), 320 * 32 * 6 - 320 * 32 / 256 * 8);
    // The layers' matrices have one state instead of two; the largest, 64 x 32, needs room to be turned.
    let matrices = 2 * (32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 64);
    assert_eq!(plan("adamw") - plan("muon"), 4 * matrices - 4 * (2 * 64 * 32 + 2 * 32 * 32));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_another() {
    let w = Workspace::new();
    let losses = |name: &str, seed: u64| {
        let run = w.pretrain(name, &json!({"train": {"seed": seed}}));
        train(&run);
        of_type(&events(&run), "step").iter().map(|e| e["loss"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(losses("a", 5), losses("b", 5));
    assert_ne!(losses("a2", 5), losses("c", 6));
    let weights = |name: &str| std::fs::read(w.path().join(name).join("model/model.safetensors")).unwrap();
    assert_eq!(weights("a"), weights("b"));
    let tokenizer = |name: &str| std::fs::read(w.path().join(name).join("model/tokenizer.json")).unwrap();
    assert_eq!(tokenizer("a"), tokenizer("b"));
}

#[test]
fn splitting_a_batch_by_accumulation_changes_nothing_but_rounding() {
    let w = Workspace::new();
    let run = |name: &str, batch_tokens: usize, accumulation: usize| {
        // One epoch in one step: the same rows in both, however they are packed.
        let patch = json!({"train": {"epochs": 1, "batch_tokens": batch_tokens, "grad_accumulation": accumulation,
            "warmup_steps": 0, "checkpoint_every": 0}});
        let dir = w.pretrain(name, &patch);
        train(&dir);
        of_type(&events(&dir), "step")
            .iter()
            .map(|e| (e["loss"].as_f64().unwrap(), e["grad_norm"].as_f64().unwrap()))
            .collect::<Vec<_>>()
    };
    let whole = run("whole", 100_000, 1);
    assert_eq!(whole.len(), 1);
    // From some rows a batch to one.
    for (i, batch_tokens) in [400, 200, 90, 40].into_iter().enumerate() {
        let split = run(&format!("split-{i}"), batch_tokens, 100);
        assert_eq!(split.len(), 1);
        assert!((whole[0].0 - split[0].0).abs() < 1e-5, "{whole:?} {split:?}");
        assert!((whole[0].1 / split[0].1 - 1.0).abs() < 1e-4, "{whole:?} {split:?}");
    }
}

#[test]
fn validation_is_the_mean_over_tokens_however_rows_are_packed() {
    let w = Workspace::new();
    let patch = json!({"train": {"epochs": 1, "batch_tokens": 90, "grad_accumulation": 100},
        "data": {"valid": ["../docs.parquet"]}});
    let run = w.pretrain("run", &patch);
    train(&run);
    let log = events(&run);
    // The one step sees every row, and moves nothing: a warm-up begins at 0.
    let (steps, validations) = (of_type(&log, "step"), of_type(&log, "validation"));
    assert_eq!((steps.len(), validations.len(), &steps[0]["lr"]), (1, 1, &json!(0.0)));
    assert_eq!(validations[0]["tokens"], steps[0]["tokens"]);
    let loss = |e: &Value| e["loss"].as_f64().unwrap();
    assert!((loss(validations[0]) - loss(steps[0])).abs() < 1e-6, "{} {}", validations[0], steps[0]);
}

#[test]
fn cut_and_masked_rows_are_said_and_masked_ones_left_out() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"max_steps": 1}})));
    let long = format!("Where {}?", "is the elm ".repeat(80));
    let pairs = |prompts: Vec<String>| {
        let ids = (0..prompts.len()).map(|i| format!("pair-{i}")).collect();
        let completions = vec![" In Graz.".to_owned(); prompts.len()];
        parquet(
            &w.path().join("pairs.parquet"),
            &[("_row_id", ids), ("prompt", prompts), ("completion", completions)],
        );
    };
    pairs(vec!["Where is the elm?".into(), long.clone()]);
    let run = w.tune("run", "pre", &json!({"train": {"epochs": 1}}));
    train(&run);
    let log = events(&run);
    let codes: Vec<&Value> = of_type(&log, "warning").iter().map(|e| &e["code"]).collect();
    assert_eq!(codes, ["rows_cut", "rows_masked"]);
    assert!(of_type(&log, "step").iter().all(|e| e["rows"] == json!(["pair-0"])));

    pairs(vec![long]);
    let run = w.tune("nothing", "pre", &json!({}));
    let (exit, error) = failure(&["train", run.to_str().unwrap()]);
    assert_eq!((exit, error["code"].as_str()), (1, Some("nothing_to_learn")), "{error}");
}

#[test]
fn every_row_has_its_losses_and_every_step_its_rows() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({}));
    train(&run);
    let log = events(&run);
    let seen: usize = of_type(&log, "step").iter().map(|e| e["rows"].as_array().unwrap().len()).sum();
    assert_eq!(seen, 48 * 3);
    use parquet::file::reader::FileReader;
    use parquet::record::RowAccessor;
    let file = std::fs::File::open(run.join("row_loss.parquet")).unwrap();
    let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), seen);
    let first: Vec<_> = rows.iter().filter(|r| r.get_long(1).unwrap() == 1).collect();
    let sum: f64 = first.iter().map(|r| r.get_double(3).unwrap() * f64::from(r.get_int(4).unwrap())).sum();
    let tokens: i32 = first.iter().map(|r| r.get_int(4).unwrap()).sum();
    let loss = of_type(&log, "step")[0]["loss"].as_f64().unwrap();
    assert!((sum / f64::from(tokens) - loss).abs() < 1e-9, "{} {loss}", sum / f64::from(tokens));
}

#[test]
fn preflight_says_what_the_run_then_does() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({}));
    let before: Value =
        serde_json::from_slice(&engine(&["preflight", run.to_str().unwrap(), "--json"]).stdout).unwrap();
    let names: Vec<_> = std::fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["run.json"], "nothing is written");
    train(&run);
    let log = events(&run);
    for key in ["total_steps", "parameters", "trainable", "train_rows", "train_tokens", "planned_bytes"] {
        assert_eq!(before[key], log[0][key], "{key}");
    }
    assert!(before["seconds_per_step"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_trained_number_is_planned_with_its_gradient_and_two_moments() {
    let w = Workspace::new();
    let plan = |name: &str, tied: bool| -> (u64, u64) {
        let run = w.pretrain(name, &json!({"model": {"shape": {"tie_word_embeddings": tied}}}));
        let out = engine(&["preflight", run.to_str().unwrap(), "--json"]).stdout;
        let plan: Value = serde_json::from_slice(&out).unwrap();
        (plan["trainable"].as_u64().unwrap(), plan["planned_bytes"].as_u64().unwrap())
    };
    // The output projection adds weights and nothing else.
    let (tied, untied) = (plan("tied", true), plan("untied", false));
    assert!(untied.0 > tied.0);
    assert_eq!(untied.1 - tied.1, 16 * (untied.0 - tied.0));
}

#[test]
fn a_student_learns_its_teachers_distribution() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}})));
    train(&w.tune("teacher", "pre", &json!({"train": {"epochs": 80}})));
    let distill =
        json!({"teacher": "../pre/model", "adapter": "../teacher/adapter", "alpha": 0.9, "temperature": 2.0});
    let patch = json!({"objective": "distill", "distill": distill,
        "data": {"valid": ["../pairs.parquet"]}, "train": {"epochs": 60, "lr": 0.01}});
    let run = w.tune("student", "pre", &patch);
    train(&run);
    let log = events(&run);
    let steps = of_type(&log, "step");
    let kl = |e: &Value| e["metrics"]["kl"].as_f64().unwrap();
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    assert!(kl(first) > 0.3 && kl(last) < 0.1 * kl(first), "{first} -> {last}");
    let loss = 0.9 * 4.0 * kl(last) + 0.1 * last["metrics"]["nll"].as_f64().unwrap();
    assert!((last["loss"].as_f64().unwrap() - loss).abs() < 1e-6, "{last}");
    assert!(kl(of_type(&log, "validation")[0]) < 0.1 * kl(first));

    let code = |name: &str, patch: &Value| {
        let run = w.tune(name, "pre", patch);
        failure(&["train", run.to_str().unwrap()]).1["code"].clone()
    };
    assert_eq!(code("no-teacher", &json!({"objective": "distill"})), "bad_setting");
    assert_eq!(code("no-need", &json!({"distill": distill})), "bad_setting");
    train(
        &w.pretrain("other", &json!({"model": {"tokenizer": {"vocab_size": 330}}, "train": {"epochs": 1}})),
    );
    let other = json!({"objective": "distill", "distill": {"teacher": "../other/model"}});
    assert_eq!(code("stranger", &other), "vocab_mismatch");
}

#[test]
fn a_new_dora_adapter_begins_as_the_base_and_learns() {
    let w = Workspace::new();
    train(&w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}})));
    let losses = |name: &str, adapter: Value| {
        let run = w.tune(name, "pre", &json!({"adapter": adapter, "train": {"epochs": 40}}));
        train(&run);
        let log = events(&run);
        of_type(&log, "step").iter().map(|e| e["loss"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let (lora, dora) = (losses("lora", json!({})), losses("dora", json!({"dora": true})));
    assert!((lora[0] - dora[0]).abs() < 1e-4, "both begin with the base: {} and {}", lora[0], dora[0]);
    assert_ne!(lora[lora.len() - 1], dora[dora.len() - 1]);
    assert!(dora[dora.len() - 1] < 0.3 * dora[0], "{dora:?}");
    let config = std::fs::read_to_string(w.path().join("dora/adapter/adapter_config.json")).unwrap();
    assert!(config.contains("\"use_dora\": true"), "{config}");
    // LoRA+: at first only B learns, since A's gradient is zero while B is.
    let plus = losses("plus", json!({"lora_plus": 4}));
    assert_eq!(plus[0], lora[0]);
    assert!(plus[2] < lora[2], "{plus:?} {lora:?}");
}

#[test]
fn rows_are_seen_as_they_are_stored_where_the_run_asks_for_it() {
    let w = Workspace::new();
    let seen = |name: &str, train: Value| -> Vec<String> {
        let run = w.pretrain(name, &json!({ "train": train }));
        crate::common::train(&run);
        let steps = events(&run).into_iter().filter(|e| e["type"] == "step");
        let rows = steps.flat_map(|e| e["rows"].as_array().unwrap().clone());
        rows.map(|row| row.as_str().unwrap().to_owned()).collect()
    };
    let stored: Vec<String> = (0..2 * 48).map(|i| format!("doc-{}", i % 48)).collect();
    assert_eq!(seen("stored", json!({"epochs": 2, "order": "stored"})), stored);
    let mut shuffled = seen("shuffled", json!({"epochs": 2}));
    assert_ne!(shuffled, stored);
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    shuffled = sorted(shuffled);
    assert_eq!(shuffled, sorted(stored));
}
