//! `till_minhash(text VARCHAR, permutations INTEGER, ngram INTEGER, seed BIGINT) -> UINTEGER[]`:
//! MinHash signature over the shingles of normalised words; empty for a text without words.

use super::ngram_size;
use crate::api::{Function, Text};
use crate::text::minhash::{check_permutations, Permutations};
use crate::text::shingle::Shingler;

#[derive(Default)]
struct Scratch {
    shingler: Shingler,
    shingles: Vec<u64>,
    permutations: Permutations,
}

fn minhash(
    scratch: &mut Scratch,
    (text, permutations, ngram, seed): (&str, i32, i32, i64),
) -> Result<Vec<u32>, String> {
    scratch.permutations.prepare(check_permutations(permutations)?, seed);
    scratch.shingler.shingles(text, ngram_size(ngram)?, &mut scratch.shingles);
    Ok(scratch.permutations.signature(&scratch.shingles))
}

pub fn function() -> Function {
    Function::new::<(Text, i32, i32, i64), Vec<u32>, Scratch, _>("till_minhash", minhash)
}
