//! `tokens`: a row exactly as the model sees it.

use crate::args::TokensArgs;
use crate::report;
use tillage_protocol::rpc::{Row, Token, TokenisedText, TokensParams, TokensResult};
use tillage_protocol::run::LossOn;
use tillage_protocol::EngineError;
use tillage_text::{texts_of, Clock, RowEncoder, RowText, Tokenizer};

/// Shows a row's tokens; with `json` as one object.
///
/// # Errors
/// `bad_row`; as [`tokenise`]; `stdout_closed`.
pub fn print(args: &TokensArgs, json: bool) -> Result<(), EngineError> {
    let text = std::fs::read_to_string(&args.row).map_err(|e| EngineError::io(&e, &args.row))?;
    let row: Row = serde_json::from_str(&text).map_err(|e| {
        EngineError::user(
            "bad_row",
            format!("{} holds no row: {e}.", args.row.display()),
            "Write {\"text\"}, {\"prompt\", \"completion\"}, {\"messages\"}, {\"prompt\", \"chosen\", \"rejected\"}, or {\"chosen\", \"rejected\"} as messages; with \"label\" for a judgement, and \"tools\" beside messages.",
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
        truncate: args.truncate,
    })?;
    if json {
        return report::object(&result);
    }
    let head = match (&result.rejected, result.label) {
        (Some(_), _) => "chosen: ",
        (None, Some(true)) => "good: ",
        (None, Some(false)) => "bad: ",
        (None, None) => "",
    };
    list(head, &result.tokens, result.cut, None)?;
    match &result.rejected {
        Some(other) => list("rejected: ", &other.tokens, other.cut, result.parts_at),
        None => Ok(()),
    }
}

/// One text's tokens, and a line before the first that is another one than in the text before.
fn list(head: &str, tokens: &[Token], cut: usize, parts_at: Option<usize>) -> Result<(), EngineError> {
    for (i, t) in tokens.iter().enumerate() {
        if parts_at == Some(i) {
            report::line("         -- from here on it differs from the chosen one")?;
        }
        let trained = if t.trained { "trained" } else { "       " };
        report::line(&format!("{:>7}  {trained}  {:?}", t.id, t.text))?;
    }
    let trained = tokens.iter().filter(|t| t.trained).count();
    report::line(&format!("{head}{} tokens, {trained} trained, {cut} cut", tokens.len()))
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
///
/// # Errors
/// User errors of the tokenizer, the template and the row.
pub fn tokenise(params: &TokensParams) -> Result<TokensResult, EngineError> {
    let tokenizer = Tokenizer::load(&params.model)?;
    let (texts, label) = texts_of(&params.row);
    // What an objective on answers counts.
    let answers = texts.len() > 1 || label.is_some();
    let loss_on = if answers { LossOn::Completion } else { params.loss_on };
    let encoder =
        RowEncoder::new(tokenizer, params.template.clone(), loss_on, params.context, Clock::System)?
            .truncating(params.truncate);
    let mut texts = texts.iter().map(|text| one(&encoder, text)).collect::<Result<Vec<_>, _>>()?;
    let rejected = if texts.len() > 1 { texts.pop() } else { None };
    let Some(TokenisedText { tokens, text, cut }) = texts.pop() else {
        return Err(EngineError::internal("no_text", "The row has no text."));
    };
    let parts_at = rejected.as_ref().map(|other| {
        let same = tokens.iter().zip(&other.tokens).take_while(|(a, b)| a.id == b.id);
        same.count()
    });
    Ok(TokensResult { tokens, text, cut, rejected, parts_at, label })
}

fn one(encoder: &RowEncoder, row: &RowText) -> Result<TokenisedText, EngineError> {
    let (example, text) = encoder.encode(row)?;
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
    Ok(TokenisedText { tokens, text, cut: example.cut })
}
