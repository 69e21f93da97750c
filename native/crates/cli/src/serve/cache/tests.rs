use super::*;
use tillage_model::LoraConfig;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama")
}

/// A copy of the fixture's model.
fn copy(to: &Path) -> PathBuf {
    std::fs::create_dir_all(to).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(fixture().join(name), to.join(name)).unwrap();
    }
    to.to_owned()
}

fn wanted(base: &Path, dtype: Dtype) -> ModelRef {
    ModelRef { base: base.to_owned(), adapter: None, adapters: Vec::new(), dtype }
}

fn adapter(path: &Path) -> AdapterRef {
    AdapterRef { name: key(path), path: path.to_owned(), weight: 1.0 }
}

#[test]
fn a_base_is_another_in_another_precision_and_when_its_files_change() {
    let folder = tempfile::tempdir().unwrap();
    let base = copy(&folder.path().join("a"));
    let mut models = Models::default();
    for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F32] {
        assert_eq!(models.get(&wanted(&base, dtype), &[]).unwrap().model.dtype(), dtype);
    }
    assert_eq!(models.loaded.len(), 2);
    let before = models.get(&wanted(&base, Dtype::F32), &[]).unwrap().model_hash.clone();
    let mut other = Model::load(&base).unwrap();
    other.set_trainable(tillage_model::Trainable::Full);
    other.parameters_mut()[0].value[0] += 1.0;
    std::fs::remove_file(base.join("model.safetensors")).unwrap();
    other.save(&base).unwrap();
    let after = models.get(&wanted(&base, Dtype::F32), &[]).unwrap();
    assert_ne!(after.model_hash, before);
    // What was read before in any precision is given up.
    assert_eq!(models.loaded.len(), 1);
}

#[test]
fn two_bases_are_kept_and_the_one_asked_last_is_among_them() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| copy(&folder.path().join(name)));
    let mut models = Models::default();
    for (base, kept) in
        [(&a, vec![&a]), (&b, vec![&a, &b]), (&a, vec![&b, &a]), (&c, vec![&a, &c]), (&b, vec![&c, &b])]
    {
        assert_eq!(models.get(&wanted(base, Dtype::F32), &[]).unwrap().base, *base);
        assert_eq!(models.loaded.iter().map(|l| &l.base).collect::<Vec<_>>(), kept);
    }
}

#[test]
fn adapters_that_were_not_asked_for_the_longest_are_given_up_and_never_those_of_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Model::load(&fixture()).unwrap();
    let lora = LoraConfig { targets: vec!["q_proj".into()], ..LoraConfig::plain(2) };
    let all: Vec<AdapterRef> = (0..12)
        .map(|i| {
            model.attach_lora(&lora, i).unwrap();
            let dir = folder.path().join(format!("adapter-{i:02}"));
            std::fs::create_dir(&dir).unwrap();
            model.save_adapter(&dir, "base").unwrap();
            adapter(&dir)
        })
        .collect();
    let mut models = Models::default();
    let model = wanted(&fixture(), Dtype::F32);
    let mut held = |asked: &[AdapterRef]| -> Vec<String> {
        let loaded = models.get(&model, asked).unwrap();
        for one in asked {
            assert_eq!(
                loaded.adapter_hash(&one.path).unwrap(),
                tillage_generate::adapter_hash(&one.path).unwrap()
            );
        }
        let own: Vec<String> = loaded.adapters.iter().map(|a| key(&a.path)).collect();
        let mut names: Vec<&str> = loaded.model.held_adapters().collect();
        let mut sorted: Vec<&str> = own.iter().map(String::as_str).collect();
        names.sort_unstable();
        sorted.sort_unstable();
        assert_eq!(names, sorted, "the model holds those that are known, and no other");
        own
    };
    let names = |of: &[AdapterRef]| of.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
    assert_eq!(held(&all), names(&all), "a request has all that it asks for");
    // Beside those of the next request eight are kept.
    let next = held(&all[..1]);
    assert_eq!(next, [&names(&all[4..])[..], &names(&all[..1])].concat());
    assert_eq!(held(&all[2..4]), [&names(&all[5..])[..], &names(&all[..1]), &names(&all[2..4])].concat());
}
