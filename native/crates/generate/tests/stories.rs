//! A real pretrained model, from text to text: its greedy story word for word.

use std::path::{Path, PathBuf};
use tillage_generate::{answers, Flow, Sampling};
use tillage_protocol::run::{LossOn, Template, WatchPrompt};
use tillage_text::{Clock, RowEncoder, Tokenizer};

#[test]
fn the_greedy_story_is_that_of_transformers() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let shared =
        std::env::var_os("TILLAGE_SHARED").map_or_else(|| repository.join("../shared"), PathBuf::from);
    let dir = shared.join("models/stories260k");
    if !dir.is_dir() {
        println!("not compared: the model stories260k is not on this machine (set TILLAGE_SHARED to the folder that holds models/)");
        return;
    }
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
    let expected = golden["greedy_text"].as_str().unwrap();
    let model = tillage_generate::load(&dir, None, tillage_protocol::run::Dtype::F32).unwrap();
    let tokenizer = Tokenizer::load(&dir).unwrap();
    let encoder = RowEncoder::new(tokenizer, Template::Plain, LossOn::All, 512, Clock::System).unwrap();
    let max_new = golden["greedy_ids"].as_array().unwrap().len();
    let prompt = WatchPrompt { id: "story".into(), prompt: String::new() };
    let mut streamed = String::new();
    let sampling = Sampling { max_new, temperature: 0.0, seed: 0 };
    let mut on_text = |_: usize, piece: &str| {
        streamed.push_str(piece);
        Flow::Go
    };
    let story = answers(&model, &encoder, &[prompt], &sampling, 1, &mut on_text).unwrap().remove(0);
    assert_eq!(story.text.trim(), expected.trim());
    assert_eq!(streamed.trim(), expected.trim());
    assert!(story.logprobs.iter().all(|p| *p <= 0.0));

    let drawn = |seed: u64, id: &str| {
        let prompt = WatchPrompt { id: id.into(), prompt: "Once upon a time".into() };
        let sampling = Sampling { max_new: 40, temperature: 1.0, seed };
        answers(&model, &encoder, &[prompt], &sampling, 1, &mut |_, _| Flow::Go).unwrap().remove(0).text
    };
    assert_eq!(drawn(3, "a"), drawn(3, "a"));
    assert_ne!(drawn(3, "a"), drawn(4, "a"));
    assert_ne!(drawn(3, "a"), drawn(3, "b"));
}
