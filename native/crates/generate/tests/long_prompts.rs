//! Prompts up to the model's context, and beyond it.

use serde_json::json;
use tillage_generate::{generate_all, Flow, Job, Sampling};
use tillage_model::{Model, ModelConfig, Packed};
use tillage_protocol::Blame;

const CONTEXT: usize = 16;

fn model() -> Model {
    let shape = json!({"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": CONTEXT});
    let config = ModelConfig::from_init(&serde_json::from_value(shape).unwrap(), 50, None, None, None);
    Model::init(config.unwrap(), 3)
}

#[test]
fn a_prompt_may_leave_room_for_one_token_and_not_for_none() {
    let mut model = model();
    let all: Vec<u32> = (0..CONTEXT as u32).map(|i| i * 7 % 50).collect();
    for tuned in [0, 5] {
        if tuned > 0 {
            // It stands before every prompt, and takes its room.
            model.attach_prompt(tuned, None, 4).unwrap();
        }
        let ask = |lengths: &[usize]| {
            let mut seen = 0;
            let jobs: Vec<Job> = lengths
                .iter()
                .zip(["short", "long"])
                .map(|(n, id)| Job { tokens: &all[..*n], id, mix: None })
                .collect();
            let sampling = Sampling { max_new: 100, temperature: 0.0, seed: 1 };
            let found = generate_all(&model, &jobs, &[], &sampling, 8, &mut |_, _| {
                seen += 1;
                Flow::Go
            });
            (found, seen)
        };
        let last = CONTEXT - tuned - 1;
        let (found, seen) = ask(&[3, last]);
        let found = found.unwrap();
        assert_eq!((found[0].tokens.len(), found[1].tokens.len()), (CONTEXT - tuned - 3, 1));
        assert_eq!(seen, CONTEXT - tuned - 2);
        // The one token is the likeliest behind the whole prompt.
        let before = model.prefix(None);
        let text = [&before[..], &all[..last]].concat();
        let logits = model.logits(&Packed::texts([&text[..]]), &[CONTEXT - 2]);
        let best = (0..50).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        assert_eq!(found[1].tokens, [best as u32]);
        let (found, seen) = ask(&[3, last + 1]);
        let error = found.unwrap_err();
        assert_eq!((error.code.as_str(), error.blame, seen), ("prompt_too_long", Blame::User, 0));
        assert!(error.message.contains("\"long\" has 16 tokens") && error.message.contains("context is 16"));
        assert!(!error.remedy.is_empty());
    }
}
