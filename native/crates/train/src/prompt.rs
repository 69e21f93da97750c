//! Runs that tune a prompt.

use crate::spec::bad;
use std::path::Path;
use tillage_model::{Model, ModelConfig};
use tillage_protocol::run::{ModelSource, Objective, PromptConfig};
use tillage_protocol::{EngineError, RunSpec};
use tillage_text::Tokenizer;

/// Checks what the types cannot say.
///
/// # Errors
/// `bad_setting` naming the setting and what it may be.
pub fn check(spec: &RunSpec) -> Result<(), EngineError> {
    let Some(prompt) = &spec.prompt else { return Ok(()) };
    if spec.adapter.is_some() {
        return bad("prompt", "is set, and so is `adapter`: a run trains one of them".into());
    }
    if !matches!(spec.model, ModelSource::Folder { .. }) {
        return bad("prompt", "is set, but a model with random weights is trained in full".into());
    }
    if !matches!(spec.objective, Objective::Pretrain | Objective::Sft) {
        return bad(
            "prompt",
            "is set, and a prompt is tuned by the objectives pretrain and sft alone".into(),
        );
    }
    if prompt.tokens == 0 || prompt.tokens > spec.train.context.saturating_sub(2) {
        return bad(
            "prompt.tokens",
            format!("is {}, and must be 1 or more and leave room in `context` for a text", prompt.tokens),
        );
    }
    Ok(())
}

/// Ids of the prompt's tokens, which stand before every text; none where no prompt is tuned.
///
/// # Errors
/// As reading the model's config.
pub fn prefix(spec: &RunSpec) -> Result<Vec<u32>, EngineError> {
    match (&spec.prompt, &spec.model) {
        (Some(prompt), ModelSource::Folder { path, .. }) => {
            let config = ModelConfig::from_dir(path)?;
            // Its ids are those behind the vocabulary's; more than a context would never be used.
            if prompt.tokens >= config.max_position_embeddings {
                return bad(
                    "prompt.tokens",
                    format!(
                        "is {}, and the model takes {} tokens",
                        prompt.tokens, config.max_position_embeddings
                    ),
                );
            }
            let vocab = config.vocab_size as u32;
            Ok((vocab..vocab + prompt.tokens as u32).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// Gives the model a new prompt.
///
/// # Errors
/// The tokenizer's, and `bad_prompt` for a text that cannot be one.
pub fn attach(
    model: &mut Model,
    config: &PromptConfig,
    tokenizer: &Tokenizer,
    seed: u64,
) -> Result<(), EngineError> {
    let ids = config.text.as_ref().map(|text| tokenizer.encode(text, true)).transpose()?;
    let init = config.text.as_deref().zip(ids.as_deref());
    model.attach_prompt(config.tokens, init, seed)
}

/// A prompt that a run goes on tuning must be as long as the run says.
///
/// # Errors
/// `adapter_mismatch` when it is of another length, or no prompt.
pub fn check_same(model: &Model, wanted: &PromptConfig, dir: &Path) -> Result<(), EngineError> {
    let found = model.prompt_tokens();
    if found == wanted.tokens {
        return Ok(());
    }
    let what = if found == 0 { "is no tuned prompt".into() } else { format!("has {found} tokens") };
    Err(EngineError::user(
        "adapter_mismatch",
        format!("The prompt to go on with {what}; the run file names one of {} tokens.", wanted.tokens),
        "Leave `prompt` out of the run file to take over its settings.",
    )
    .with_file(dir.join("adapter_config.json")))
}
