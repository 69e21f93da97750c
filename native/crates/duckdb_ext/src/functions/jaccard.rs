//! `till_jaccard(a VARCHAR, b VARCHAR, ngram INTEGER) -> DOUBLE`: exact Jaccard similarity of the
//! shingle sets that `till_minhash` estimates it from.

use super::ngram_size;
use crate::api::{Function, Text};
use crate::text::shingle::{jaccard, Shingler};

#[derive(Default)]
struct Scratch {
    shingler: Shingler,
    left: Vec<u64>,
    right: Vec<u64>,
}

fn similarity(scratch: &mut Scratch, (a, b, ngram): (&str, &str, i32)) -> Result<f64, String> {
    let n = ngram_size(ngram)?;
    scratch.shingler.shingles(a, n, &mut scratch.left);
    scratch.shingler.shingles(b, n, &mut scratch.right);
    Ok(jaccard(&mut scratch.left, &mut scratch.right))
}

pub fn function() -> Function {
    Function::new::<(Text, Text, i32), f64, Scratch, _>("till_jaccard", similarity)
}
