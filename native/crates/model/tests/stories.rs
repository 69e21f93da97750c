//! A real pretrained model, where it is there: greedy text token by token, and log-probabilities of a fixed story.

use std::path::{Path, PathBuf};
use tillage_kernels::cpu::log_softmax_at;
use tillage_model::{Model, Packed};

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared");
    let shared = std::env::var_os("TILLAGE_SHARED").map_or(beside, PathBuf::from);
    Some(shared.join("models/stories260k")).filter(|p| p.is_dir())
}

#[derive(serde::Deserialize)]
struct Golden {
    prompt_ids: Vec<u32>,
    greedy_ids: Vec<u32>,
    text_ids: Vec<u32>,
    token_logp: Vec<f64>,
    mean_nll: f64,
}

#[test]
fn a_pretrained_model_tells_its_story() {
    let Some(folder) = folder() else {
        println!("not compared: the model stories260k is not on this machine (set TILLAGE_SHARED to the folder that holds models/)");
        return;
    };
    let text = std::fs::read_to_string(folder.join("golden.json")).expect("golden.json");
    let golden: Golden = serde_json::from_str(&text).expect("JSON");
    let model = Model::load(&folder).expect("the model");

    let mut cache = model.new_cache(golden.prompt_ids.len() + golden.greedy_ids.len());
    let mut logits = model.decode(&golden.prompt_ids, &mut cache);
    for (i, &expected) in golden.greedy_ids.iter().enumerate() {
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).expect("a vocabulary");
        assert_eq!(best as u32, expected, "token {i}");
        logits = model.decode(&[expected], &mut cache);
    }

    let pack = Packed::texts([golden.text_ids.as_slice()]);
    let vocab = model.config().vocab_size;
    let positions: Vec<usize> = (0..golden.token_logp.len()).collect();
    let logits = model.logits(&pack, &positions);
    for (i, expected) in golden.token_logp.iter().enumerate() {
        let ours =
            f64::from(log_softmax_at(&logits[i * vocab..(i + 1) * vocab], golden.text_ids[i + 1] as usize));
        // The reference is rounded to six digits.
        assert!((ours - expected).abs() < 2e-5, "token {i}: {ours} instead of {expected}");
    }
    let loss = model.loss_only(&pack).expect("a valid batch");
    assert!((loss.mean() - golden.mean_nll).abs() < 1e-5, "{} instead of {}", loss.mean(), golden.mean_nll);
}
