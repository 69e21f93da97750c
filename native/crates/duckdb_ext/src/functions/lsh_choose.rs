//! `till_lsh_choose(permutations INTEGER, threshold DOUBLE) -> INTEGER`: the number of bands that
//! finds 99 % of the pairs exactly at a Jaccard threshold with the fewest false candidates.

use crate::api::Function;
use crate::text::minhash::choose_bands;

pub fn function() -> Function {
    Function::new::<(i32, f64), i32, (), _>("till_lsh_choose", |_, (permutations, threshold)| {
        choose_bands(permutations, threshold)
    })
}
