//! `till_sketch(signature UINTEGER[]) -> UINTEGER[]`: a MinHash signature in four bits a position, and
//! `till_alike(a UINTEGER[], b UINTEGER[], permutations INTEGER) -> DOUBLE`: the Jaccard similarity that two of them speak of.

use crate::api::Function;
use crate::text::minhash::check_permutations;
use crate::text::sketch;

pub fn functions() -> [Function; 2] {
    [
        Function::new::<(Vec<u32>,), Vec<u32>, (), _>("till_sketch", |_, (signature,)| {
            Ok(sketch::sketch(signature))
        }),
        Function::new::<(Vec<u32>, Vec<u32>, i32), f64, (), _>("till_alike", |_, (a, b, permutations)| {
            sketch::estimate(a, b, check_permutations(permutations)?)
        }),
    ]
}
