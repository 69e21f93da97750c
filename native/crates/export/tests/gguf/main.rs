//! GGUF files, read back by a decoder of their own that shares nothing with the writer.

mod decoder;
mod details;
mod families;

use decoder::{decode, read, Meta};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tillage_model::{Model, ModelConfig};
use tillage_protocol::export::{ExportFormat, ExportParams, ExportResult, Quantize};
use tillage_protocol::EngineError;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine").join(name)
}

fn export(base: &Path, quantize: Quantize, out: &Path) -> Result<ExportResult, EngineError> {
    let params = ExportParams {
        base: base.into(),
        adapter: None,
        to: ExportFormat::Gguf,
        quantize: Some(quantize),
        out: out.into(),
        name: Some("a model".into()),
    };
    tillage_export::export(&params, &mut |_, _| true)
}

#[test]
fn every_weight_of_the_model_is_in_the_file_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("plain.gguf");
    let result = export(&fixture("llama"), Quantize::F32, &out).unwrap();
    assert_eq!(
        result.files.iter().map(|f| &f.path).collect::<Vec<_>>(),
        [&out, &folder.path().join("plain.Modelfile")]
    );
    let file = read(&out);
    let model = Model::load(&fixture("llama")).unwrap();
    let stored: BTreeMap<String, Vec<f32>> =
        model.stored().map(|w| (w.name.to_owned(), w.numbers().into_owned())).collect();
    assert_eq!(file.tensors.len(), stored.len());
    let same = |ours: &str, theirs: &str| {
        assert_eq!(decode(&file.tensors[ours]), stored[theirs], "{ours}");
    };
    same("token_embd.weight", "model.embed_tokens.weight");
    same("output.weight", "lm_head.weight");
    same("output_norm.weight", "model.norm.weight");
    for n in 0..model.config().num_hidden_layers {
        for (ours, theirs) in [
            ("attn_norm", "input_layernorm"),
            ("ffn_norm", "post_attention_layernorm"),
            ("attn_v", "self_attn.v_proj"),
            ("attn_output", "self_attn.o_proj"),
            ("ffn_gate", "mlp.gate_proj"),
            ("ffn_up", "mlp.up_proj"),
            ("ffn_down", "mlp.down_proj"),
        ] {
            same(&format!("blk.{n}.{ours}.weight"), &format!("model.layers.{n}.{theirs}.weight"));
        }
        // Rows of queries and keys go from halves to neighbours, head by head.
        for (ours, theirs, heads) in [("attn_q", "q_proj", 4), ("attn_k", "k_proj", 2)] {
            let found = decode(&file.tensors[&format!("blk.{n}.{ours}.weight")]);
            let from = &stored[&format!("model.layers.{n}.self_attn.{theirs}.weight")];
            for head in 0..heads {
                for i in 0..8 {
                    let row = |x: &[f32], at: usize| x[(head * 16 + at) * 64..][..64].to_vec();
                    assert_eq!(row(&found, 2 * i), row(from, i));
                    assert_eq!(row(&found, 2 * i + 1), row(from, 8 + i));
                }
            }
        }
    }
    assert_eq!(file.tensors["blk.0.attn_k.weight"].dims, [64, 32], "from the innermost");
    let number = |key: &str| file.meta[key].clone();
    assert_eq!(number("general.architecture"), Meta::Text("llama".into()));
    for (key, expected) in [
        ("llama.block_count", 2.0),
        ("llama.context_length", 256.0),
        ("llama.attention.head_count", 4.0),
        ("llama.attention.head_count_kv", 2.0),
        ("llama.rope.dimension_count", 16.0),
        ("llama.vocab_size", 1024.0),
        ("tokenizer.ggml.add_bos_token", 1.0),
        ("tokenizer.ggml.add_eos_token", 0.0),
    ] {
        assert_eq!(number(key), Meta::Number(expected), "{key}");
    }
    let Meta::List(tokens) = number("tokenizer.ggml.tokens") else { panic!("a list") };
    assert_eq!(tokens.len(), 1024);
    let Meta::Number(eos) = number("tokenizer.ggml.eos_token_id") else { panic!("a number") };
    assert_eq!(tokens[eos as usize], Meta::Text("<|im_end|>".into()));
    let Meta::Text(template) = number("tokenizer.chat_template") else { panic!("a text") };
    assert!(!template.contains("generation %}") && template.contains("<|im_start|>"));

    let modelfile = std::fs::read_to_string(folder.path().join("plain.Modelfile")).unwrap();
    assert!(modelfile.starts_with("FROM ./plain.gguf\nTEMPLATE \"\"\""), "{modelfile}");
    assert!(modelfile.contains("\nPARAMETER stop \"<|im_end|>\"\n"), "{modelfile}");
    assert!(modelfile.ends_with("\nPARAMETER num_ctx 256\n"), "{modelfile}");
}

#[test]
fn a_turn_may_end_otherwise_than_a_text_and_a_template_be_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    generated(&base);
    let path = base.join("tokenizer_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace(r#""eos_token": "<|im_end|>""#, r#""eos_token": "<|endoftext|>""#);
    assert_ne!(text, changed);
    std::fs::write(path, changed).unwrap();
    std::fs::write(base.join("chat_template.jinja"), "{% for m in messages %}[{{ m.content }}]{% endfor %}")
        .unwrap();
    let out = folder.path().join("own.gguf");
    export(&base, Quantize::F32, &out).unwrap();
    let file = read(&out);
    let Meta::List(tokens) = &file.meta["tokenizer.ggml.tokens"] else { panic!("a list") };
    let named = |key: &str| match &file.meta[key] {
        Meta::Number(id) => tokens[*id as usize].clone(),
        other => panic!("{key} is {other:?}"),
    };
    assert_eq!(named("tokenizer.ggml.eos_token_id"), Meta::Text("<|endoftext|>".into()));
    assert_eq!(named("tokenizer.ggml.eot_token_id"), Meta::Text("<|im_end|>".into()));
    let modelfile = std::fs::read_to_string(folder.path().join("own.Modelfile")).unwrap();
    assert!(!modelfile.contains("TEMPLATE"), "Ollama reads the file's own: {modelfile}");
    for stop in ["<|endoftext|>", "<|im_end|>"] {
        assert!(modelfile.contains(&format!("PARAMETER stop \"{stop}\"")), "{modelfile}");
    }
}

#[test]
fn an_adapter_is_in_the_weights_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let params = ExportParams {
        base: fixture("llama"),
        adapter: Some(fixture("llama").join("adapter")),
        to: ExportFormat::Gguf,
        quantize: Some(Quantize::F32),
        out: folder.path().join("tuned.gguf"),
        name: None,
    };
    tillage_export::export(&params, &mut |_, _| true).unwrap();
    let mut model = Model::load(&fixture("llama")).unwrap();
    let of = |model: &Model| -> Vec<f32> {
        let name = "model.layers.1.mlp.down_proj.weight";
        model.stored().find(|w| w.name == name).unwrap().numbers().into_owned()
    };
    let before = of(&model);
    model.load_adapter(&fixture("llama").join("adapter")).unwrap();
    model.merge_adapter();
    let found = decode(&read(&params.out).tensors["blk.1.ffn_down.weight"]);
    assert!(found == of(&model) && found != before);
}

#[test]
fn rounded_numbers_are_as_near_as_their_type_allows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |quantize: Quantize| {
        let out = folder.path().join(format!("{}.gguf", quantize.name()));
        export(&fixture("llama"), quantize, &out).unwrap();
        read(&out)
    };
    let exact = write(Quantize::F32);
    for (quantize, codes) in [
        (Quantize::F16, &[1][..]),
        (Quantize::Bf16, &[30]),
        (Quantize::Q8, &[8, 1]),
        (Quantize::Q4, &[2, 8, 1]),
    ] {
        let file = write(quantize);
        let mut seen = Vec::new();
        for (name, tensor) in &file.tensors {
            let (ours, exact) = (decode(tensor), decode(&exact.tensors[name]));
            if tensor.dims.len() == 1 {
                assert_eq!(tensor.kind, 0, "{name}");
                assert_eq!(ours, exact);
                continue;
            }
            seen.push(tensor.kind);
            for (ours, exact) in ours.chunks(32).zip(exact.chunks(32)) {
                let most = exact.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                for (a, b) in ours.iter().zip(exact) {
                    let step = match tensor.kind {
                        1 => b.abs() / 2048.0 + 1e-7,
                        30 => b.abs() / 256.0,
                        // Half a step, and what the scale lost in f16.
                        8 => most / 127.0 * 0.51 + most / 2048.0,
                        // The end of the range without a code of its own is a whole step away.
                        _ => most / 8.0 * 1.01 + most / 2048.0,
                    };
                    assert!((a - b).abs() <= step, "{name}: {a} for {b}");
                }
            }
        }
        assert!(
            codes.iter().all(|c| seen.contains(c)) && seen.iter().all(|k| codes.contains(k)),
            "{quantize:?}: {seen:?}"
        );
    }
}

/// A small model from a seed, which is the same on every machine; its tokenizer is the fixture's.
fn generated(dir: &Path) {
    let config = r#"{"model_type": "qwen2", "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "rope_theta": 10000.0, "tie_word_embeddings": true}"#;
    // Weights by a linear congruential generator, in exact fractions: no machine rounds them differently.
    let mut model = Model::init(ModelConfig::from_json(config).unwrap(), 1);
    model.set_trainable(tillage_model::Trainable::Full);
    let mut state = 7u64;
    for parameter in model.parameters_mut() {
        for x in parameter.value {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *x = ((state >> 40) as f32 - (1u64 << 23) as f32) / (1u64 << 25) as f32;
        }
    }
    model.save(dir).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        std::fs::copy(fixture("llama").join(name), dir.join(name)).unwrap();
    }
}

#[test]
fn files_that_llama_cpp_has_read_are_written_again_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    generated(&base);
    let mut hashes = Vec::new();
    for quantize in Quantize::ALL {
        let out = folder.path().join(format!("{}.gguf", quantize.name()));
        export(&base, quantize, &out).unwrap();
        let digest = Sha256::digest(std::fs::read(&out).unwrap());
        hashes.push((quantize.name(), digest.iter().map(|b| format!("{b:02x}")).collect::<String>()));
    }
    if let Some(keep) = std::env::var_os("TILLAGE_KEEP_GGUF") {
        std::fs::rename(folder.keep(), keep).unwrap();
    }
    let known: Vec<(&str, String)> = HASHES.iter().map(|(name, hash)| (*name, (*hash).to_owned())).collect();
    assert_eq!(hashes, known);
}

/// `npm run test:peers` has had these very files read by llama.cpp and by the package `gguf`.
const HASHES: [(&str, &str); 5] = [
    ("f32", "64c259267c6810e91e6c4b81cd5e802574be3edae18d9ac99dbfd0d09f1b12e9"),
    ("f16", "4dc52bc65fee3ee43208608b6cf92a0df806a26320c22535f3ffe77965352e06"),
    ("bf16", "603c8ac65fc8834c704f34a76065c5594a3daaea0a2e72ca8f815808460b65d7"),
    ("q8_0", "66456348858a9b222384682d1b58a32990e958be96fdbe7b652eedef3e87d784"),
    ("q4_0", "2b034f409f9e44dd09f45aac5093b9c369ccae17d7cfb926df1ada064cdf83bb"),
];

#[test]
fn what_llama_cpp_does_not_compute_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, change: &dyn Fn(&Path)| {
        let base = folder.path().join(name);
        std::fs::create_dir(&base).unwrap();
        generated(&base);
        change(&base);
        let out = folder.path().join(format!("{name}.gguf"));
        let error = export(&base, Quantize::F32, &out).expect_err(name);
        assert!(!out.exists() && !out.with_extension("Modelfile").exists());
        error.code
    };
    let replace = |file: &'static str, from: &'static str, to: &'static str| {
        move |dir: &Path| {
            let text = std::fs::read_to_string(dir.join(file)).unwrap();
            assert!(text.contains(from), "{from} in {file}");
            std::fs::write(dir.join(file), text.replace(from, to)).unwrap();
        }
    };
    let yarn = |dir: &Path| {
        let path = dir.join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["rope_parameters"] = serde_json::json!({"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
            "original_max_position_embeddings": 16});
        std::fs::write(path, config.to_string()).unwrap();
    };
    assert_eq!(refused("yarn", &yarn), "unsupported_gguf");
    let split = replace("tokenizer.json", r#""use_regex": true"#, r#""use_regex": false"#);
    assert_eq!(refused("split", &split), "unsupported_gguf_tokenizer");
    let out = folder.path().join("twice.gguf");
    export(&fixture("llama"), Quantize::Q8, &out).unwrap();
    assert_eq!(export(&fixture("llama"), Quantize::Q8, &out).unwrap_err().code, "output_exists");
    std::fs::remove_file(&out).unwrap();
    // The Modelfile beside it is somebody's too.
    assert_eq!(export(&fixture("llama"), Quantize::Q8, &out).unwrap_err().code, "output_exists");
    let folder_out = folder.path().join("no-ending");
    assert_eq!(export(&fixture("llama"), Quantize::Q8, &folder_out).unwrap_err().code, "bad_output");
}

#[test]
fn a_cancelled_export_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let params = ExportParams {
        base: fixture("llama"),
        adapter: Some(fixture("llama").join("adapter")),
        to: ExportFormat::Gguf,
        quantize: None,
        out: folder.path().join("x.gguf"),
        name: None,
    };
    let mut seen = Vec::new();
    let error = tillage_export::export(&params, &mut |done, total| {
        seen.push((done, total));
        seen.len() < 5
    })
    .unwrap_err();
    assert_eq!((error.code.as_str(), seen.len()), ("cancelled", 5));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
