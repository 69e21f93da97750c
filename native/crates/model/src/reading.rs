//! What a model makes of texts: each label's loss, and each text as one vector.

use crate::attention::Context;
use crate::mix::Routes;
use crate::workspace::{head_chunk, Keep};
use crate::{Mix, Model, Packed};
use tillage_protocol::EngineError;

/// The outcome of [`Model::read`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Negative log-probability of every label in nats, in the order of the positions, `[labelled]`.
    pub losses: Vec<f32>,
    /// Mean over each text's tokens of the hidden states behind the last norm, `[texts, hidden]`; empty where they are
    /// not asked for. A text without a token is zero.
    pub pooled: Vec<f32>,
}

impl Model {
    /// Reads a pack of texts in one pass, without dropout and without gradients; with a mixture of the adapters that are held,
    /// where one is given, in the place of the model's own. Where that is a tuned prompt, each text must begin with its tokens,
    /// which the mean leaves out.
    ///
    /// # Errors
    /// As [`Packed::check`].
    pub fn read(&self, batch: &Packed, pool: bool, mix: Option<&Mix>) -> Result<Reading, EngineError> {
        let vocab = self.config.vocab_size;
        let known = self.prefix(mix).last().map_or(vocab, |last| *last as usize + 1);
        batch.check_ids(known, vocab)?;
        let mut ws = self.workspace();
        ws.routes = mix.map(|mix| Routes::new(&batch.starts, &vec![mix; batch.examples()]));
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, Keep::Nothing);
        let mut reading = Reading::default();
        self.loss_value(batch, &mut ws, &mut |nll| reading.losses.extend_from_slice(nll));
        if pool {
            let (width, chunk) = (self.config.hidden_size, head_chunk(self.config()));
            let mut sum = vec![0.0f64; width];
            for text in batch.starts.windows(2) {
                sum.fill(0.0);
                let words = |at: &usize| (batch.tokens[*at] as usize) < vocab;
                let rows: Vec<usize> = (text[0]..text[1]).filter(words).collect();
                for rows in rows.chunks(chunk) {
                    self.head_norm(rows, &mut ws);
                    for state in ws.head.norm.chunks_exact(width) {
                        sum.iter_mut().zip(state).for_each(|(s, x)| *s += f64::from(*x));
                    }
                }
                let tokens = rows.len().max(1) as f64;
                reading.pooled.extend(sum.iter().map(|s| (s / tokens) as f32));
            }
        }
        self.give_back(ws);
        Ok(reading)
    }
}
