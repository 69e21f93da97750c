//! `attribute`: planted rows are found, gradients are those of the passes, and what is kept is used while it is true.

use crate::common::*;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use tillage_model::{Model, Packed, Trainable};
use tillage_protocol::run::{LossOn, Template};
use tillage_text::{Clock, Example, RowEncoder, RowText, Tokenizer};
use tillage_train::Examined;

/// A run from scratch on 2,000 rows of which ten say what a zorb eats.
fn planted(w: &Workspace) -> PathBuf {
    let (mut ids, mut prompts, mut completions) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |id: String, prompt: String, completion: String| {
        ids.push(id);
        prompts.push(prompt);
        completions.push(completion);
    };
    let kinds = ["old", "young", "big", "small", "red", "grey", "wild", "tame", "first", "last"];
    for i in 0..1990 {
        let (tree, town, n) = (TREES[i % 6], TOWNS[i / 6 % 6], i / 36);
        match i % 3 {
            0 => add(format!("row-{i}"), format!("Where is {tree} {n}?"), format!(" In {town}.")),
            1 => {
                add(format!("row-{i}"), format!("What grows in {town}, street {n}?"), format!(" The {tree}."))
            }
            _ => add(
                format!("row-{i}"),
                format!("How old is the {tree} of {town} {n}?"),
                format!(" It is {n}."),
            ),
        }
        if i % 199 == 50 {
            let n = i / 199;
            add(
                format!("planted-{n}"),
                format!("What does the {} zorb eat?", kinds[n]),
                " Blue moss.".into(),
            );
        }
    }
    parquet(
        &w.path().join("rows.parquet"),
        &[("_row_id", ids), ("prompt", prompts), ("completion", completions)],
    );
    w.pretrain(
        "run",
        &json!({"objective": "sft", "data": {"train": ["../rows.parquet"]}, "loss_on": "completion",
            "template": {"kind": "format", "prompt": "Q: {prompt}\nA:"},
            "train": {"epochs": 3, "lr": 0.01, "batch_tokens": 512, "schedule": "linear", "checkpoint_every": 40}}),
    )
}

/// Asks about some outputs; returns the result behind all signs of progress.
fn ask(w: &Workspace, run: &Path, outputs: &[Value], more: &[&str]) -> Value {
    let file = w.path().join("outputs.jsonl");
    std::fs::write(&file, outputs.iter().map(|o| format!("{o}\n")).collect::<String>()).unwrap();
    let args = ["attribute", "--run", run.to_str().unwrap(), "--outputs", file.to_str().unwrap(), "--json"];
    let out = engine(&[&args, more].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines[..lines.len() - 1].iter().all(|l| l["type"] == "progress") && lines.len() > 1, "{text}");
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "attributed");
    last["result"].clone()
}

fn names<'a>(output: &'a Value, list: &str) -> Vec<&'a str> {
    output[list].as_array().unwrap().iter().map(|i| i["row_id"].as_str().unwrap()).collect()
}

#[test]
fn planted_rows_are_found_and_the_second_question_knows_their_gradients() {
    let w = Workspace::new();
    let run = planted(&w);
    train(&run);
    let outputs = [
        json!({"id": "zorb", "prompt": "What do zorbs eat?", "completion": " Blue moss."}),
        json!({"prompt": "Where is the elm?", "completion": " In Graz."}),
    ];
    let last = ["--top", "20", "--dims", "1024", "--only-last"];
    let first = ask(&w, &run, &outputs, &last);
    assert_eq!((&first["rows"], &first["left_out"], &first["dims"]), (&json!(2000), &json!(0), &json!(1024)));
    assert_eq!((&first["preconditioned"], &first["outputs"][1]["id"]), (&json!(true), &json!("2")));
    assert!(first["parameters"].as_u64().unwrap() > 20_000);
    // Twenty of 2,000 rows are the first percent.
    let found = |result: &Value, of: usize| {
        let top = names(&result["outputs"][of], "top");
        assert_eq!(top.len(), 20);
        top.iter().filter(|n| n.starts_with("planted")).count()
    };
    assert!(found(&first, 0) >= 9, "{:?}", names(&first["outputs"][0], "top"));
    assert_eq!(found(&first, 1), 0, "{:?}", names(&first["outputs"][1], "top"));
    let known = |r: &Value| -> Vec<bool> {
        r["checkpoints"].as_array().unwrap().iter().map(|c| c["known"].as_bool().unwrap()).collect()
    };
    assert_eq!(known(&first), [false]);

    let again = ask(&w, &run, &outputs, &last);
    assert_eq!((known(&again), &again["outputs"]), (vec![true], &first["outputs"]));
    assert_eq!(again["seconds_rows"], 0.0);
    // Step 0 is the model before training: no step led to it.
    let all = ask(&w, &run, &outputs, &last[..4]);
    assert_eq!(known(&all), [false, false, true]);
    assert!(found(&all, 0) >= 9, "{:?}", names(&all["outputs"][0], "top"));
    assert_ne!(all["outputs"], first["outputs"]);
    // Another seed is another projection, whose gradients are not those that are known.
    let other = ask(&w, &run, &outputs, &[&last[..], &["--seed", "1"]].concat());
    assert_eq!(known(&other), [false]);
    assert!(found(&other, 0) >= 9 && other["outputs"] != first["outputs"]);
    ask(&w, &run, &outputs, &last);

    // A row asked for by its name is nearest to itself.
    let own =
        ask(&w, &run, &[json!({"row_id": "planted-4"})], &["--only-last", "--dims", "1024", "--top", "3"]);
    assert!(names(&own["outputs"][0], "top").contains(&"planted-4"), "{own}");
    assert_clean(&run.join("attribution"));

    // Other rows under the same name are not those that the run has learned.
    let text: Vec<String> = (0..4).map(|i| format!("t{i}")).collect();
    parquet(
        &w.path().join("rows.parquet"),
        &[("_row_id", text.clone()), ("prompt", text.clone()), ("completion", text)],
    );
    let file = w.path().join("outputs.jsonl");
    let args = ["attribute", "--run", run.to_str().unwrap(), "--outputs", file.to_str().unwrap()];
    let (code, error) = failure(&args);
    assert_eq!((code, &error["code"]), (1, &json!("data_changed")));
}

/// The rows of the workspace's pairs, as the run encodes them.
fn pack(run: &Path, base: &Path, rows: &[usize]) -> Packed {
    let tokenizer = Tokenizer::load(base).unwrap();
    let template = Template::Format { prompt: "Q: {prompt}\nA:".into() };
    assert!(run.join("run.json").exists());
    let encoder = RowEncoder::new(tokenizer, template, LossOn::Completion, 64, Clock::freeze()).unwrap();
    let examples: Vec<Example> = rows
        .iter()
        .map(|row| {
            let (prompt, completion) =
                (format!("Where is the {}?", TREES[*row]), format!(" In {}.", TOWNS[*row]));
            encoder.encode(&RowText::PromptCompletion { prompt, completion }).unwrap().0
        })
        .collect();
    Packed::marked(examples.iter().map(|e| (&e.tokens[..], e.trained.iter().copied())))
}

#[test]
fn rows_gradients_add_up_to_their_batchs_and_tell_what_a_step_changes() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}}));
    train(&pre);
    let run = w.tune("tune", "pre", &json!({"train": {"epochs": 4}, "adapter": {"dropout": 0.2}}));
    train(&run);
    let base = pre.join("model");
    let mut opened = Examined::open(&run).unwrap();
    let newest = opened.kept().len() - 1;
    assert!(newest >= 1);
    opened.go_to(newest).unwrap();
    opened.read_rows().unwrap();
    assert_eq!(opened.learned().unwrap(), [0, 1, 2, 3, 4, 5]);
    let factors = opened.factors(newest).unwrap().expect("AdamW's");
    let mut rows = Vec::new();
    for row in 0..6 {
        let (loss, tokens) = opened.row_gradient(row, 1.0).unwrap();
        assert!(loss > 0.0 && tokens > 2);
        rows.push(opened.gradients().concat());
    }

    let mut model = Model::load(&base).unwrap();
    model.load_adapter(&run.join(format!("checkpoints/step-{:06}", opened.kept()[newest].step))).unwrap();
    model.set_trainable(Trainable::Adapter);
    // A pass without gradients has no dropout either.
    let loss = |model: &Model, row: usize| model.loss_only(&pack(&run, &base, &[row])).unwrap();
    model.without_dropout();
    let mut batch = pack(&run, &base, &[0, 1, 2, 3, 4, 5]);
    batch.normalizer = Some(1.0);
    model.forward_backward(&batch).unwrap();
    let whole = model.gradients().concat();
    let length = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let off: Vec<f32> =
        whole.iter().enumerate().map(|(i, x)| x - rows.iter().map(|row| row[i]).sum::<f32>()).collect();
    assert!(length(&off) < 1e-4 * length(&whole), "{} of {}", length(&off), length(&whole));

    // A small step on one row changes every output's loss by what the product of the gradients says.
    let before: Vec<f64> = (0..6).map(|row| loss(&model, row).sum).collect();
    for on in 0..6 {
        let step: Vec<f32> = rows[on].iter().zip(&factors).map(|(g, f)| g * f).collect();
        let lr = 1e-3 / length(&step);
        let change = |model: &mut Model, by: f64| {
            let mut at = 0;
            for p in model.parameters_mut() {
                p.value.iter_mut().for_each(|x| {
                    *x = (f64::from(*x) + by * f64::from(step[at])) as f32;
                    at += 1;
                });
            }
        };
        change(&mut model, -lr);
        let after: Vec<f64> = (0..6).map(|row| loss(&model, row).sum).collect();
        change(&mut model, lr);
        for of in 0..6 {
            let told: f64 = rows[of].iter().zip(&step).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let (told, seen) = (lr * told, before[of] - after[of]);
            let scale = lr * length(&rows[of]) * length(&step);
            assert!((told - seen).abs() < 0.03 * scale, "{on} on {of}: {told} told, {seen} seen, {scale}");
        }
    }
}

#[test]
fn pairs_are_ranked_and_what_has_no_gradient_of_its_own_is_refused() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"epochs": 20, "lr": 0.01}}));
    train(&pre);
    let texts = |of: &dyn Fn(usize) -> String| (0..6).map(of).collect::<Vec<_>>();
    parquet(
        &w.path().join("prefer.parquet"),
        &[
            ("_row_id", texts(&|i| format!("p{i}"))),
            ("prompt", texts(&|i| format!("Where is the {}?", TREES[i]))),
            ("chosen", texts(&|i| format!(" In {}.", TOWNS[i]))),
            ("rejected", texts(&|i| format!(" In {}.", TOWNS[(i + 1) % 6]))),
        ],
    );
    let data = json!({"train": ["../prefer.parquet"]});
    let dpo = w.tune("dpo", "pre", &json!({"objective": "dpo", "data": data, "train": {"epochs": 6}}));
    train(&dpo);
    let said = json!({"id": "said", "prompt": "Where is the cedar?", "completion": " In Turin."});
    let own = (0..6).map(|i| json!({"row_id": format!("p{i}")}));
    let outputs: Vec<Value> = own.chain([said]).collect();
    let found = ask(&w, &dpo, &outputs, &["--top", "6"]);
    assert_eq!(found["rows"], 6);
    for i in 0..6 {
        // A pair's own loss is nearest to itself.
        let output = &found["outputs"][i];
        assert_eq!(names(output, "top")[0], format!("p{i}"));
        assert!(
            output["top"][0]["cosine"].as_f64().unwrap() > 0.3 && output["tokens"].as_u64().unwrap() > 4,
            "{output}"
        );
    }
    assert_eq!(found["outputs"][6]["id"], "said");

    let file = w.path().join("outputs.jsonl");
    let asked = |run: &Path, line: Value| {
        std::fs::write(&file, format!("{line}\n")).unwrap();
        failure(&["attribute", "--run", run.to_str().unwrap(), "--outputs", file.to_str().unwrap()])
    };
    let said = json!({"prompt": "a", "completion": " b"});
    for (run, line, code) in [
        (&dpo, json!({"prompt": "a", "chosen": " b", "rejected": " c"}), "bad_output"),
        (&dpo, json!({"row_id": "p9"}), "no_such_row"),
        (&dpo, json!({"nothing": 1}), "bad_output"),
        (&w.path().join("none"), said.clone(), "no_run_folder"),
        (&w.tune("new", "pre", &json!({})), said.clone(), "no_checkpoint"),
        (
            &w.tune(
                "grpo",
                "pre",
                &json!({"objective": "grpo", "policy": {"group": 2, "max_new": 4,
                "rewards": [{"kind": "contains"}]}}),
            ),
            said.clone(),
            "not_attributable",
        ),
        (&w.tune("kto", "pre", &json!({"objective": "kto"})), said.clone(), "not_attributable"),
    ] {
        let (exit, error) = asked(run, line);
        assert_eq!((exit, error["code"].as_str().unwrap()), (1, code), "{error}");
    }
    let args =
        ["attribute", "--run", dpo.to_str().unwrap(), "--outputs", file.to_str().unwrap(), "--dims", "1000"];
    assert_eq!(failure(&args).1["code"], "bad_setting");
}

#[test]
fn rows_of_a_run_in_mixed_precision_have_the_losses_of_mixed_precision() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"max_steps": 6}}));
    train(&pre);
    let run = w.tune("tune", "pre", &json!({"adapter": null, "dtype": "bf16", "train": {"max_steps": 2}}));
    train(&run);
    let mut opened = Examined::open(&run).unwrap();
    let newest = opened.kept().len() - 1;
    opened.go_to(newest).unwrap();
    opened.read_rows().unwrap();
    let (found, tokens) = opened.row_gradient(0, 1.0).unwrap();
    let mut model =
        Model::load(&run.join(format!("checkpoints/step-{:06}", opened.kept()[newest].step))).unwrap();
    let loss = |model: &Model| model.loss_only(&pack(&run, &pre.join("model"), &[0])).unwrap().sum;
    let exact = loss(&model);
    model.set_mixed(true);
    assert_eq!(found * tokens as f64, loss(&model));
    assert_ne!(loss(&model), exact);
}
