//! Adapters whose settings or files cannot be what they say.

use crate::families::shapes;
use crate::support::{adapted, lora, model, model_of};
use serde_json::{json, Value};
use std::path::Path;
use tillage_model::store::write_file;
use tillage_model::{LoraConfig, Model};
use tillage_protocol::Blame;

type Tensors<'a> = Vec<(&'a str, Vec<usize>)>;

/// A folder with an adapter of these settings and tensors.
fn write(dir: &Path, settings: &Value, tensors: &Tensors) {
    let mut config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4.0, "target_modules": ["q_proj"]});
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    std::fs::write(dir.join("adapter_config.json"), config.to_string()).unwrap();
    let numbers: Vec<Vec<f32>> = tensors.iter().map(|(_, shape)| vec![0.5; shape.iter().product()]).collect();
    let all = tensors.iter().zip(&numbers).map(|((name, shape), n)| (*name, shape.as_slice(), n.as_slice()));
    write_file(&dir.join("adapter_model.safetensors"), all).unwrap();
}

#[track_caller]
fn refused(model: &mut Model, dir: &Path, code: &str, said: &[&str]) {
    let error = model.load_adapter(dir).expect_err("an adapter that cannot be");
    assert_eq!((error.code.as_str(), error.blame), (code, Blame::User), "{}", error.message);
    assert!(said.iter().all(|s| error.message.contains(s)), "{}", error.message);
    assert!(error.file.is_some() && !error.remedy.is_empty(), "{error:?}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = lora(&["q_proj"]);
    for (config, said) in [
        (LoraConfig { r: 0, ..good.clone() }, "rank"),
        (LoraConfig { alpha: f64::NAN, ..good.clone() }, "alpha"),
        (LoraConfig { alpha: 1e39, ..good.clone() }, "alpha"),
        (LoraConfig { dropout: 1.0, ..good.clone() }, "dropout"),
        (LoraConfig { dropout: -0.1, ..good.clone() }, "dropout"),
        (LoraConfig { dropout: f64::NAN, ..good.clone() }, "dropout"),
        (LoraConfig { targets: Vec::new(), ..good.clone() }, "no targets"),
    ] {
        let error = model().attach_lora(&config, 1).expect_err(said);
        assert_eq!((error.code.as_str(), error.blame), ("bad_adapter", Blame::User));
        assert!(error.message.contains(said), "{}", error.message);
    }
    model().attach_lora(&good, 1).expect("a good adapter");
    for (init, said) in [(Some(("", &[][..])), "no token"), (Some(("x", &[3, 61][..])), "does not know")] {
        let error = model().attach_prompt(4, init, 1).expect_err(said);
        assert!(error.code == "bad_prompt" && !error.message.is_empty(), "{error:?}");
    }
    assert!(model().attach_prompt(0, None, 1).is_err());
    model().attach_prompt(4, Some(("x", &[3, 60])), 1).expect("a good prompt");
}

#[test]
fn a_folder_that_contradicts_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let q = "base_model.model.model.layers.0.self_attn.q_proj";
    let (a, b) = (format!("{q}.lora_A.weight"), format!("{q}.lora_B.weight"));
    let good = || vec![(a.as_str(), vec![2, 36]), (b.as_str(), vec![40, 2])];
    write(dir, &json!({}), &good());
    model().load_adapter(dir).expect("a good adapter");
    for rank in [0.5, 0.0, -1.0, 2.5] {
        write(dir, &json!({"rank_pattern": {"layers.0.self_attn.q_proj": rank}}), &good());
        refused(&mut model(), dir, "bad_adapter", &["is no rank", &rank.to_string()]);
    }
    write(dir, &json!({"lora_dropout": 1.0}), &good());
    refused(&mut model(), dir, "bad_adapter", &["dropout"]);
    write(dir, &json!({"target_modules": []}), &good());
    refused(&mut model(), dir, "bad_adapter", &["no targets"]);
    for (shape, wanted) in [([40, 3], "[40, 2]"), ([2, 40], "[40, 2]")] {
        write(dir, &json!({}), &vec![(a.as_str(), vec![2, 36]), (b.as_str(), shape.to_vec())]);
        refused(&mut model(), dir, "wrong_shape", &["lora_B", wanted]);
    }
    // A reward model's head that is not as wide as the model.
    for shape in [vec![1, 35], vec![2, 36], vec![36]] {
        let mut tensors = good();
        tensors.push(("base_model.model.score.weight", shape));
        write(dir, &json!({}), &tensors);
        refused(&mut model(), dir, "wrong_shape", &["score.weight", "[1, 36]"]);
    }
    let own = tempfile::tempdir().unwrap();
    let mut judge = adapted(&lora(&["q_proj"]));
    judge.attach_score(3).unwrap();
    judge.save_adapter(own.path(), "base").unwrap();
    model().load_adapter(own.path()).expect("a head as wide as the model");
}

#[test]
fn experts_in_one_tensor_must_have_room_for_every_expert() {
    let (_, config) = shapes().into_iter().find(|(_, c)| c.model_type == "mixtral").expect("experts");
    let (count, inner, outer) = (5, config.intermediate_size, config.hidden_size);
    let place = "base_model.model.model.layers.0.mlp.experts";
    let names = ["base_layer.lora_A", "base_layer.lora_B", "lora_A", "lora_B"];
    let names = names.map(|name| format!("{place}.{name}.weight"));
    let good = [[2 * count, outer], [2 * inner, 2 * count], [2 * count, inner], [outer, 2 * count]];
    let folder = tempfile::tempdir().unwrap();
    let load = |shapes: &[[usize; 2]; 4]| {
        let tensors = names.iter().zip(shapes).map(|(name, shape)| (name.as_str(), shape.to_vec()));
        write(folder.path(), &json!({}), &tensors.collect());
        model_of(config.clone())
    };
    load(&good).load_adapter(folder.path()).expect("a good adapter");
    for (at, other) in [
        (0, [2 * count + 1, outer]),
        (0, [2 * count, outer + 1]),
        (0, [count - 1, outer]),
        (1, [2 * inner + 1, 2 * count]),
        (1, [2 * inner, count]),
        (2, [2 * count, outer]),
        (3, [2 * count, outer]),
        (3, [outer, 2 * count + 1]),
    ] {
        let mut shapes = good;
        shapes[at] = other;
        assert_ne!(shapes, good);
        let name = names[at].as_str();
        refused(&mut load(&shapes), folder.path(), "wrong_shape", &[name, &format!("{other:?}")]);
    }
}
