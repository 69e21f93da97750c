//! `till_lsh_bands(signature UINTEGER[], bands INTEGER) -> UBIGINT[]`: one hash a band.

use crate::api::Function;
use crate::text::minhash::bands;

pub fn function() -> Function {
    Function::new::<(Vec<u32>, i32), Vec<u64>, (), _>("till_lsh_bands", |_, (signature, count)| {
        bands(signature, count)
    })
}
