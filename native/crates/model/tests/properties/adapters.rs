use crate::support::{adapted, batch, close, gradients, lora, model, text, together_is_apart};
use tillage_model::{Model, Trainable};

fn logits(model: &Model) -> Vec<f32> {
    let pack = batch();
    model.logits(&pack, &(0..pack.tokens.len()).collect::<Vec<_>>())
}

fn decoded(model: &Model) -> Vec<f32> {
    let mut cache = model.new_cache(20);
    model.decode(&text(10, 1), &mut cache);
    model.decode(&[3], &mut cache)
}

#[test]
fn an_adapter_that_is_off_is_not_there() {
    let base = model();
    let mut tuned = adapted(&lora(&["all-linear"]));
    assert_ne!(logits(&tuned), logits(&base));
    tuned.set_adapter_enabled(false);
    assert_eq!(logits(&tuned), logits(&base), "bit for bit");
    assert_eq!(decoded(&tuned), decoded(&base), "bit for bit");
    assert_eq!(tuned.loss_only(&batch()), base.loss_only(&batch()));
    assert_eq!(tuned.forward_backward(&batch()).expect_err("nothing to train").code, "no_adapter");
    tuned.set_adapter_enabled(true);
    assert_ne!(logits(&tuned), logits(&base));
}

#[test]
fn a_new_adapter_changes_nothing_and_trains_nothing_else() {
    let base = model();
    let mut tuned = model();
    tuned.attach_lora(&lora(&["all-linear"]), 3).expect("a valid adapter");
    assert_eq!(logits(&tuned), logits(&base));
    tuned.set_trainable(Trainable::Adapter);
    let grads = gradients(&mut tuned, &[&batch()]);
    assert_eq!(grads.len(), 3 * 7 * 2);
    assert!(grads.iter().all(|(name, _)| name.starts_with("base_model.model.model.layers.")));
    let weights = grads.iter().map(|(_, g)| g.len()).sum::<usize>();
    assert_eq!(tuned.trainable_count(), weights);
    assert_eq!(tuned.parameter_count(), base.parameter_count() + weights);
    // B is zero, so only B has a gradient.
    assert!(grads.iter().all(|(name, g)| name.contains("lora_A") == g.iter().all(|x| *x == 0.0)));
}

#[test]
fn the_same_seed_gives_the_same_adapter() {
    let values = |seed| {
        let mut model = model();
        model.attach_lora(&lora(&["q_proj"]), seed).expect("a valid adapter");
        model.set_trainable(Trainable::Adapter);
        model.parameters_mut().into_iter().map(|p| p.value.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
    let bound = 1.0 / 36f32.sqrt();
    let a = &values(1)[0];
    assert!(a.iter().all(|x| x.abs() <= bound) && a.iter().any(|x| x.abs() > 0.8 * bound));
}

#[test]
fn merging_keeps_the_outputs() {
    for rslora in [false, true] {
        let mut config = lora(&["q_proj", "down_proj"]);
        config.rslora = rslora;
        let mut model = adapted(&config);
        let before = logits(&model);
        model.merge_adapter();
        assert!(!model.has_adapter());
        close(&logits(&model), &before, 1e-5);
    }
}

#[test]
fn adapters_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder");
    for (targets, expected) in [
        (
            &["all-linear"][..],
            vec!["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
        ),
        (&["layers.1.self_attn.q_proj"], vec!["model.layers.1.self_attn.q_proj"]),
    ] {
        let mut config = lora(targets);
        config.rslora = true;
        let tuned = adapted(&config);
        tuned.save_adapter(folder.path(), "some/base").expect("a writable folder");
        let mut again = model();
        again.load_adapter(folder.path()).expect("our own adapter");
        assert_eq!(logits(&again), logits(&tuned), "bit for bit");
        let text = std::fs::read_to_string(folder.path().join("adapter_config.json")).expect("a config");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["target_modules"], serde_json::json!(expected));
        assert_eq!(json["base_model_name_or_path"], "some/base");
    }
}

#[test]
fn the_norms_of_dora_follow_what_is_trained() {
    use tillage_model::store::{read_file, write_file};
    let folder = tempfile::tempdir().expect("a folder");
    let plain = adapted(&lora(&["q_proj", "down_proj"]));
    plain.save_adapter(folder.path(), "base").expect("a writable folder");
    // The same adapter as DoRA.
    let config = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&config).expect("a config");
    std::fs::write(&config, text.replace(r#""use_dora": false"#, r#""use_dora": true"#)).expect("written");
    let weights = folder.path().join("adapter_model.safetensors");
    let mut tensors = read_file(&weights).expect("weights");
    let rows: Vec<(String, usize)> =
        tensors.iter().filter(|(n, _)| n.contains("lora_B")).map(|(n, (s, _))| (n.clone(), s[0])).collect();
    for (name, rows) in rows {
        let name = name.replace("lora_B.weight", "lora_magnitude_vector");
        tensors.insert(name, (vec![rows], (0..rows).map(|i| 1.0 + i as f32 * 0.01).collect()));
    }
    write_file(&weights, tensors.iter().map(|(n, (s, v))| (n.as_str(), s.as_slice(), v.as_slice())))
        .expect("a writable folder");

    let mut model = model();
    model.load_adapter(folder.path()).expect("a DoRA adapter");
    model.set_trainable(Trainable::Adapter);
    let before = logits(&model);
    for p in model.parameters_mut().into_iter().filter(|p| p.name.contains("lora_B")) {
        p.value.iter_mut().for_each(|v| *v *= -2.0);
    }
    let after = logits(&model);
    assert_ne!(before, after);
    model.merge_adapter();
    close(&logits(&model), &after, 1e-5);
}

#[test]
fn unknown_targets_are_refused() {
    let error = model().attach_lora(&lora(&["q_proj", "query"]), 1).expect_err("no such projection");
    assert_eq!(error.code, "unknown_target");
    assert!(error.message.contains("query") && error.remedy.contains("q_proj"), "{error:?}");
    let mut zero = lora(&["q_proj"]);
    zero.r = 0;
    assert_eq!(model().attach_lora(&zero, 1).expect_err("rank 0").code, "bad_adapter");
}

#[test]
fn packs_are_the_same_for_an_adapter() {
    together_is_apart(&mut adapted(&lora(&["all-linear"])), &batch());
}
