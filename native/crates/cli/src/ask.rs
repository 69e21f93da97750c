//! `generate`.

use crate::args::GenerateArgs;
use crate::{adapters, report};
use std::path::Path;
use tillage_generate::{Flow, Sampling};
use tillage_protocol::rpc::{AskedPrompt, GenerateResult, ModelRef};
use tillage_protocol::run::{LossOn, WatchPrompt};
use tillage_protocol::EngineError;
use tillage_text::{Clock, RowEncoder, Tokenizer};

/// Answers the prompts of a file; with `json` as one object, otherwise a line each.
///
/// # Errors
/// User errors of the model, the adapters and the prompts.
pub fn generate(args: &GenerateArgs, json: bool) -> Result<(), EngineError> {
    let prompts = read_prompts(&args.prompts)?;
    let tokenizer = Tokenizer::load(&args.model)?;
    let mut model = tillage_generate::load(&args.model, None, args.dtype)?;
    let wanted = ModelRef {
        base: args.model.clone(),
        adapter: None,
        adapters: args.adapter.clone(),
        dtype: args.dtype,
    };
    let given = adapters::given(&wanted)?;
    given.iter().try_for_each(|a| model.hold_adapter(&a.name, &a.path))?;
    let mixes = adapters::mixes(&model, &given, |a| a.name.clone(), &prompts)?;
    let prompts: Vec<WatchPrompt> =
        prompts.into_iter().map(|p| WatchPrompt { id: p.id, prompt: p.prompt }).collect();
    let context = model.config().max_position_embeddings;
    let encoder = RowEncoder::new(tokenizer, args.template.clone(), LossOn::All, context, Clock::System)?;
    let sampling = Sampling { max_new: args.max_new, temperature: args.temperature, seed: args.seed };
    let go = &mut |_: usize, _: &str| Flow::Go;
    let generations =
        tillage_generate::answers_mixed(&model, &encoder, &prompts, Some(&mixes), &sampling, args.batch, go)?;
    if !json {
        for answer in &generations {
            report::line(&format!("{}: {}", answer.id, answer.text))?;
        }
    } else {
        let adapter_hash = adapters::hash_of(&given, tillage_generate::adapter_hash)?;
        let model_hash = tillage_generate::model_hash(&args.model)?;
        report::object(&GenerateResult { generations, model_hash, adapter_hash })?;
    }
    Ok(())
}

fn read_prompts(path: &Path) -> Result<Vec<AskedPrompt>, EngineError> {
    let text = std::fs::read_to_string(path).map_err(|e| EngineError::io(&e, path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let prompts = lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                EngineError::user(
                    "bad_prompts",
                    format!("The line is no prompt: {e}."),
                    "Write one object a line: {\"id\": \"…\", \"prompt\": \"…\"}.",
                )
                .with_file(path)
                .with_line(i as u64 + 1)
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if prompts.is_empty() {
        return Err(EngineError::user(
            "no_prompts",
            format!("{} holds no prompt.", path.display()),
            "Add a prompt.",
        )
        .with_file(path));
    }
    Ok(prompts)
}
