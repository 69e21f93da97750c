//! `generate` and `tokens`.

use crate::args::{GenerateArgs, TokensArgs};
use crate::report;
use std::path::Path;
use tillage_generate::{Flow, Sampling};
use tillage_protocol::rpc::{GenerateResult, Row, Token, TokensParams, TokensResult};
use tillage_protocol::run::{LossOn, WatchPrompt};
use tillage_protocol::EngineError;
use tillage_text::{Clock, RowEncoder, RowText, Tokenizer};

pub fn generate(args: &GenerateArgs, json: bool) -> Result<(), EngineError> {
    let prompts = read_prompts(&args.prompts)?;
    let tokenizer = Tokenizer::load(&args.model)?;
    let model = tillage_generate::load(&args.model, args.adapter.as_deref(), args.dtype)?;
    let context = model.config().max_position_embeddings;
    let encoder = RowEncoder::new(tokenizer, args.template.clone(), LossOn::All, context, Clock::System)?;
    let sampling = Sampling { max_new: args.max_new, temperature: args.temperature, seed: args.seed };
    let generations =
        tillage_generate::answers(&model, &encoder, &prompts, &sampling, args.batch, &mut |_, _| Flow::Go)?;
    if !json {
        for answer in &generations {
            report::line(&format!("{}: {}", answer.id, answer.text))?;
        }
    } else {
        let adapter_hash = args.adapter.as_deref().map(tillage_generate::adapter_hash).transpose()?;
        let model_hash = tillage_generate::model_hash(&args.model)?;
        report::object(&GenerateResult { generations, model_hash, adapter_hash })?;
    }
    Ok(())
}

fn read_prompts(path: &Path) -> Result<Vec<WatchPrompt>, EngineError> {
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

pub fn tokens(args: &TokensArgs, json: bool) -> Result<(), EngineError> {
    let text = std::fs::read_to_string(&args.row).map_err(|e| EngineError::io(&e, &args.row))?;
    let row: Row = serde_json::from_str(&text).map_err(|e| {
        EngineError::user(
            "bad_row",
            format!("{} holds no row: {e}.", args.row.display()),
            "Write {\"text\"}, {\"prompt\", \"completion\"} or {\"messages\"}.",
        )
        .with_file(&args.row)
        .with_line(e.line() as u64)
    })?;
    let result = tokenise(&TokensParams {
        model: args.model.clone(),
        row,
        template: args.template.clone(),
        loss_on: args.loss_on.into(),
        context: args.context,
    })?;
    if json {
        return report::object(&result);
    }
    for t in &result.tokens {
        report::line(&format!(
            "{:>7}  {}  {:?}",
            t.id,
            if t.trained { "trained" } else { "       " },
            t.text
        ))?;
    }
    let trained = result.tokens.iter().filter(|t| t.trained).count();
    report::line(&format!("{} tokens, {trained} trained, {} cut", result.tokens.len(), result.cut))
}

/// What a token adds to the text. Decoders take the space off a text's first word, so a token is decoded after the one before it.
fn token_text(tokenizer: &Tokenizer, before: Option<u32>, id: u32) -> Result<String, EngineError> {
    if let Some(before) = before.filter(|&b| !tokenizer.is_special_id(b)) {
        let pair = tokenizer.decode(&[before, id], false)?;
        if let Some(added) = pair.strip_prefix(&tokenizer.decode(&[before], false)?) {
            return Ok(added.to_owned());
        }
    }
    tokenizer.decode(&[id], false)
}

/// A row as tokens, each with its text and whether the loss counts it.
pub fn tokenise(params: &TokensParams) -> Result<TokensResult, EngineError> {
    let tokenizer = Tokenizer::load(&params.model)?;
    let encoder =
        RowEncoder::new(tokenizer, params.template.clone(), params.loss_on, params.context, Clock::System)?;
    let (example, text) = encoder.encode(&RowText::from(&params.row))?;
    let tokenizer = encoder.tokenizer();
    let labelled = example.trained.iter().enumerate().map(|(i, t)| *t && i > 0);
    let before = std::iter::once(None).chain(example.tokens.iter().copied().map(Some));
    let tokens = example
        .tokens
        .iter()
        .zip(before)
        .zip(labelled)
        .map(|((&id, before), trained)| {
            let text = token_text(tokenizer, before, id)?;
            Ok(Token { id, text, trained, special: tokenizer.is_special_id(id) })
        })
        .collect::<Result<_, EngineError>>()?;
    Ok(TokensResult { tokens, text, cut: example.cut })
}
