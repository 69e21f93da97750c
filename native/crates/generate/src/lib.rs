//! Generation over key/value caches, several sequences at once, greedy or sampled, with the log-probability of each token.

mod batch;
mod hash;
mod sample;

pub use batch::{generate_all, Flow, Job, WIDTH};
pub use hash::{adapter_hash, model_hash};
pub use sample::{Sampled, Sampling};

use std::path::Path;
use tillage_model::{Mix, Model};
use tillage_protocol::rpc::Generation;
use tillage_protocol::run::{Dtype, WatchPrompt};
use tillage_protocol::EngineError;
use tillage_text::RowEncoder;

/// Loads a model folder with its weights in a precision, and an adapter on it.
///
/// # Errors
/// User errors of the folders.
pub fn load(base: &Path, adapter: Option<&Path>, dtype: Dtype) -> Result<Model, EngineError> {
    let mut model = Model::load_to_answer(base, dtype)?;
    if let Some(dir) = adapter {
        model.load_adapter(dir)?;
    }
    Ok(model)
}

/// Checks that a model can answer prompts, without asking it.
///
/// # Errors
/// As [`answers`] before anything is generated.
pub fn check(model: &Model, encoder: &RowEncoder, prompts: &[WatchPrompt]) -> Result<(), EngineError> {
    prompts.iter().try_for_each(|prompt| {
        let tokens = encoder.prompt(&prompt.prompt)?;
        let job = Job { tokens: &tokens, id: &prompt.id, mix: None };
        batch::check(model, &job, model.prefix(None).len() + tokens.len())
    })
}

/// Answers prompts, up to `width` at once, with the texts put together and handed out piece by piece to `on_text` with the
/// prompt's place; what it says may end that answer or all.
///
/// # Errors
/// See [`generate_all`]; and the template's errors.
pub fn answers(
    model: &Model,
    encoder: &RowEncoder,
    prompts: &[WatchPrompt],
    sampling: &Sampling,
    width: usize,
    on_text: &mut dyn FnMut(usize, &str) -> Flow,
) -> Result<Vec<Generation>, EngineError> {
    answers_mixed(model, encoder, prompts, None, sampling, width, on_text)
}

/// As [`answers`], each prompt with its mixture of the adapters that the model holds.
///
/// # Errors
/// As [`answers`].
pub fn answers_mixed(
    model: &Model,
    encoder: &RowEncoder,
    prompts: &[WatchPrompt],
    mixes: Option<&[Mix]>,
    sampling: &Sampling,
    width: usize,
    on_text: &mut dyn FnMut(usize, &str) -> Flow,
) -> Result<Vec<Generation>, EngineError> {
    let tokens: Vec<Vec<u32>> =
        prompts.iter().map(|p| encoder.prompt(&p.prompt)).collect::<Result<_, _>>()?;
    let jobs: Vec<Job> = prompts
        .iter()
        .zip(&tokens)
        .enumerate()
        .map(|(i, (prompt, tokens))| Job { tokens, id: &prompt.id, mix: mixes.map(|m| &m[i]) })
        .collect();
    let tokenizer = encoder.tokenizer();
    let mut streams: Vec<_> = prompts.iter().map(|_| tokenizer.inner().decode_stream(true)).collect();
    let stops = tokenizer.stop_ids();
    let sampled = generate_all(model, &jobs, &stops, sampling, width, &mut |job, id| {
        match streams[job].step(id) {
            Ok(Some(piece)) => on_text(job, &piece),
            Ok(None) => on_text(job, ""),
            // What is no text in pieces may be so as a whole: the end decides.
            Err(_) => Flow::Go,
        }
    })?;
    let text = |(prompt, sampled): (&WatchPrompt, Sampled)| {
        Ok(Generation {
            id: prompt.id.clone(),
            text: tokenizer.decode(&sampled.tokens, true)?,
            tokens: sampled.tokens.len(),
            logprobs: sampled.logprobs,
            ended: sampled.ended,
            seconds: sampled.seconds,
        })
    };
    prompts.iter().zip(sampled).map(text).collect()
}
