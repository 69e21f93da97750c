//! What tests of several modules begin with.

use std::path::PathBuf;
use tillage_model::{LoraConfig, Model, Trainable};

/// A llama with random weights and its tokenizer.
pub fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama")
}

/// Gives a model an adapter of rank 2 that changes it, to be trained; `head` adds what is trained besides.
pub fn adapt(model: &mut Model, head: impl FnOnce(&mut Model)) {
    model.attach_lora(&LoraConfig::plain(2), 3).unwrap();
    head(model);
    model.set_trainable(Trainable::Adapter);
    for p in model.parameters_mut().into_iter().filter(|p| p.name.contains("lora_B")) {
        p.value.iter_mut().enumerate().for_each(|(i, v)| *v = ((i * 53 % 17) as f32 - 8.0) * 0.03);
    }
}
