//! Every reference fixture: those that the project carries, and the whole set where it is there.

use std::path::{Path, PathBuf};
use tillage_model::family;
use tillage_model::parity::{run, Options};
use tillage_protocol::run::Dtype;

/// Folders of fixtures: the project's own, and those named by `TILLAGE_SHARED` or beside the project.
fn roots() -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let shared = std::env::var_os("TILLAGE_SHARED").map_or_else(|| project.join("../shared"), PathBuf::from);
    let own = project.join("test/fixtures/engine");
    assert!(own.is_dir(), "the project's own fixtures are missing: {}", own.display());
    std::iter::once(own).chain(Some(shared.join("fixtures")).filter(|p| p.is_dir())).collect()
}

fn fixtures() -> Vec<PathBuf> {
    let folders = roots().into_iter().flat_map(|root| std::fs::read_dir(root).expect("a readable folder"));
    let mut all: Vec<PathBuf> = folders
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.join("golden.safetensors").is_file())
        .collect();
    all.retain(|p| p.join("config.json").is_file());
    all.sort();
    all
}

fn model_type(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("config.json")).expect("config.json");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["model_type"].as_str().expect("model_type").to_owned()
}

#[test]
fn every_family_agrees_with_the_reference() {
    let mut compared = 0;
    for folder in fixtures() {
        let report = run(&Options {
            model: folder.clone(),
            golden: folder.join("golden.safetensors"),
            adapter: None,
            tolerance: 1.0,
            dtype: Dtype::F32,
        })
        .unwrap_or_else(|e| panic!("{}: {e:?}", folder.display()));
        assert!(report.ok(), "{}: {:?}\n{:#}", folder.display(), report.failed(), report.to_json());
        assert!(report.skipped().is_empty(), "{}: not compared: {:?}", folder.display(), report.skipped());
        assert!(report.checks() > 100, "{}: only {} comparisons", folder.display(), report.checks());
        compared += 1;
    }
    assert!(compared >= 3, "llama, llama_tied and llama_rope3 must be there");
}

#[test]
fn where_the_whole_set_is_there_no_family_is_without_a_reference() {
    let found: Vec<String> = fixtures().iter().map(|folder| model_type(folder)).collect();
    if roots().len() > 1 {
        for name in family::supported() {
            assert!(found.iter().any(|f| f == name), "{name}");
        }
    }
}

#[test]
fn preferences_agree_with_the_reference() {
    for root in roots() {
        let golden = root.join("llama_preferences/golden.safetensors");
        if !golden.is_file() {
            continue;
        }
        let model = root.join("llama");
        let report = run(&Options { model, golden, adapter: None, tolerance: 1.0, dtype: Dtype::F32 })
            .expect("a report");
        assert!(report.ok(), "{:?}\n{:#}", report.failed(), report.to_json());
        assert!(report.skipped().is_empty(), "{:?}", report.skipped());
        assert!(report.checks() > 19 * 28, "only {} comparisons", report.checks());
    }
}

#[test]
fn every_family_in_bf16_is_as_close_as_transformers_in_bf16() {
    for folder in fixtures() {
        let report = run(&Options {
            model: folder.clone(),
            golden: folder.join("golden.safetensors"),
            adapter: None,
            tolerance: 1.0,
            dtype: Dtype::Bf16,
        })
        .unwrap_or_else(|e| panic!("{}: {e:?}", folder.display()));
        assert!(report.ok(), "{}: {:?}\n{:#}", folder.display(), report.failed(), report.to_json());
        assert!(report.checks() >= 1, "{}", folder.display());
    }
}

#[test]
fn quantised_weights_agree_with_the_reference() {
    for root in roots() {
        let golden = root.join("quant/golden.safetensors");
        if !golden.is_file() {
            continue;
        }
        let model = root.join("llama");
        let report = run(&Options { model, golden, adapter: None, tolerance: 1.0, dtype: Dtype::Nf4 })
            .expect("a report");
        assert!(report.ok(), "{:?}\n{:#}", report.failed(), report.to_json());
        let known = |name: &String| ["fp4.", "int8_dynamic"].iter().any(|form| name.starts_with(form));
        assert!(report.skipped().keys().all(known), "not compared: {:?}", report.skipped());
        assert!(report.checks() > 90, "only {} comparisons", report.checks());
    }
}

#[test]
fn both_spellings_of_a_config_mean_the_same() {
    use tillage_model::ModelConfig;
    for folder in fixtures() {
        let old = std::fs::read_to_string(folder.join("config.v4.json")).expect("config.v4.json");
        let new = ModelConfig::from_dir(&folder).expect("config.json");
        assert_eq!(ModelConfig::from_json(&old).expect("config.v4.json"), new);
        assert_eq!(ModelConfig::from_json(&new.to_hf_json().to_string()).expect("our own"), new);
    }
}

#[test]
fn a_changed_weight_is_noticed() {
    use tillage_model::store::{read_file, write_file};
    let original = roots()[0].join("llama");
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["config.json", "golden.safetensors", "golden.json"] {
        std::fs::copy(original.join(name), copy.path().join(name)).expect("copied");
    }
    let mut weights = read_file(&original.join("model.safetensors")).expect("weights");
    let changed = weights.get_mut("model.layers.0.mlp.up_proj.weight").expect("a weight");
    changed.1.iter_mut().for_each(|w| *w *= 1.001);
    let path = copy.path().join("model.safetensors");
    write_file(&path, weights.iter().map(|(n, (s, v))| (n.as_str(), s.as_slice(), v.as_slice())))
        .expect("written");
    let options = Options {
        model: copy.path().into(),
        golden: copy.path().join("golden.safetensors"),
        adapter: None,
        tolerance: 1.0,
        dtype: Dtype::F32,
    };
    let report = run(&options).expect("a report");
    assert!(!report.ok() && report.failed().iter().any(|f| f == "logits"), "{:?}", report.failed());
    // The adapters were not copied, which is said rather than passed over.
    assert!(report.skipped().contains_key("lora.*"));
    assert!(run(&Options { tolerance: 1e4, ..options })
        .expect("a report")
        .failed()
        .iter()
        .all(|f| f.contains("greedy")));
}
