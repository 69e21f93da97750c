//! Weights in low precision: however they came to be so, they are the same weights.

use crate::support::{
    adapt, attention_scratch, batch, close, config, config_with, gradients, lora, model, text,
};
use safetensors::tensor::{Dtype as Stored, TensorView};
use serde_json::json;
use std::path::Path;
use tillage_kernels::matrix::{Arithmetic, CodedBf16};
use tillage_model::store::read_file;
use tillage_model::{Model, Packed, Trainable};
use tillage_protocol::run::Dtype;
use tillage_protocol::Blame;

const LOW: [Dtype; 3] = [Dtype::Bf16, Dtype::Int8, Dtype::Nf4];

fn logits(model: &Model) -> Vec<f32> {
    let pack = Packed::texts([text(23, 3).as_slice(), text(9, 1).as_slice()]);
    model.logits(&pack, &(0..32).collect::<Vec<_>>())
}

fn frozen(mut model: Model, dtype: Dtype) -> Model {
    model.freeze(dtype);
    model
}

/// Writes a saved model's weights anew, in another number format.
fn restore(folder: &Path, dtype: Stored, bytes: fn(f32) -> Vec<u8>) {
    let path = folder.join("model.safetensors");
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = read_file(&path)
        .expect("weights")
        .into_iter()
        .map(|(name, (shape, value))| (name, shape, value.into_iter().flat_map(bytes).collect()))
        .collect();
    let views = tensors.iter().map(|(n, s, b)| (n, TensorView::new(dtype, s.clone(), b).expect("a tensor")));
    safetensors::serialize_to_file(views, None, &path).expect("a writable folder");
}

#[test]
fn a_model_read_in_a_precision_is_the_model_brought_into_it() {
    for dtype in LOW {
        // f32 and bf16 files, of which the latter's matrices stay where they are.
        for stored in [Stored::F32, Stored::BF16] {
            let folder = tempfile::tempdir().expect("a folder");
            model().save(folder.path()).expect("a writable folder");
            match stored {
                Stored::BF16 => {
                    restore(folder.path(), stored, |x| half::bf16::from_f32(x).to_le_bytes().to_vec())
                }
                _ => restore(folder.path(), stored, |x| x.to_le_bytes().to_vec()),
            }
            let read = Model::load_as(folder.path(), dtype).expect("the model");
            let brought = frozen(Model::load(folder.path()).expect("the model"), dtype);
            assert_eq!((read.dtype(), brought.dtype()), (dtype, dtype));
            assert!(logits(&read) == logits(&brought), "{dtype:?} of {stored:?}");
            let answers = Model::load_to_answer(folder.path(), dtype).expect("the model");
            assert!(logits(&answers) == logits(&brought), "{dtype:?} of {stored:?}, to answer");
            assert_eq!(read.parameter_count(), model().parameter_count());
            assert!(logits(&read) != logits(&model()), "{dtype:?} changes something");
        }
    }
}

#[test]
fn a_model_that_answers_takes_less_memory_where_codes_pay_and_answers_the_same() {
    let sizes = json!({"hidden_size": 96, "intermediate_size": 160, "head_dim": 24});
    let folder = tempfile::tempdir().expect("a folder");
    Model::init(config_with(sizes), 3).save(folder.path()).expect("a writable folder");
    restore(folder.path(), Stored::BF16, |x| half::bf16::from_f32(x).to_le_bytes().to_vec());
    // Embeddings are in bf16 in all of them.
    for dtype in LOW {
        let mapped = Model::load_as(folder.path(), dtype).expect("the model");
        let answers = Model::load_to_answer(folder.path(), dtype).expect("the model");
        assert_eq!(answers.held_bytes() < mapped.held_bytes(), CodedBf16::pays(), "{dtype:?}");
        assert!(logits(&answers) == logits(&mapped), "{dtype:?}");
        let one = |model: &Model| model.logits(&Packed::texts([[5u32].as_slice()]), &[0]);
        assert!(one(&answers) == one(&mapped), "{dtype:?}");
    }
}

#[test]
fn matrices_that_files_have_the_other_way_round_are_read_too() {
    let gpt2 = json!({
        "model_type": "gpt2", "vocab_size": 61, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 64,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "initializer_range": 0.2,
    });
    let config = tillage_model::ModelConfig::from_json(&gpt2.to_string()).expect("a config");
    let folder = tempfile::tempdir().expect("a folder");
    Model::init(config, 3).save(folder.path()).expect("a writable folder");
    restore(folder.path(), Stored::BF16, |x| half::bf16::from_f32(x).to_le_bytes().to_vec());
    for dtype in LOW {
        let read = Model::load_as(folder.path(), dtype).expect("the model");
        let brought = frozen(Model::load(folder.path()).expect("the model"), dtype);
        assert!(logits(&read) == logits(&brought), "{dtype:?}");
    }
}

#[test]
fn saved_and_merged_weights_are_the_numbers_that_low_precision_stood_for() {
    for dtype in LOW {
        let mut low = adapt(frozen(model(), dtype), &lora(&["all-linear"]));
        low.set_arithmetic(Arithmetic::F32);
        let with_adapter = logits(&low);
        low.merge_adapter();
        close(&logits(&low), &with_adapter, 2e-5);
        let folder = tempfile::tempdir().expect("a folder");
        low.save(folder.path()).expect("a writable folder");
        // In f32 now, the tables too.
        close(&logits(&Model::load(folder.path()).expect("the model")), &with_adapter, 2e-5);
    }
}

#[test]
fn adapters_learn_on_low_precision_what_they_learn_on_its_numbers_in_f32() {
    for dtype in LOW {
        let folder = tempfile::tempdir().expect("a folder");
        frozen(model(), dtype).save(folder.path()).expect("a writable folder");
        let spec = lora(&["all-linear"]);
        let mut numbers = adapt(Model::load(folder.path()).expect("the model"), &spec);
        let mut low = adapt(frozen(model(), dtype), &spec);
        for (arithmetic, tolerance) in [(Arithmetic::F32, 1e-4), (Arithmetic::Bf16, 0.05)] {
            low.set_arithmetic(arithmetic);
            for ((name, ours), (_, exact)) in
                gradients(&mut low, &[&batch()]).into_iter().zip(gradients(&mut numbers, &[&batch()]))
            {
                assert!(ours.iter().any(|g| *g != 0.0), "{name}");
                close(&ours, &exact, tolerance);
            }
        }
    }
}

#[test]
fn dora_on_low_precision_is_dora_on_its_numbers() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama");
    let tokens: Vec<u32> = (0..40).map(|i| i * 23 % 1000).collect();
    let pack = Packed::texts([tokens.as_slice()]);
    let folder = tempfile::tempdir().expect("a folder");
    frozen(Model::load(&fixture).expect("the fixture"), Dtype::Nf4)
        .save(folder.path())
        .expect("a writable folder");
    let mut low = frozen(Model::load(&fixture).expect("the fixture"), Dtype::Nf4);
    low.set_arithmetic(Arithmetic::F32);
    let mut numbers = Model::load(folder.path()).expect("the model");
    let gradients = |model: &mut Model| {
        model.load_adapter(&fixture.join("adapter_dora")).expect("the adapter");
        model.set_trainable(Trainable::Adapter);
        gradients(model, &[&pack])
    };
    let (ours, exact) = (gradients(&mut low), gradients(&mut numbers));
    assert!(ours.iter().any(|(name, _)| name.contains("magnitude")));
    for ((_, ours), (_, exact)) in ours.iter().zip(&exact) {
        close(ours, exact, 1e-4);
    }
}

#[test]
fn weights_of_low_precision_are_not_trained_in_full() {
    for dtype in LOW {
        let mut model = frozen(model(), dtype);
        model.set_trainable(Trainable::Full);
        let error = model.forward_backward(&batch()).expect_err("no full training");
        assert_eq!((error.code.as_str(), error.blame), ("full_needs_f32", Blame::User));
        assert!(error.message.contains(dtype.name()), "{}", error.message);
    }
}

#[test]
fn the_plan_counts_the_bytes_of_the_precision() {
    // Wide enough for the weights to count.
    let wide = || Model::init(config_with(json!({"hidden_size": 192, "intermediate_size": 320})), 1);
    let mut weights = Vec::new();
    for dtype in Dtype::ALL {
        let mut model = frozen(wide(), dtype);
        weights.push(model.held_bytes());
        let spec = tillage_model::spec::DecoderSpec::of(model.config());
        let planned: u64 = spec.tensors().iter().map(|t| t.bytes(dtype)).sum();
        assert_eq!(planned, model.held_bytes() as u64, "{dtype:?}");
        model.attach_lora(&lora(&["all-linear"]), 1).expect("a valid adapter");
        model.set_trainable(Trainable::Adapter);
        let tokens = text(300, 1);
        model.forward_backward(&Packed::texts([tokens.as_slice()])).expect("a valid batch");
        let (plan, held) = (model.plan_bytes(300) as f64, model.held_bytes() as f64);
        let low = dtype != Dtype::F32;
        let threads = attention_scratch(model.config(), 300, low)
            + if low { tillage_kernels::cpu::frozen_scratch_bytes(300, 2048) } else { 0 };
        assert!(
            held <= plan && plan - threads as f64 <= held * 1.05,
            "{dtype:?}: planned {plan}, held {held}"
        );
    }
    let ratio = |i: usize| weights[0] as f64 / weights[i] as f64;
    assert!(ratio(1) > 1.95 && ratio(2) > 3.5 && ratio(3) > 5.5, "{weights:?}");
}

#[test]
fn a_tied_head_is_compared_in_any_format() {
    let folder = tempfile::tempdir().expect("a folder");
    model().save(folder.path()).expect("a writable folder");
    assert!(config().tie_word_embeddings);
    let path = folder.path().join("model.safetensors");
    let mut tensors = read_file(&path).expect("weights");
    let embedding = tensors["model.embed_tokens.weight"].clone();
    let write = |tensors: &tillage_model::store::Tensors| {
        let all = tensors.iter().map(|(n, (s, v))| (n.as_str(), s.as_slice(), v.as_slice()));
        tillage_model::store::write_file(&path, all).expect("a writable folder");
    };
    tensors.insert("lm_head.weight".into(), embedding.clone());
    write(&tensors);
    for dtype in Dtype::ALL {
        Model::load_as(folder.path(), dtype).expect("the same numbers twice");
    }
    tensors.get_mut("lm_head.weight").expect("the head").1[5] += 1.0;
    write(&tensors);
    for dtype in Dtype::ALL {
        let error = Model::load_as(folder.path(), dtype).expect_err("another head");
        assert_eq!(error.code, "untied_head");
    }
}

/// A model in mixed precision, all of whose weights are trained.
fn mixed() -> Model {
    let mut model = model();
    model.set_mixed(true);
    model.set_trainable(Trainable::Full);
    model
}

#[test]
fn mixed_precision_rounds_what_the_weights_are_now() {
    let mut changed = mixed();
    let before = logits(&changed);
    assert!(before != logits(&model()), "products are rounded");
    let mut fresh = mixed();
    for model in [&mut changed, &mut fresh] {
        let mut parameters = model.parameters_mut();
        parameters.iter_mut().flat_map(|p| p.value.iter_mut()).for_each(|v| *v *= 1.01);
    }
    let after = logits(&changed);
    assert!(after != before && after == logits(&fresh));
    // What is saved is in f32, and without rounding the model is what it was.
    changed.set_mixed(false);
    let folder = tempfile::tempdir().expect("a folder");
    changed.save(folder.path()).expect("a writable folder");
    assert!(logits(&changed) == logits(&Model::load(folder.path()).expect("the model")));
    assert!(logits(&changed) != after);
}

#[test]
fn gradients_in_mixed_precision_are_near_those_in_f32() {
    let mut exact = model();
    exact.set_trainable(Trainable::Full);
    let exact = gradients(&mut exact, &[&batch()]);
    let rounded = gradients(&mut mixed(), &[&batch()]);
    for ((name, exact), (_, rounded)) in exact.iter().zip(&rounded) {
        let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|x| f64::from(x * x)).sum::<f64>().sqrt();
        let apart =
            norm(&mut exact.iter().zip(rounded).map(|(a, b)| a - b)) / norm(&mut exact.iter().copied());
        assert!(apart > 0.0 && apart < 0.03, "{name}: {apart}");
    }
    // The same bits when activations are computed again, and twice as much from two batches.
    let mut again = mixed();
    again.set_recompute(true);
    assert!(gradients(&mut again, &[&batch()]) == rounded);
    let twice = gradients(&mut mixed(), &[&batch(), &batch()]);
    for ((_, one), (_, two)) in rounded.iter().zip(&twice) {
        close(two, &one.iter().map(|g| 2.0 * g).collect::<Vec<_>>(), 1e-5);
    }
}
