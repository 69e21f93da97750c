//! A reward model's score of an answer.

use super::{Answer, Around};
use std::path::Path;
use tillage_model::objective::Texts;
use tillage_model::Model;
use tillage_protocol::run::{LossOn, Squash};
use tillage_protocol::EngineError;
use tillage_text::{RowEncoder, RowText, Tokenizer};

/// A reward model, and what its scores go through.
#[derive(Debug)]
pub struct Judge {
    model: Model,
    encoder: RowEncoder,
    batch_tokens: usize,
    /// Mean and deviation that scores are measured by, and what they go through then.
    scale: (f64, f64, Squash),
}

impl Judge {
    /// Loads base and adapter.
    ///
    /// # Errors
    /// User errors of the folders; `no_reward_model` when the adapter has no scalar head.
    pub fn load(
        [base, adapter]: [&Path; 2],
        scale: (f64, f64, Squash),
        around: &Around,
    ) -> Result<Self, EngineError> {
        let model = tillage_generate::load(base, Some(adapter), around.dtype)?;
        if !model.has_score() {
            return Err(EngineError::user(
                "no_reward_model",
                format!("{} has no scalar head, so it scores nothing.", adapter.display()),
                "Name the result of a run with the objective `reward`.",
            )
            .with_file(adapter));
        }
        // A text is scored as a whole, as the reward model's own rows were.
        let context = around.context.min(model.config().max_position_embeddings);
        let template = around.template.clone();
        let clock = around.clock;
        let encoder = RowEncoder::new(Tokenizer::load(base)?, template, LossOn::Completion, context, clock)?;
        Ok(Self { model, encoder, batch_tokens: around.batch_tokens, scale })
    }

    /// The reward model itself.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The scores of the answers.
    ///
    /// # Errors
    /// User errors of the texts; `bad_score` when the model gives no number.
    pub fn scores(&self, answers: &[Answer]) -> Result<Vec<f64>, EngineError> {
        let mut all = Vec::with_capacity(answers.len());
        let mut texts = Texts::default();
        for answer in answers {
            let row =
                RowText::PromptCompletion { prompt: answer.prompt.into(), completion: answer.text.into() };
            let (example, _) = self.encoder.encode(&row)?;
            let full = texts.pack.tokens.len() + example.tokens.len() > self.batch_tokens;
            if full && !texts.pack.tokens.is_empty() {
                all.extend(self.model.scores(&std::mem::take(&mut texts).pack)?);
            }
            texts.push(&example.tokens, &vec![false; example.tokens.len() - 1], false);
        }
        if !texts.pack.tokens.is_empty() {
            all.extend(self.model.scores(&texts.pack)?);
        }
        all.into_iter().map(|score| worth(f64::from(score), self.scale)).collect()
    }
}

/// What a score is worth: measured by mean and deviation, and squashed.
fn worth(score: f64, (mean, std, squash): (f64, f64, Squash)) -> Result<f64, EngineError> {
    if !score.is_finite() {
        return Err(EngineError::user(
            "bad_score",
            "The reward model's score of an answer is not a number: its weights are broken.",
            "Use an earlier checkpoint of the reward model.",
        ));
    }
    let x = (score - mean) / std;
    Ok(match squash {
        Squash::None => x,
        Squash::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Squash::Tanh => x.tanh(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_measured_and_squashed() {
        let of = |squash| worth(5.0, (2.0, 4.0, squash)).unwrap();
        assert_eq!(of(Squash::None), 0.75);
        assert!((of(Squash::Sigmoid) - 0.679_178_699_175_393).abs() < 1e-12);
        assert!((of(Squash::Tanh) - 0.635_148_952_387_287).abs() < 1e-12);
        assert_eq!(worth(f64::NAN, (0.0, 1.0, Squash::None)).unwrap_err().code, "bad_score");
    }
}
