//! `till_cut_words(text VARCHAR, starts INTEGER[], ends INTEGER[]) -> VARCHAR`: the text without the words
//! from each start to before the end beside it, numbered from 0 as `till_words` counts them.

use crate::api::{Function, Text};
use crate::text::spans::cut;
use crate::text::words::Words;

pub fn function() -> Function {
    Function::new::<(Text, Vec<i32>, Vec<i32>), String, Words, _>(
        "till_cut_words",
        |words, (text, starts, ends)| cut(text, starts, ends, words),
    )
}
