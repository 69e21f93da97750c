//! Scores against transformers: the fixture's losses, and a real pretrained model's log-probabilities.

use crate::support::*;
use safetensors::SafeTensors;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use tillage_model::{Packed, IGNORE};

fn numbers<const N: usize, T>(file: &SafeTensors, name: &str, of: fn([u8; N]) -> T) -> Vec<T> {
    let tensor = file.tensor(name).unwrap();
    tensor.data().chunks_exact(N).map(|b| of(b.try_into().unwrap())).collect()
}

#[test]
fn losses_are_those_of_the_reference() {
    let f = Fixture::new();
    let bytes = std::fs::read(fixture().join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ids = numbers(&file, "input_ids", i64::from_le_bytes);
    let labels = numbers(&file, "labels", i64::from_le_bytes);
    let expected = numbers(&file, "per_example_loss", f32::from_le_bytes);
    let mask = numbers(&file, "attention_mask", i64::from_le_bytes);
    let mut pack = Packed { starts: vec![0], ..Packed::default() };
    for row in 0..2 {
        let length = mask[row * 48..][..48].iter().sum::<i64>() as usize;
        pack.tokens.extend(ids[row * 48..][..length].iter().map(|&t| t as u32));
        pack.labels.extend_from_slice(&labels[row * 48 + 1..][..length - 1]);
        pack.labels.push(IGNORE);
        pack.starts.push(pack.tokens.len());
    }
    let reading = f.model.read(&pack, true, None).unwrap();
    assert_eq!(reading.pooled.len(), 2 * 64);
    let mut losses = &reading.losses[..];
    for (row, expected) in expected.iter().enumerate() {
        let counted =
            pack.labels[pack.starts[row]..pack.starts[row + 1]].iter().filter(|l| **l != IGNORE).count();
        let (own, rest) = losses.split_at(counted);
        losses = rest;
        let mean = own.iter().sum::<f32>() / counted as f32;
        assert!((mean - expected).abs() < 1e-5, "row {row}: {mean} instead of {expected}");
    }
    assert!(losses.is_empty());

    let tokens =
        numbers(&file, "pack.input_ids", i64::from_le_bytes).iter().map(|&t| t as u32).collect::<Vec<_>>();
    let sequence = numbers(&file, "pack.sequence_id", i64::from_le_bytes);
    let second = sequence.iter().position(|s| *s != sequence[0]).unwrap();
    let logp = numbers(&file, "pack.next_token_logp", f32::from_le_bytes);
    let pack = Packed::texts([&tokens[..second], &tokens[second..]]);
    let expected = logp.iter().zip(&pack.labels).filter(|(_, l)| **l != IGNORE).map(|(p, _)| -p);
    let ours = f.model.read(&pack, false, None).unwrap().losses;
    assert!(ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-5));
}

#[test]
fn a_pretrained_models_probabilities_are_those_of_the_reference() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared");
    let shared = std::env::var_os("TILLAGE_SHARED").map_or(beside, PathBuf::from);
    let dir = shared.join("models/stories260k");
    if !dir.is_dir() {
        println!("not compared: the model stories260k is not on this machine (set TILLAGE_SHARED to the folder that holds models/)");
        return;
    }
    let golden: Value = serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
    let text = golden["text"].as_str().unwrap();
    let logp = floats(&golden["token_logp"]);
    let f = Fixture::of(&dir);
    // A choice is not ended, as the reference's text is not; words in another order are far less likely.
    let mut words: Vec<&str> = text.split(' ').collect();
    words.reverse();
    let choices = json!({"prompt": "", "choices": [words.join(" "), text], "answer": 1});
    let (rows, result) = f.score(&[choices], |_| {});
    // The reference is rounded to six digits.
    close(&rows[0]["choice_logprobs"][1], logp.iter().sum(), 1e-3);
    close(&rows[0]["loss"], golden["mean_nll"].as_f64().unwrap(), 1e-5);
    close(&rows[0]["perplexity"], golden["mean_nll"].as_f64().unwrap().exp(), 5e-5);
    assert_eq!(rows[0]["choice_labels"][1], logp.len());
    assert_eq!(result.choices.unwrap().accuracy, Some(1.0));
}
