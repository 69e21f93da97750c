use crate::support::{batch, config, config_with, model};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;
use tillage_model::store::{read_file, write_file};
use tillage_model::{EngineError, Model};
use tillage_protocol::Blame;

fn saved() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    model().save(folder.path()).expect("a writable folder");
    folder
}

/// Rewrites the weights of a saved model.
fn rewrite(folder: &Path, change: impl FnOnce(&mut Vec<(String, Vec<usize>, Vec<f32>)>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = read_file(&path).expect("weights").into_iter().map(|(n, (s, v))| (n, s, v)).collect();
    change(&mut tensors);
    write_file(&path, tensors.iter().map(|(n, s, v)| (n.as_str(), s.as_slice(), v.as_slice())))
        .expect("a writable folder");
}

#[track_caller]
fn refused(folder: &Path, code: &str, mentions: &[&str], file: &str) -> EngineError {
    let error = Model::load(folder).expect_err("a damaged model");
    assert_eq!((error.code.as_str(), error.blame), (code, Blame::User), "{error:?}");
    assert!(mentions.iter().all(|m| error.message.contains(m)), "{}", error.message);
    assert!(error.file.as_deref().is_some_and(|f| f.ends_with(file)), "{error:?}");
    assert!(!error.remedy.is_empty());
    error
}

#[test]
fn models_come_back_as_they_were_written() {
    let folder = saved();
    let again = Model::load(folder.path()).expect("our own model");
    assert_eq!(again.config(), &config());
    assert_eq!(again.loss_only(&batch()), model().loss_only(&batch()));
    assert_eq!(again.config().parameters(), again.parameter_count());
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(names.len(), 2, "no temporary file is left: {names:?}");
    #[cfg(unix)]
    for name in names {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join(&name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{name:?} is as readable as any other new file");
    }
}

#[test]
fn random_weights_depend_on_the_seed_alone() {
    let loss = |seed| Model::init(config(), seed).loss_only(&batch()).expect("a valid batch").sum;
    assert_eq!(loss(1), loss(1));
    assert_ne!(loss(1), loss(2));
}

#[test]
fn shards_and_short_formats_are_read() {
    let folder = saved();
    let tensors = read_file(&folder.path().join("model.safetensors")).expect("weights");
    std::fs::remove_file(folder.path().join("model.safetensors")).expect("removed");
    let mut map = serde_json::Map::new();
    for (shard, part) in [(0, "a.safetensors"), (1, "b.safetensors")] {
        // bf16 is the upper half of f32.
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 2 == shard)
            .map(|(_, (n, (s, v)))| {
                (
                    n.clone(),
                    s.clone(),
                    v.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
                )
            })
            .collect();
        let views =
            bytes.iter().map(|(n, s, b)| (n, TensorView::new(Dtype::BF16, s.clone(), b).expect("a tensor")));
        safetensors::serialize_to_file(views, None, &folder.path().join(part)).expect("a writable folder");
        map.extend(bytes.iter().map(|(n, ..)| (n.clone(), part.into())));
    }
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, serde_json::json!({"metadata": {}, "weight_map": map}).to_string())
        .expect("written");
    let rounded = Model::load(folder.path()).expect("shards");
    let (ours, exact) = (
        rounded.loss_only(&batch()).expect("a batch").mean(),
        model().loss_only(&batch()).expect("a batch").mean(),
    );
    assert!(ours != exact && (ours - exact).abs() < 0.05, "{ours} {exact}");
    std::fs::remove_file(folder.path().join("b.safetensors")).expect("removed");
    refused(folder.path(), "file_not_found", &["b.safetensors"], "b.safetensors");
    for outside in ["../b.safetensors", "..", "sub/b.safetensors", "/b.safetensors", "a/../b.safetensors"] {
        let text = serde_json::json!({"weight_map": {"x": outside}}).to_string();
        std::fs::write(&index, text).expect("written");
        refused(folder.path(), "bad_index", &[outside], "model.safetensors.index.json");
    }
}

#[test]
fn what_follows_from_the_config_may_stand_among_the_weights() {
    let folder = saved();
    for name in ["self_attn.rotary_emb.inv_freq", "attn.bias", "attn.masked_bias"] {
        let name = format!("model.layers.0.{name}");
        rewrite(folder.path(), |t| t.push((name, vec![2], vec![1.0, 0.5])));
    }
    let again = Model::load(folder.path()).expect("old checkpoints");
    assert_eq!(again.loss_only(&batch()), model().loss_only(&batch()));
}

#[cfg(unix)]
#[test]
fn a_model_that_answers_has_its_weights_in_memory_and_one_that_learns_in_its_file() {
    use std::os::unix::fs::FileExt;
    let folder = saved();
    let path = folder.path().join("model.safetensors");
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = read_file(&path)
        .expect("weights")
        .into_iter()
        .map(|(n, (s, v))| (n, s, v.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect()))
        .collect();
    let views =
        bytes.iter().map(|(n, s, b)| (n, TensorView::new(Dtype::BF16, s.clone(), b).expect("a tensor")));
    safetensors::serialize_to_file(views, None, &path).expect("a writable folder");
    let bf16 = tillage_protocol::run::Dtype::Bf16;
    let mapped = Model::load_as(folder.path(), bf16).expect("the model");
    let read = Model::load_to_answer(folder.path(), bf16).expect("the model");
    let losses = |model: &Model| model.token_losses(&batch()).expect("a batch");
    let before = losses(&mapped);
    assert_eq!(losses(&read), before);
    // Other numbers in the same file tell which of the two still looks at it.
    let whole = std::fs::read(&path).expect("weights");
    let first = 8 + u64::from_le_bytes(whole[..8].try_into().expect("a length"));
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    file.write_all_at(&vec![0; whole.len() - first as usize], first).expect("written");
    assert_eq!(losses(&read), before);
    assert_ne!(losses(&mapped), before);
}

#[test]
fn damaged_weights_are_refused_by_name() {
    let folder = saved();
    let name = "model.layers.1.mlp.up_proj.weight";
    rewrite(folder.path(), |t| t.retain(|(n, ..)| n != name));
    refused(folder.path(), "missing_tensor", &[name], "model.safetensors");

    let folder = saved();
    rewrite(folder.path(), |t| t.iter_mut().filter(|(n, ..)| n == name).for_each(|(_, s, _)| s.reverse()));
    refused(folder.path(), "wrong_shape", &[name, "[36, 52]", "[52, 36]"], "model.safetensors");

    let folder = saved();
    rewrite(folder.path(), |t| t.push(("model.layers.7.extra.weight".into(), vec![1], vec![0.0])));
    refused(folder.path(), "unused_tensor", &["model.layers.7.extra.weight"], "model.safetensors");

    let folder = saved();
    rewrite(folder.path(), |t| t.push(("lm_head.weight".into(), vec![61, 36], vec![0.0; 61 * 36])));
    refused(folder.path(), "untied_head", &["lm_head.weight"], "model.safetensors");

    let folder = saved();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).expect("weights");
    for length in [0, 5, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).expect("written");
        refused(folder.path(), "bad_weights", &["model.safetensors"], "model.safetensors");
    }
    std::fs::remove_file(&path).expect("removed");
    refused(folder.path(), "file_not_found", &["model.safetensors"], "model.safetensors");
}

#[test]
fn wrong_configs_are_refused_by_name() {
    let folder = saved();
    let path = folder.path().join("config.json");
    let good = std::fs::read_to_string(&path).expect("a config");
    for (from, to, code, mention) in [
        (r#""model_type": "llama""#, r#""model_type": "rwkv9""#, "unknown_model_type", "rwkv9"),
        (r#""hidden_act": "silu""#, r#""hidden_act": "relu2""#, "unsupported_config", "relu2"),
        (r#""rope_type": "default""#, r#""rope_type": "yarn""#, "bad_config", "factor"),
        (r#""rope_type": "default""#, r#""rope_type": "stretchy""#, "unsupported_rope", "stretchy"),
        (
            r#""rope_type": "default""#,
            r#""partial_rotary_factor": 1.5"#,
            "bad_config",
            "partial_rotary_factor",
        ),
        (r#""mlp_bias": true"#, r#""sliding_window": 16"#, "unsupported_config", "sliding_window"),
        (r#""hidden_size": 36"#, r#""hidden_size": "36""#, "bad_config", "hidden_size"),
        (r#""vocab_size": 61"#, r#""vocab": 61"#, "bad_config", "vocab_size"),
        (r#""num_attention_heads": 4"#, r#""num_attention_heads": 5"#, "bad_config", "num_attention_heads"),
        (r#""head_dim": 10"#, r#""head_dim": 9"#, "bad_config", "head_dim"),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&path, good.replacen(from, to, 1)).expect("written");
        refused(folder.path(), code, &[mention], "config.json");
    }
    std::fs::write(&path, "{\n  \"model_type\": \"llama\",\n  oops\n}").expect("written");
    assert_eq!(refused(folder.path(), "bad_config", &["not valid JSON"], "config.json").line, Some(3));
    std::fs::remove_file(&path).expect("removed");
    refused(folder.path(), "file_not_found", &["config.json"], "config.json");
}

#[test]
fn foreign_adapters_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::support::adapted(&crate::support::lora(&["all-linear"]))
        .save_adapter(folder.path(), "base")
        .expect("a writable folder");
    let path = folder.path().join("adapter_config.json");
    let good = std::fs::read_to_string(&path).expect("a config");
    let refuse = |text: String, code: &str, mention: &str| {
        std::fs::write(&path, text).expect("written");
        let error = model().load_adapter(folder.path()).expect_err("an adapter that does not fit");
        assert_eq!((error.code.as_str(), error.blame), (code, Blame::User));
        assert!(error.message.contains(mention), "{}", error.message);
        assert!(error.file.is_some(), "{error:?}");
    };
    refuse(
        good.replace(r#""rank_pattern": {}"#, r#""rank_pattern": {"q_proj|k_proj": 8}"#),
        "unsupported_adapter",
        "rank_pattern",
    );
    refuse(good.replace(r#""LORA""#, r#""IA3""#), "unsupported_adapter", "IA3");
    refuse(good.replace(r#""r": 3"#, r#""r": 4"#), "wrong_shape", "lora_A");
    refuse(
        good.replace(r#""use_dora": false"#, r#""use_dora": true"#),
        "missing_tensor",
        "lora_magnitude_vector",
    );
    std::fs::write(&path, good).expect("written");
    let small = config_with(serde_json::json!({"num_hidden_layers": 2}));
    let error = Model::init(small, 1).load_adapter(folder.path()).expect_err("an adapter of a deeper model");
    assert_eq!(error.code, "unused_tensor");
    assert!(error.message.contains("layers.2"), "{}", error.message);
}

#[test]
fn what_cannot_be_written_leaves_the_old_weights() {
    let folder = saved();
    let path = folder.path().join("model.safetensors");
    let before = std::fs::read(&path).expect("weights");
    // Two numbers for a shape of three.
    let error = write_file(&path, [("a", &[3][..], &[1.0, 2.0][..])]).expect_err("a broken tensor");
    assert_eq!(error.code, "write_weights");
    assert_eq!(std::fs::read(&path).expect("weights"), before);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "no temporary file is left");
}
