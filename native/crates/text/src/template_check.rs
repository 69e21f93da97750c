//! Does the tokenizer have the control tokens that the chat template writes?

use crate::chat::ChatTemplate;
use crate::row::message;
use crate::tokenizer::Tokenizer;
use tillage_protocol::EngineError;

/// Role words that some published tokenizers (Zephyr's) spell out in several tokens on purpose.
const SPELT_OUT: [&str; 3] = ["<|user|>", "<|assistant|>", "<|system|>"];

/// Renders a short conversation and looks each control token up.
///
/// # Errors
/// `template_tokens_missing` naming them: the model could neither see where a turn ends nor learn to end one.
pub fn check(chat: &ChatTemplate, tokenizer: &Tokenizer) -> Result<(), EngineError> {
    let probe = [message("user", "question"), message("assistant", "answer")];
    // A template that refuses the probe is judged by the real rows.
    let Ok(rendered) = chat.render(&probe, None, false) else { return Ok(()) };
    let missing: Vec<&str> =
        control_tokens(&rendered.text).into_iter().filter(|t| tokenizer.token_to_id(t).is_none()).collect();
    let after = rendered.text.rsplit_once("answer").map_or("", |(_, after)| after.trim_start());
    let end_is_missing = missing.iter().any(|t| after.starts_with(t));
    if missing.is_empty() || (!end_is_missing && missing.iter().all(|t| SPELT_OUT.contains(t))) {
        return Ok(());
    }
    Err(EngineError::user(
        "template_tokens_missing",
        format!("The chat template writes {}, which the tokenizer does not have.", missing.join(", ")),
        "Use the tokenizer that belongs to the template, or a `format` template in the run file.",
    ))
}

/// The control tokens of a rendered text: `<|name|>`, and Gemma's turn marks.
fn control_tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('<') {
        let rest = &text[at..];
        let token = if rest.starts_with("<|") {
            rest.find("|>")
                .map(|end| &rest[..end + 2])
                .filter(|t| t.len() <= 40 && !t.contains(char::is_whitespace))
        } else {
            ["<start_of_turn>", "<end_of_turn>"].into_iter().find(|t| rest.starts_with(t))
        };
        if let Some(token) = token.filter(|t| !found.contains(t)) {
            found.push(token);
        }
    }
    found
}
