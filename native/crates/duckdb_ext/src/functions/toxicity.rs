//! `till_toxicity(text VARCHAR, languages VARCHAR) -> STRUCT(hits BIGINT, words BIGINT, ratio DOUBLE,
//! terms VARCHAR[])`: profanity and slurs of the built-in lexicon; `languages` are codes parted by
//! commas, or `all`.

use crate::api::{Function, Text};
use crate::sql_struct;
use crate::text::toxicity::{Lexicon, Toxicity};
use crate::text::words::Words;
use std::sync::Arc;

sql_struct!(Toxicity { hits: i64, words: i64, ratio: f64, terms: Vec<String> });

#[derive(Default)]
struct Scratch {
    words: Words,
    /// The list of languages that was read last.
    last: Option<(String, Arc<Lexicon>)>,
}

fn toxicity(scratch: &mut Scratch, (text, list): (&str, &str)) -> Result<Toxicity, String> {
    let lexicon = match &scratch.last {
        Some((last, lexicon)) if last == list => lexicon,
        _ => &scratch.last.insert((list.to_owned(), Lexicon::of(list)?)).1,
    };
    Ok(lexicon.find(text, &mut scratch.words))
}

pub fn function() -> Function {
    Function::new::<(Text, Text), Toxicity, Scratch, _>("till_toxicity", toxicity)
}
