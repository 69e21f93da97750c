//! Choosing tokens.

use rand::RngExt;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tillage_protocol::EngineError;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Tokens of an answer at most; the model's context ends it as well.
    pub max_new: usize,
    /// 0 = the most likely token, the lowest id among equals.
    pub temperature: f64,
    /// With a prompt's id it decides the draws.
    pub seed: u64,
}

/// The tokens of an answer, without the one that ended it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampled {
    /// Ids, `[tokens]`.
    pub tokens: Vec<u32>,
    /// Natural log-probability of each token under the model (at temperature 1).
    pub logprobs: Vec<f32>,
    /// True when a stop token ended the answer; false when `max_new`, the context or the caller did.
    pub ended: bool,
    /// The stop token that ended it.
    pub stop: Option<u32>,
    /// Seconds from its prompt to its end, others that were generated meanwhile included.
    pub seconds: f64,
}

/// A generator for one prompt.
pub(crate) fn rng(seed: u64, id: &str) -> ChaCha8Rng {
    let digest = Sha256::digest(id.as_bytes());
    let mut stream = [0u8; 8];
    stream.copy_from_slice(&digest[..8]);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from_le_bytes(stream));
    rng
}

/// The chosen token and its log-probability.
pub(crate) fn choose(
    logits: &[f32],
    temperature: f64,
    rng: &mut ChaCha8Rng,
) -> Result<(u32, f32), EngineError> {
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
    use crate::batch::{generate_all, Flow, Job};
    use tillage_model::Model;

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
            let job = Job { tokens: &[1, 2, 3], id: "a", mix: None };
            generate_all(&model, &[job], stops, &sampling, 1, &mut |_, _| Flow::Go).unwrap().remove(0)
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
    fn what_is_generated_together_is_what_each_would_have_been() {
        let shape = serde_json::json!({"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32});
        let shape = serde_json::from_value(shape).unwrap();
        let config = tillage_model::ModelConfig::from_init(&shape, 50, None, None, None).unwrap();
        let model = Model::init(config, 3);
        let prompts: Vec<Vec<u32>> = (0..7).map(|i| (0..=i).map(|t| (t * 7 + i) % 50).collect()).collect();
        let ids: Vec<String> = (0..7).map(|i| format!("p{i}")).collect();
        let jobs: Vec<Job> =
            prompts.iter().zip(&ids).map(|(tokens, id)| Job { tokens, id, mix: None }).collect();
        for temperature in [0.0, 1.0] {
            let sampling = Sampling { max_new: 12, temperature, seed: 4 };
            let all = |width| {
                let mut seen = vec![Vec::new(); jobs.len()];
                let found = generate_all(&model, &jobs, &[17, 30], &sampling, width, &mut |job, token| {
                    seen[job].push(token);
                    // One answer is ended by its reader.
                    if job == 2 && seen[job].len() == 3 {
                        Flow::EndAnswer
                    } else {
                        Flow::Go
                    }
                });
                let found = found.unwrap();
                found.iter().zip(&seen).for_each(|(f, s)| assert_eq!(&f.tokens, s));
                found.into_iter().map(|f| (f.tokens, f.ended)).collect::<Vec<_>>()
            };
            let alone = all(1);
            assert!(alone[2].0.len() <= 3 && !alone[2].1);
            let mut tokens = 0;
            let ended = generate_all(&model, &jobs, &[], &sampling, 2, &mut |_, _| {
                tokens += 1;
                if tokens < 5 {
                    Flow::Go
                } else {
                    Flow::EndAll
                }
            });
            let ended = ended.unwrap();
            let lengths: Vec<usize> = ended.iter().map(|f| f.tokens.len()).collect();
            assert!(lengths.iter().sum::<usize>() <= 6 && lengths[2..] == [0; 5], "{lengths:?}");
            for width in [2, 3, 8] {
                assert_eq!(all(width), alone, "{width} at once, temperature {temperature}");
            }
        }
    }

    #[test]
    fn broken_weights_are_an_error() {
        assert_eq!(choose(&[f32::NAN, f32::NAN], 0.0, &mut rng(1, "a")).unwrap_err().code, "bad_logits");
    }
}
