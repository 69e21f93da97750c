//! `till_words(text VARCHAR) -> BIGINT`: normalised words of a text.

use crate::api::{Function, Text};
use crate::text::words::{count, Words};

pub fn function() -> Function {
    Function::new::<(Text,), i64, Words, _>("till_words", |words, (text,)| Ok(count(text, words) as i64))
}
