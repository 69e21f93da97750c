//! Exports of the fixture with its adapters: what comes out computes the same.

use std::path::{Path, PathBuf};
use tillage_model::{Model, Packed};
use tillage_protocol::export::{ExportFormat, ExportParams, ExportResult};
use tillage_protocol::EngineError;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama")
}

fn export(
    base: &Path,
    adapter: &Path,
    name: &str,
    to: ExportFormat,
    out: &Path,
) -> Result<ExportResult, EngineError> {
    let params = ExportParams {
        base: base.into(),
        adapter: Some(adapter.into()),
        to,
        quantize: None,
        out: out.into(),
        name: Some(name.into()),
    };
    tillage_export::export(&params, &mut |_, _| true)
}

fn logits(model: &Model) -> Vec<f32> {
    let tokens: Vec<u32> = (0..40).map(|i| (i * i * 13 + 5) % 1024).collect();
    model.logits(&Packed::texts([tokens.as_slice()]), &[0, 7, 39])
}

fn tuned(adapter: &Path) -> Model {
    let mut model = Model::load(&fixture()).expect("the fixture");
    model.load_adapter(adapter).expect("its adapter");
    model
}

#[test]
fn merged_models_stand_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["adapter", "adapter_rslora", "adapter_dora"] {
        let out = folder.path().join(name);
        export(&fixture(), &fixture().join(name), "base", ExportFormat::Merged, &out).expect("an export");
        let ours = logits(&Model::load(&out).expect("a whole model"));
        let expected = logits(&tuned(&fixture().join(name)));
        let largest = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(ours.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5 * largest), "{name}");
        assert_ne!(ours, logits(&Model::load(&fixture()).expect("the base")), "{name} changes the model");
        for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
            assert_eq!(
                std::fs::read(out.join(file)).expect(file),
                std::fs::read(fixture().join(file)).expect(file)
            );
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), 3, "nothing temporary is left: {left:?}");
}

#[test]
fn peft_adapters_come_out_as_they_went_in() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["adapter", "adapter_rslora", "adapter_dora"] {
        let out = folder.path().join(name);
        export(&fixture(), &fixture().join(name), "some/base", ExportFormat::Peft, &out).expect("an export");
        assert_eq!(logits(&tuned(&out)), logits(&tuned(&fixture().join(name))), "{name}, bit for bit");
        let read = |path: &Path| -> serde_json::Value {
            serde_json::from_str(
                &std::fs::read_to_string(path.join("adapter_config.json")).expect("a config"),
            )
            .expect("JSON")
        };
        let (ours, theirs) = (read(&out), read(&fixture().join(name)));
        for key in
            ["peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "bias", "task_type", "target_modules"]
        {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        assert_eq!(ours["base_model_name_or_path"], "some/base");
    }
}

#[test]
fn a_merged_model_keeps_how_it_generates() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().join("base");
    std::fs::create_dir(&base).expect("a folder");
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(fixture().join(file), base.join(file)).expect(file);
    }
    let settings = r#"{"eos_token_id": [2, 3], "temperature": 0.6}"#;
    std::fs::write(base.join("generation_config.json"), settings).expect("written");
    let out = folder.path().join("out");
    export(&base, &fixture().join("adapter"), "base", ExportFormat::Merged, &out).expect("an export");
    assert_eq!(std::fs::read_to_string(out.join("generation_config.json")).expect("settings"), settings);
}

#[test]
fn a_tuned_prompt_goes_out_as_peft_has_it_and_in_no_other_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("own");
    std::fs::create_dir(&own).expect("a folder");
    let mut model = Model::load(&fixture()).expect("the fixture");
    model.attach_prompt(5, Some(("so", &[17, 230])), 1).expect("a prompt");
    model.save_adapter(&own, "base").expect("room");
    let out = folder.path().join("out");
    export(&fixture(), &own, "some/base", ExportFormat::Peft, &out).expect("an export");
    let prompted = |adapter: &Path| {
        let model = tuned(adapter);
        let tokens = [&model.prefix(None)[..], &[4, 5]].concat();
        assert_eq!(tokens.len(), 7);
        model.logits(&Packed::texts([tokens.as_slice()]), &[6])
    };
    assert_eq!(prompted(&out), prompted(&own), "bit for bit");
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("adapter_config.json")).expect("a config"))
            .expect("JSON");
    assert_eq!((&config["peft_type"], &config["num_virtual_tokens"]), (&"PROMPT_TUNING".into(), &5.into()));
    assert_eq!(config["base_model_name_or_path"], "some/base");
    for (format, name) in [(ExportFormat::Merged, "merged"), (ExportFormat::Gguf, "x.gguf")] {
        let out = folder.path().join(name);
        let error = export(&fixture(), &own, "base", format, &out).expect_err("no weights stand for it");
        assert_eq!(error.code, "prompt_not_mergeable");
        assert!(!out.exists());
    }
}

#[test]
fn an_export_never_overwrites() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("notes.txt"), "mine").expect("written");
    let adapter = fixture().join("adapter");
    let error = export(&fixture(), &adapter, "base", ExportFormat::Merged, folder.path())
        .expect_err("a folder in use");
    assert_eq!(error.code, "output_exists");
    // Sources are read-only: exporting a model onto itself is refused by the same rule.
    assert_eq!(
        export(&fixture(), &adapter, "base", ExportFormat::Merged, &fixture()).expect_err("the base").code,
        "output_exists"
    );
    let out = folder.path().join("new");
    let missing = export(&fixture(), &folder.path().join("none"), "base", ExportFormat::Peft, &out)
        .expect_err("no adapter");
    assert_eq!(missing.code, "file_not_found");
    assert!(!out.exists());
}
