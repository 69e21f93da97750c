//! `till_tokens(text VARCHAR, tokenizer VARCHAR) -> INTEGER`: exact token count with the tokenizer of
//! a model (path of `tokenizer.json` or of its folder), without special tokens.

use crate::api::{Function, Text};
use crate::text::tokens::Counter;

fn tokens(counter: &mut Counter, (text, path): (&str, &str)) -> Result<i32, String> {
    let count = counter.count(text, path)?;
    i32::try_from(count).map_err(|_| format!("a text of {} bytes has too many tokens to count", text.len()))
}

pub fn function() -> Function {
    Function::new::<(Text, Text), i32, Counter, _>("till_tokens", tokens)
}
