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
    mean: f64,
    std: f64,
    squash: Squash,
}

impl Judge {
    /// Loads base and adapter; `scale` is the mean and the deviation that scores are measured by, and what they go through then.
    ///
    /// # Errors
    /// User errors of the folders; `no_reward_model` when the adapter has no scalar head.
    pub fn load(
        [base, adapter]: [&Path; 2],
        (mean, std, squash): (f64, f64, Squash),
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
        Ok(Self { model, encoder, batch_tokens: around.batch_tokens, mean, std, squash })
    }

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
        all.into_iter().map(|score| self.worth(f64::from(score))).collect()
    }

    fn worth(&self, score: f64) -> Result<f64, EngineError> {
        if !score.is_finite() {
            return Err(EngineError::user(
                "bad_score",
                "The reward model's score of an answer is not a number: its weights are broken.",
                "Use an earlier checkpoint of the reward model.",
            ));
        }
        let x = (score - self.mean) / self.std;
        Ok(match self.squash {
            Squash::None => x,
            Squash::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Squash::Tanh => x.tanh(),
        })
    }
}
