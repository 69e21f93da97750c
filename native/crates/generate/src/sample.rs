//! Choosing tokens.

use rand::RngExt;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tillage_model::Model;
use tillage_protocol::EngineError;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    pub max_new: usize,
    /// 0 = the most likely token, the lowest id among equals.
    pub temperature: f64,
    pub seed: u64,
}

/// The tokens of an answer, without the one that ended it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampled {
    pub tokens: Vec<u32>,
    /// Natural log-probability of each token under the model (at temperature 1).
    pub logprobs: Vec<f32>,
    /// True when a stop token ended the answer; false when `max_new`, the context or the caller did.
    pub ended: bool,
}

/// Generates from a tokenised prompt. `on_token` sees each token, and ends the answer by returning `false`.
///
/// The draws of a prompt depend on the seed and its `id` alone, not on the prompts around it.
///
/// # Errors
/// `empty_prompt`, `prompt_too_long` (user); `bad_logits` when the model gives no numbers.
pub fn generate(
    model: &Model,
    prompt: &[u32],
    stops: &[u32],
    sampling: &Sampling,
    id: &str,
    on_token: &mut dyn FnMut(u32) -> bool,
) -> Result<Sampled, EngineError> {
    let context = model.config().max_position_embeddings;
    if prompt.is_empty() {
        return Err(EngineError::user(
            "empty_prompt",
            format!("The prompt {id:?} is empty."),
            "Give the model at least one word.",
        ));
    }
    if prompt.len() >= context {
        return Err(EngineError::user(
            "prompt_too_long",
            format!("The prompt {id:?} has {} tokens; the model's context is {context}.", prompt.len()),
            "Shorten the prompt, or use a model with a longer context.",
        ));
    }
    let vocab = model.config().vocab_size;
    if let Some(bad) = prompt.iter().find(|t| **t as usize >= vocab) {
        return Err(EngineError::user(
            "vocab_mismatch",
            format!("The tokenizer gives token {bad}, but the model knows only {vocab}."),
            "Use the tokenizer that belongs to the model.",
        ));
    }
    let room = sampling.max_new.min(context - prompt.len());
    let mut rng = rng(sampling.seed, id);
    let mut cache = model.new_cache(prompt.len() + room);
    let mut out = Sampled::default();
    let mut logits = model.decode(prompt, &mut cache);
    for i in 0..room {
        let (token, logprob) = choose(&logits, sampling.temperature, &mut rng)?;
        if stops.contains(&token) {
            out.ended = true;
            break;
        }
        out.tokens.push(token);
        out.logprobs.push(logprob);
        if !on_token(token) {
            break;
        }
        if i + 1 < room {
            logits = model.decode(&[token], &mut cache);
        }
    }
    Ok(out)
}

/// A generator for one prompt.
fn rng(seed: u64, id: &str) -> ChaCha8Rng {
    let digest = Sha256::digest(id.as_bytes());
    let mut stream = [0u8; 8];
    stream.copy_from_slice(&digest[..8]);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from_le_bytes(stream));
    rng
}

/// The chosen token and its log-probability.
fn choose(logits: &[f32], temperature: f64, rng: &mut ChaCha8Rng) -> Result<(u32, f32), EngineError> {
    let best = logits.iter().enumerate().fold(None, |best: Option<(usize, f32)>, (i, &x)| match best {
        Some((_, top)) if x <= top || x.is_nan() => best,
        _ => Some((i, x)),
    });
    let (argmax, top) = best.filter(|(_, top)| top.is_finite()).ok_or_else(|| {
        EngineError::user(
            "bad_logits",
            "The model's outputs are not numbers: its weights are broken, or its training diverged.",
            "Use an earlier checkpoint of the run.",
        )
    })?;
    let top = f64::from(top);
    let sum = |t: f64| logits.iter().map(|&x| ((f64::from(x) - top) / t).exp()).sum::<f64>();
    let mut chosen = argmax;
    if temperature > 0.0 {
        let mut left = rng.random::<f64>() * sum(temperature);
        for (i, &x) in logits.iter().enumerate() {
            let p = ((f64::from(x) - top) / temperature).exp();
            // A token of no probability is never the last resort of rounding.
            if p > 0.0 {
                chosen = i;
            }
            left -= p;
            if left < 0.0 {
                break;
            }
        }
    }
    let logprob = f64::from(logits[chosen]) - top - sum(1.0).ln();
    Ok((chosen as u32, logprob as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_first_of_the_best() {
        let (token, logprob) = choose(&[0.0, 2.0, 2.0], 0.0, &mut rng(1, "a")).unwrap();
        assert_eq!(token, 1);
        let expected = 2.0 - (1.0 + 2.0 * 2f64.exp()).ln();
        assert!((f64::from(logprob) - expected).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let logits = [0.0, (3.0f32).ln()];
        let draw = |seed| {
            let mut rng = rng(seed, "p");
            (0..2000).map(|_| choose(&logits, 1.0, &mut rng).unwrap().0).collect::<Vec<_>>()
        };
        let ones = draw(5).iter().sum::<u32>() as f64 / 2000.0;
        assert!((ones - 0.75).abs() < 0.04, "{ones}");
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn each_prompt_has_draws_of_its_own() {
        let draw = |id| {
            let mut rng = rng(5, id);
            (0..64).map(|_| choose(&[0.0; 8], 1.0, &mut rng).unwrap().0).collect::<Vec<_>>()
        };
        assert_eq!(draw("p0"), draw("p0"));
        assert_ne!(draw("p0"), draw("p1"));
    }

    #[test]
    fn any_stop_token_ends_an_answer_and_so_does_the_context() {
        let shape = serde_json::json!({"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16});
        let shape = serde_json::from_value(shape).unwrap();
        let config = tillage_model::ModelConfig::from_init(&shape, 50, None, None, None).unwrap();
        let model = Model::init(config, 3);
        let answer = |stops: &[u32], max_new| {
            let sampling = Sampling { max_new, temperature: 1.0, seed: 1 };
            generate(&model, &[1, 2, 3], stops, &sampling, "a", &mut |_| true).unwrap()
        };
        let whole = answer(&[], 8);
        assert_eq!((whole.tokens.len(), whole.ended), (8, false));
        let last = whole.tokens[7];
        let at = whole.tokens.iter().position(|t| *t == last).unwrap();
        let other = (0..50).find(|t| !whole.tokens.contains(t)).unwrap();
        for stops in [vec![last], vec![last, other], vec![other, last]] {
            let cut = answer(&stops, 8);
            assert_eq!((&cut.tokens[..], cut.ended), (&whole.tokens[..at], true), "{stops:?}");
            assert_eq!(cut.logprobs, whole.logprobs[..at]);
        }
        assert_eq!(answer(&[], 100).tokens.len(), 13, "16 positions, 3 of them taken");
    }

    #[test]
    fn broken_weights_are_an_error() {
        assert_eq!(choose(&[f32::NAN, f32::NAN], 0.0, &mut rng(1, "a")).unwrap_err().code, "bad_logits");
    }
}
