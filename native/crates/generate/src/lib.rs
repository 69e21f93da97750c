//! Generation: one sequence at a time over a key/value cache, greedy or sampled, with the log-probability of each token.

mod hash;
mod sample;

pub use hash::{adapter_hash, model_hash};
pub use sample::{generate, Sampled, Sampling};

use std::path::Path;
use std::time::Instant;
use tillage_model::Model;
use tillage_protocol::rpc::Generation;
use tillage_protocol::run::{Dtype, WatchPrompt};
use tillage_protocol::EngineError;
use tillage_text::RowEncoder;

/// Loads a model folder with its weights in a precision, and an adapter on it.
///
/// # Errors
/// User errors of the folders.
pub fn load(base: &Path, adapter: Option<&Path>, dtype: Dtype) -> Result<Model, EngineError> {
    let mut model = Model::load_as(base, dtype)?;
    if let Some(dir) = adapter {
        model.load_adapter(dir)?;
    }
    Ok(model)
}

/// Answers one prompt, with the text put together and handed out piece by piece to `on_text`.
/// A `false` from `on_text` ends the answer.
///
/// # Errors
/// See [`generate`]; and the template's errors.
pub fn answer(
    model: &Model,
    encoder: &RowEncoder,
    prompt: &WatchPrompt,
    sampling: &Sampling,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> Result<Generation, EngineError> {
    let begun = Instant::now();
    let tokens = encoder.prompt(&prompt.prompt)?;
    let tokenizer = encoder.tokenizer();
    let mut stream = tokenizer.inner().decode_stream(true);
    let stops = tokenizer.stop_ids();
    let sampled = generate(model, &tokens, &stops, sampling, &prompt.id, &mut |id| match stream.step(id) {
        Ok(Some(piece)) => on_text(&piece),
        Ok(None) => on_text(""),
        // What is no text in pieces may be so as a whole: the end decides.
        Err(_) => true,
    })?;
    Ok(Generation {
        id: prompt.id.clone(),
        text: tokenizer.decode(&sampled.tokens, true)?,
        tokens: sampled.tokens.len(),
        logprobs: sampled.logprobs,
        ended: sampled.ended,
        seconds: begun.elapsed().as_secs_f64(),
    })
}
