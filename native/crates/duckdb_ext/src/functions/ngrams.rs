//! `till_ngrams(text VARCHAR, n INTEGER) -> UBIGINT[]`: distinct hashes of the n-grams of normalised
//! words, in order of first appearance; empty for a text of fewer than n words.

use super::ngram_size;
use crate::api::{Function, Text};
use crate::text::shingle::Shingler;
use std::collections::HashSet;

#[derive(Default)]
struct Scratch {
    shingler: Shingler,
    hashes: Vec<u64>,
    seen: HashSet<u64>,
}

fn ngrams(scratch: &mut Scratch, (text, n): (&str, i32)) -> Result<Vec<u64>, String> {
    let Scratch { shingler, hashes, seen } = scratch;
    shingler.ngrams(text, ngram_size(n)?, hashes);
    seen.clear();
    Ok(hashes.iter().copied().filter(|&hash| seen.insert(hash)).collect())
}

pub fn function() -> Function {
    Function::new::<(Text, i32), Vec<u64>, Scratch, _>("till_ngrams", ngrams)
}
