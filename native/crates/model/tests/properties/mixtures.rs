//! Several adapters at once.

use crate::families::shapes;
use crate::support::{adapt, batch, close, lora, model, model_of, text};
use std::path::Path;
use tillage_model::{LoraConfig, Mix, Model};

/// Saves an adapter whose B is its own.
fn save(base: fn() -> Model, config: &LoraConfig, factor: f32, dir: &Path) {
    let mut tuned = adapt(base(), config);
    for p in tuned.parameters_mut().into_iter().filter(|p| p.name.contains("lora_B")) {
        p.value.iter_mut().enumerate().for_each(|(i, v)| *v = factor * ((i * 29 % 13) as f32 - 6.0) * 0.02);
    }
    tuned.save_adapter(dir, "base").expect("a writable folder");
}

/// A model that holds adapters `a` (all projections), `b` (rsLoRA on some, another rank) and `d` (DoRA).
fn holding(base: fn() -> Model, folder: &Path) -> Model {
    let mut b = lora(&["q_proj", "down_proj"]);
    (b.r, b.rslora) = (5, true);
    let mut d = lora(&["q_proj", "up_proj"]);
    d.dora = true;
    let mut model = base();
    for (name, config, factor) in [("a", lora(&["all-linear"]), 1.0), ("b", b, -1.5), ("d", d, 0.7)] {
        let dir = folder.join(name);
        std::fs::create_dir_all(&dir).expect("a folder");
        save(base, &config, factor, &dir);
        model.hold_adapter(name, &dir).expect("an adapter");
    }
    model
}

fn all(model: &Model, mixes: Option<&[&Mix]>) -> Vec<f32> {
    let pack = batch();
    model.logits_mixed(&pack, &(0..pack.tokens.len()).collect::<Vec<_>>(), mixes)
}

fn experts() -> Model {
    let mut all = shapes().into_iter();
    model_of(all.find(|(_, config)| config.model_type == "mixtral").expect("a family with experts").1)
}

#[test]
fn one_held_adapter_is_that_adapter_and_none_is_the_base_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut held = holding(model, folder.path());
    let base = all(&model(), None);
    assert_eq!(held.held_adapters().collect::<Vec<_>>(), ["a", "b", "d"]);
    assert_eq!(all(&held, None), base, "what is held does nothing by itself");
    let none = Mix::default();
    assert_eq!(all(&held, Some(&[&none; 3])), base);
    for name in ["a", "b", "d"] {
        let mut alone = model();
        alone.load_adapter(&folder.path().join(name)).expect("an adapter");
        let mix = held.mix(&[(name, 1.0)]).expect("a mixture");
        let found = all(&held, Some(&[&mix; 3]));
        assert_eq!(found, all(&alone, None), "{name}");
        assert_ne!(found, base);
        assert_eq!(all(&held, None), base, "a pass leaves nothing behind");
    }
    // The model's own adapter does not count where there is a mixture.
    held.load_adapter(&folder.path().join("b")).expect("an adapter");
    assert_eq!(all(&held, Some(&[&none; 3])), base);
    assert!(held.drop_adapter("a") && !held.drop_adapter("a"));
    assert_eq!(held.mix(&[("a", 1.0)]).expect_err("gone").code, "unknown_adapter");
}

#[test]
fn a_mixture_adds_the_changes_with_their_weights() {
    for base in [model as fn() -> Model, experts] {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::create_dir_all(&a).expect("a folder");
        std::fs::create_dir_all(&b).expect("a folder");
        save(base, &lora(&["all-linear"]), 1.0, &a);
        let mut other = lora(&["q_proj", "o_proj"]);
        (other.r, other.rslora) = (5, true);
        save(base, &other, -1.5, &b);
        let mut held = base();
        held.hold_adapter("a", &a).expect("an adapter");
        held.hold_adapter("b", &b).expect("an adapter");
        let mix = held.mix(&[("a", 0.7), ("b", -0.4)]).expect("a mixture");
        let found = all(&held, Some(&[&mix; 3]));
        // The same with the weights in the files' alphas, one merged after the other.
        let mut merged = base();
        for (dir, weight) in [(&a, 0.7), (&b, -0.4)] {
            let file = dir.join("adapter_config.json");
            let text = std::fs::read_to_string(&file).expect("a config");
            let changed = text.replace(r#""lora_alpha": 6"#, &format!(r#""lora_alpha": {}"#, 6.0 * weight));
            assert_ne!(text, changed);
            std::fs::write(&file, changed).expect("written");
            merged.load_adapter(dir).expect("an adapter");
            merged.merge_adapter();
        }
        close(&found, &all(&merged, None), 2e-5);
        assert_ne!(found, all(&held, Some(&[&held.mix(&[("a", 0.7)]).expect("a mixture"); 3])));
    }
}

#[test]
fn a_lone_adapter_has_its_weight_and_a_new_one_takes_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut held = holding(model, folder.path());
    let of = |held: &Model, name: &str, weight: f64| {
        let mix = held.mix(&[(name, weight)]).expect("a mixture");
        all(held, Some(&[&mix; 3]))
    };
    let half = of(&held, "a", 0.5);
    // The same with half the alpha in its file.
    let file = folder.path().join("a/adapter_config.json");
    let text = std::fs::read_to_string(&file).expect("a config");
    let changed = text.replace(r#""lora_alpha": 6"#, r#""lora_alpha": 3"#);
    assert_ne!(text, changed);
    std::fs::write(&file, changed).expect("written");
    let mut weaker = model();
    weaker.load_adapter(&folder.path().join("a")).expect("an adapter");
    close(&half, &all(&weaker, None), 2e-5);
    assert_ne!(half, of(&held, "a", 1.0));
    held.hold_adapter("a", &folder.path().join("b")).expect("another of the name");
    assert_eq!(of(&held, "a", 1.0), of(&held, "b", 1.0));
    assert_eq!(held.held_adapters().filter(|name| *name == "a").count(), 1);
}

#[test]
fn sequences_of_a_batch_have_each_their_own() {
    for sparse in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let held = if !sparse {
            holding(model, folder.path())
        } else {
            save(experts, &lora(&["all-linear"]), 1.0, folder.path());
            let mut held = experts();
            for name in ["a", "b", "d"] {
                held.hold_adapter(name, folder.path()).expect("an adapter");
            }
            held
        };
        let mix = |parts: &[(&str, f64)]| held.mix(parts).expect("a mixture");
        let mixes = [
            mix(&[("a", 1.0)]),
            mix(&[]),
            mix(&[("d", 1.0)]),
            mix(&[("a", 0.5), ("b", 2.0)]),
            mix(&[("a", 1.0)]),
        ];
        let texts: Vec<Vec<u32>> = (0..5).map(|i| text(4 + i, i)).collect();
        let each: Vec<&Mix> = mixes.iter().collect();
        let refs: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let mut caches: Vec<_> = texts.iter().map(|_| held.new_cache(12)).collect();
        let first = held.decode_mixed(&refs, &mut caches, Some(&each));
        let next: Vec<&[u32]> = vec![&[7]; 5];
        let second = held.decode_mixed(&next, &mut caches, Some(&each));
        let vocab = held.config().vocab_size;
        for (i, own) in texts.iter().enumerate() {
            let mut cache = held.new_cache(12);
            let alone = [each[i]];
            let one = held.decode_mixed(&[own], std::slice::from_mut(&mut cache), Some(&alone));
            let two = held.decode_mixed(&[&[7]], std::slice::from_mut(&mut cache), Some(&alone));
            close(&first[i * vocab..(i + 1) * vocab], &one, 1e-5);
            close(&second[i * vocab..(i + 1) * vocab], &two, 1e-5);
        }
        // The base's rows are those of a batch without any adapter, bit for bit.
        let mut caches: Vec<_> = texts.iter().map(|_| held.new_cache(12)).collect();
        let plain = held.decode_batch(&refs, &mut caches);
        assert_eq!(first[vocab..2 * vocab], plain[vocab..2 * vocab]);
        assert_ne!(first[..vocab], plain[..vocab]);
    }
}

#[test]
fn what_cannot_be_mixed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut held = holding(model, folder.path());
    let mut prompted = model();
    prompted.attach_prompt(3, None, 1).expect("a prompt");
    let dir = folder.path().join("p");
    std::fs::create_dir_all(&dir).expect("a folder");
    prompted.save_adapter(&dir, "base").expect("a writable folder");
    held.hold_adapter("p", &dir).expect("a prompt");
    for (parts, code) in [
        (&[("a", 1.0), ("d", 1.0)][..], "bad_mix"),
        (&[("d", 0.5)], "bad_mix"),
        (&[("p", 0.5)], "bad_mix"),
        (&[("p", 1.0), ("a", 1.0)], "bad_mix"),
        (&[("a", f64::NAN)], "bad_mix"),
        (&[("a", 1.0), ("a", 1.0)], "bad_mix"),
        (&[("c", 1.0)], "unknown_adapter"),
    ] {
        let error = held.mix(parts).expect_err("refused");
        assert_eq!(error.code, code);
    }
    let prompt = held.mix(&[("p", 1.0)]).expect("alone");
    let vocab = held.config().vocab_size as u32;
    assert_eq!(held.prefix(Some(&prompt)), (vocab..vocab + 3).collect::<Vec<_>>());
    assert!(held.prefix(None).is_empty() && held.prefix(Some(&Mix::default())).is_empty());
}
